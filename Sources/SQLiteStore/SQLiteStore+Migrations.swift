import Foundation
import GRDB
import Store

extension SQLiteStore {
    /// Migrates the schema. Two processes may start at once: the one that loses the race finds the tables created, so
    /// that an error counts only if the schema is still incomplete afterwards.
    static func migrate(_ database: any DatabaseWriter, at location: SQLiteLocation) throws {
        let migrator = Self.migrator
        if try database.read(migrator.hasBeenSuperseded) {
            throw StoreError(
                .newerSchema, "cannot open database \(location): its schema was made by a newer version of tool-server")
        }
        do {
            try migrator.migrate(database)
        } catch {
            try migrator.migrate(database)
        }
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 accounts, sessions, messages") { db in
            try db.execute(
                sql: """
                    CREATE TABLE account (
                        id INTEGER PRIMARY KEY,
                        username TEXT NOT NULL UNIQUE CHECK (length(username) BETWEEN 1 AND 150),
                        alias TEXT NOT NULL DEFAULT '' CHECK (length(alias) <= 150),
                        password_hash TEXT NOT NULL,
                        is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
                        created_at INTEGER NOT NULL
                    ) STRICT;

                    CREATE TABLE login_session (
                        digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
                        account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
                        created_at INTEGER NOT NULL,
                        expires_at INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;
                    CREATE INDEX login_session_account ON login_session (account_id);
                    CREATE INDEX login_session_expiry ON login_session (expires_at);

                    CREATE TABLE message (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        user_id TEXT NOT NULL,
                        message TEXT NOT NULL,
                        response TEXT NOT NULL,
                        at INTEGER NOT NULL
                    ) STRICT;
                    CREATE INDEX message_user ON message (user_id, at, id);
                    """)
        }
        migrator.registerMigration("2 projects, tasks, customers, documents") { db in
            try db.execute(
                sql: """
                    CREATE TABLE project (
                        id INTEGER PRIMARY KEY,
                        name TEXT NOT NULL,
                        description TEXT NOT NULL DEFAULT ''
                    ) STRICT;

                    CREATE TABLE task (
                        id INTEGER PRIMARY KEY,
                        title TEXT NOT NULL,
                        notes TEXT NOT NULL DEFAULT '',
                        project_id INTEGER REFERENCES project (id) ON DELETE CASCADE
                    ) STRICT;
                    CREATE INDEX task_project ON task (project_id);

                    CREATE TABLE customer (
                        id INTEGER PRIMARY KEY,
                        company TEXT NOT NULL,
                        contact TEXT NOT NULL DEFAULT ''
                    ) STRICT;

                    CREATE TABLE document (
                        id INTEGER PRIMARY KEY,
                        title TEXT NOT NULL,
                        url TEXT NOT NULL DEFAULT '',
                        body TEXT NOT NULL
                    ) STRICT;

                    CREATE TABLE passage (
                        id INTEGER PRIMARY KEY,
                        document_id INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
                        title TEXT NOT NULL,
                        text TEXT NOT NULL
                    ) STRICT;
                    CREATE INDEX passage_document ON passage (document_id);
                    """)
            for model in SearchModel.builtIn {
                try createIndex(
                    db, named: model.index, table: model.table, columns: model.columns, tokenizer: "trigram")
            }
            try createIndex(
                db, named: "passage_words", table: "passage", columns: ["title", "text"],
                tokenizer: "porter unicode61 remove_diacritics 2")
        }
        migrator.registerMigration("3 API keys") { db in
            try db.execute(
                sql: """
                    CREATE TABLE api_key (
                        id INTEGER PRIMARY KEY,
                        digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
                        name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 150),
                        hint TEXT NOT NULL,
                        scopes TEXT NOT NULL DEFAULT '',
                        user_id TEXT,
                        created_at INTEGER NOT NULL,
                        expires_at INTEGER,
                        revoked_at INTEGER,
                        last_used_at INTEGER
                    ) STRICT;
                    CREATE UNIQUE INDEX api_key_name ON api_key (name) WHERE revoked_at IS NULL;
                    """)
        }
        migrator.registerMigration("4 messages by age") { db in
            try db.execute(sql: "CREATE INDEX message_at ON message (at, id)")
        }
        migrator.registerMigration("5 indexes beside external tables") { db in
            try db.execute(
                sql: """
                    CREATE TABLE side_index (
                        model TEXT NOT NULL PRIMARY KEY,
                        definition TEXT NOT NULL DEFAULT '',
                        generation INTEGER NOT NULL DEFAULT 0,
                        building INTEGER NOT NULL DEFAULT 0,
                        fingerprint TEXT NOT NULL DEFAULT '',
                        rows INTEGER NOT NULL DEFAULT 0,
                        last_id INTEGER NOT NULL DEFAULT 0,
                        outdated INTEGER NOT NULL DEFAULT 0,
                        checked_at INTEGER NOT NULL DEFAULT 0,
                        lease_until INTEGER NOT NULL DEFAULT 0
                    ) STRICT;
                    """)
        }
        migrator.registerMigration("6 grams of passages") { db in
            try db.execute(sql: "ALTER TABLE passage ADD COLUMN grams TEXT NOT NULL DEFAULT ''")
            for row in try Row.fetchAll(db, sql: "SELECT id, title, text FROM passage") {
                try db.execute(
                    sql: "UPDATE passage SET grams = ? WHERE id = ?",
                    arguments: [grams(title: row.text("title"), text: row.text("text")), row.integer("id")])
            }
            try createIndex(db, named: "passage_grams", table: "passage", columns: ["grams"], tokenizer: "ascii")
            try db.execute(sql: "INSERT INTO passage_grams(passage_grams) VALUES ('rebuild')")
        }
        migrator.registerMigration("7 authorization server") { db in
            try db.execute(sql: OAuthSchema.statements(integer: "INTEGER", blob: "BLOB"))
        }
        migrator.registerMigration("8 results of writes") { db in
            try db.execute(sql: WriteJournal.statements(integer: "INTEGER", blob: "BLOB"))
        }
        migrator.registerMigration("9 use of tokens") { db in
            try db.execute(sql: TokenUsageSchema.statements(integer: "INTEGER"))
        }
        return migrator
    }

    /// Returns the grams of a passage, as words of its full-text index: words with letters beyond ASCII or in lower
    /// case.
    static func grams(title: String, text: String) -> String {
        TextGrams.indexed(title + "\n" + text).joined(separator: " ")
    }

    /// Creates a full-text index over columns of a table, without a copy of the text, kept current by triggers.
    private static func createIndex(
        _ db: Database, named index: String, table: String, columns: [String], tokenizer: String
    ) throws {
        let names = columns.joined(separator: ", ")
        let new = columns.map { "new.\($0)" }.joined(separator: ", ")
        let old = columns.map { "old.\($0)" }.joined(separator: ", ")
        try db.execute(
            sql: """
                CREATE VIRTUAL TABLE \(index) USING fts5(
                    \(names), content='\(table)', content_rowid='id', tokenize='\(tokenizer)');
                CREATE TRIGGER \(index)_insert AFTER INSERT ON \(table) BEGIN
                    INSERT INTO \(index)(rowid, \(names)) VALUES (new.id, \(new));
                END;
                CREATE TRIGGER \(index)_delete AFTER DELETE ON \(table) BEGIN
                    INSERT INTO \(index)(\(index), rowid, \(names)) VALUES ('delete', old.id, \(old));
                END;
                CREATE TRIGGER \(index)_update AFTER UPDATE ON \(table) BEGIN
                    INSERT INTO \(index)(\(index), rowid, \(names)) VALUES ('delete', old.id, \(old));
                    INSERT INTO \(index)(rowid, \(names)) VALUES (new.id, \(new));
                END;
                """)
    }
}
