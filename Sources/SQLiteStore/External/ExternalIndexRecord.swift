import Foundation
import GRDB

/// Record of an external index in the state database: a row of table `side_index`.
struct ExternalIndexRecord: Sendable {
    /// Number in the names of the index's tables; 0: there is none.
    var generation: Int64
    /// Generation that is being built, or was when its builder died; 0: none.
    var building: Int64
    /// Definition of the index: table, key and columns.
    var definition: String
    /// Fingerprint of the external file, taken before its rows were read.
    var fingerprint: String
    var rows: Int
    /// Greatest key in the index.
    var lastID: Int64
    /// Number of rows changed or removed since the index was built; their old text is still in it.
    var outdated: Int
    /// Time of the last comparison with the table.
    var checkedAt: Date

    init?(_ db: Database, model: String) throws {
        let row = try Row.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT generation, building, definition, fingerprint, rows, last_id, outdated, checked_at
                    FROM side_index WHERE model = ?
                    """), arguments: [model])
        guard let row else { return nil }
        generation = row.integer(0)
        building = row.integer(1)
        definition = row.text(2)
        fingerprint = row.text(3)
        rows = row.count(4)
        lastID = row.integer(5)
        outdated = row.count(6)
        checkedAt = Date(milliseconds: row.integer(7))
    }

    /// Returns the name of a generation's full-text table.
    static func text(_ generation: Int64) -> String { "side_text_\(generation)" }
    /// Returns the name of the table with the digests of a generation's rows.
    static func digests(_ generation: Int64) -> String { "side_row_\(generation)" }

    static func create(_ generation: Int64, columns: Int, in db: Database) throws {
        let names = (0..<columns).map { "c\($0)" }.joined(separator: ", ")
        try db.execute(
            sql: """
                CREATE VIRTUAL TABLE \(text(generation)) USING fts5(\(names), content='', tokenize='trigram');
                CREATE TABLE \(digests(generation)) (id INTEGER PRIMARY KEY, digest INTEGER NOT NULL) STRICT;
                """)
    }

    static func drop(_ generation: Int64, in db: Database) throws {
        guard generation != 0 else { return }
        try db.execute(
            sql: "DROP TABLE IF EXISTS \(text(generation)); DROP TABLE IF EXISTS \(digests(generation));")
    }
}

/// Fingerprint that changes when a database file may have changed: sizes and times of the file and its write-ahead log.
///
/// Every commit writes to one of the two. A checkpoint does so too, so that an unchanged table may seem changed; the
/// comparison that follows then finds no difference.
enum FileFingerprint {
    static func of(_ path: String) -> String {
        [path, path + "-wal"].map { path in
            var status = stat()
            guard stat(path, &status) == 0 else { return "-" }
            return "\(status.st_ino):\(status.st_size):\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
        }.joined(separator: "|")
    }
    /// Returns whether two fingerprints belong to the same file, changed or not.
    static func isSameFile(_ first: String, _ second: String) -> Bool {
        let ends: (Character) -> Bool = { $0 != ":" }
        return first.prefix(while: ends) == second.prefix(while: ends)
    }
}
