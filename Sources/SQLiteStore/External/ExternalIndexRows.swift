import Foundation
import GRDB
import GRDBSQLite

/// A range of rows of an external table, in the order of their keys, with the text that is indexed.
struct ExternalIndexRows: Sendable {
    /// Place of a row's column in ``bytes``; nil for NULL.
    typealias Extent = Range<Int>?

    private(set) var ids: [Int64] = []
    /// Digests of the rows' texts.
    private(set) var digests: [Int64] = []
    private var extents: [Extent] = []
    private var bytes: [UInt8] = []
    private let columns: Int
    /// True if the table has more rows after the last one.
    private(set) var hasMore = false

    /// Largest number of rows of one range: reading it is so short that it does not hold up the site's writers.
    private static let maximumRows = 20_000
    private static let maximumBytes = 8 << 20

    /// Reads the rows after a key. `source` is a statement that returns the key and the columns in the order of the
    /// keys; its parameter is the key after which it begins.
    init(after last: Int64, columns: Int, source: Statement) throws {
        self.columns = columns
        let handle = source.sqliteStatement
        sqlite3_reset(handle)
        defer { sqlite3_reset(handle) }
        sqlite3_bind_int64(handle, 1, last)
        while true {
            let code = sqlite3_step(handle)
            if code == SQLITE_DONE { return }
            guard code == SQLITE_ROW else {
                throw DatabaseError(
                    resultCode: ResultCode(rawValue: code),
                    message: sqlite3_db_handle(handle).map { String(cString: sqlite3_errmsg($0)) })
            }
            if ids.count >= Self.maximumRows || bytes.count >= Self.maximumBytes {
                hasMore = true
                return
            }
            append(handle)
        }
    }

    private mutating func append(_ handle: OpaquePointer) {
        ids.append(sqlite3_column_int64(handle, 0))
        // FNV-1a with each column's length in front: 64 bits suffice to distinguish versions of a row.
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325
        func mix(_ byte: UInt8) { digest = (digest ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        for column in 1...CInt(columns) {
            // Numbers are read as text, as the search compares them.
            guard let start = sqlite3_column_blob(handle, column) else {
                let isNull = sqlite3_column_type(handle, column) == SQLITE_NULL
                extents.append(isNull ? nil : bytes.count..<bytes.count)
                mix(isNull ? 0 : 1)
                continue
            }
            let text = UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
            withUnsafeBytes(of: text.count) { $0.forEach(mix) }
            text.forEach(mix)
            extents.append(bytes.count..<bytes.count + text.count)
            bytes.append(contentsOf: text)
        }
        digests.append(Int64(bitPattern: digest))
    }

    /// Adds the rows at these places to a generation. An earlier version of a row is superseded: its old text stays in
    /// the index and still finds the row, which the comparison with the table then rejects.
    func insert(_ places: some Sequence<Int>, into generation: Int64, _ db: Database) throws {
        let names = (0..<columns).map { ", c\($0)" }.joined()
        let marks = String(repeating: ", ?", count: columns)
        let text = try db.cachedStatement(
            sql: "INSERT INTO \(ExternalIndexRecord.text(generation))(rowid\(names)) VALUES (?\(marks))")
        let digest = try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO \(ExternalIndexRecord.digests(generation)) (id, digest) VALUES (?, ?)")
        try bytes.withUnsafeBytes { bytes in
            for place in places {
                sqlite3_bind_int64(text.sqliteStatement, 1, ids[place])
                for column in 0..<columns {
                    bind(extents[place * columns + column], of: bytes, CInt(column + 2), text.sqliteStatement)
                }
                try step(text.sqliteStatement)
                sqlite3_bind_int64(digest.sqliteStatement, 1, ids[place])
                sqlite3_bind_int64(digest.sqliteStatement, 2, digests[place])
                try step(digest.sqliteStatement)
            }
            // The statement outlives the bytes bound to it.
            sqlite3_clear_bindings(text.sqliteStatement)
        }
    }

    private func bind(
        _ extent: Extent, of bytes: UnsafeRawBufferPointer, _ index: CInt, _ handle: OpaquePointer
    ) {
        guard let extent else {
            sqlite3_bind_null(handle, index)
            return
        }
        let text = UnsafeRawBufferPointer(rebasing: bytes[extent])
        // Static (a nil destructor): the bytes outlive the step.
        if let start = text.baseAddress {
            sqlite3_bind_text64(
                handle, index, start.assumingMemoryBound(to: CChar.self), UInt64(text.count), nil, UInt8(SQLITE_UTF8))
        } else {
            sqlite3_bind_text64(
                handle, index, "", 0, unsafeBitCast(-1, to: sqlite3_destructor_type.self), UInt8(SQLITE_UTF8))
        }
    }

    private func step(_ handle: OpaquePointer) throws {
        let code = sqlite3_step(handle)
        let message = sqlite3_db_handle(handle).map { String(cString: sqlite3_errmsg($0)) }
        sqlite3_reset(handle)
        guard code == SQLITE_DONE else { throw DatabaseError(resultCode: ResultCode(rawValue: code), message: message) }
    }
}
