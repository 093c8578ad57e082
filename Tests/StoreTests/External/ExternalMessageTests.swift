import Foundation
import GRDB
import JSON
import JSONConfiguration
import Testing
import ToolServerTestSupport

@testable import SQLiteStore
@testable import Store

@Suite struct ExternalMessageTests {
    private func message(_ text: String, at seconds: Double) -> StoredMessage {
        StoredMessage(message: text, response: "Echo: " + text, at: Date(timeIntervalSince1970: seconds))
    }

    @Test func messagesAreStoredAsTheSiteStoresThemAndReadBack() async throws {
        let legacy = try LegacyDatabase()
        let before = try legacy.shape()
        let database = try legacy.open()
        try await database.appendMessage(message("first", at: 1_800_000_000), userID: "django:1")
        try await database.appendMessage(message("a\0b ü 🚀", at: 1_800_000_000.25), userID: "django:1")
        try await database.appendMessage(message("bob's", at: 1_800_000_001), userID: "django:2")
        let rows = try legacy.write { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT user_id, typeof(user_id) AS type, CAST(message AS BLOB) AS message, typeof(message) AS text,
                        created_at FROM ai_chatmessage ORDER BY id
                    """)
        }
        #expect(rows.map { $0["user_id"] } == [1, 1, 2])
        #expect(rows.map { $0["type"] } == ["integer", "integer", "integer"])
        #expect(rows.map { $0["text"] } == ["text", "text", "text"])
        #expect(rows[1]["message"] == Data("a\0b ü 🚀".utf8))
        #expect(
            rows.map { $0["created_at"] } == [
                "2027-01-15 08:00:00", "2027-01-15 08:00:00.250000", "2027-01-15 08:00:01",
            ])
        let history = try await database.messages(userID: "django:1", limit: 50)
        #expect(history.map(\.message) == ["a\0b ü 🚀", "first"])
        #expect(history.map(\.at.timeIntervalSince1970) == [1_800_000_000.25, 1_800_000_000])
        #expect(try await database.messages(userID: "django:1", limit: 1).count == 1)
        #expect(try await database.messages(userID: "django:3", limit: 50).isEmpty)
        #expect(try legacy.shape() == before)
    }

    @Test(arguments: Engine.allCases)
    func aPageOfTheSitesTableIsBoundedInBytes(engine: Engine) async throws {
        let site = try await engine.site()
        let database = try await site.opened()
        let long = String(repeating: "ü", count: 2000)
        for number in 0..<4 { try await database.appendMessage(message(long, at: Double(number)), userID: "django:1") }
        var position: PagePosition?
        var count = 0
        repeat {
            let page = try await database.messages(
                userID: "django:1", within: MessagePageBounds(rows: 50, bytes: 1001), after: position)
            for message in page.messages {
                #expect(message.message == String(repeating: "ü", count: 250))
                #expect(message.storedBytes == StoredMessage.Lengths(message: 4000, response: 4006))
            }
            count += page.messages.count
            position = page.next
        } while position != nil && count < 9
        #expect(count == 4)
        try await database.close()
        // Its files go with it.
        withExtendedLifetime(site) {}
    }

    @Test(arguments: ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'20000-01-01'"])
    func aDateOfTheSiteThatNoCalendarHasHidesNoMessage(date: String) async throws {
        let site = try await LegacyPostgreSQL()
        try await site.change(
            "INSERT INTO ai_chatmessage (message, response, created_at, user_id) VALUES ('m', 'r', \(date), 1)")
        let database = try await site.open()
        #expect(try await database.messages(userID: "django:1", limit: 5).map(\.message) == ["m"])
        try await database.close()
    }

    /// SQLite keeps any type in any column; a row that holds another than its column says must not end the process.
    @Test(arguments: ["x'ff00fe'", "1e300", "-9223372036854775808", "NULL", "'0000-99-99'", "''", "x''"])
    func valuesOfAnyTypeInTheSitesRowsAreRead(value: String) async throws {
        let legacy = try LegacyDatabase()
        try legacy.write { db in
            // The copies have no constraints and no types.
            try db.execute(
                sql: """
                    CREATE TABLE users AS SELECT * FROM ai_user;
                    CREATE TABLE sessions AS SELECT * FROM django_session;
                    CREATE TABLE said AS SELECT id, message, response, created_at, user_id FROM ai_chatmessage;
                    INSERT INTO said VALUES (\(value), \(value), \(value), \(value), 1);
                    UPDATE users SET username = \(value), alias = \(value), is_active = \(value), password = \(value);
                    UPDATE sessions SET session_data = \(value) WHERE session_key = '\(LegacyDatabase.bob)';
                    """)
        }
        let database = try legacy.open([
            "django": ["users": ["table": "users", "alias": "alias"], "sessions": ["table": "sessions"]],
            "messages": ["table": "said"],
        ])
        #expect(try await database.djangoUser(id: "1") != nil)
        _ = try await database.djangoUserID(named: "alice")
        _ = try await database.djangoSession(key: LegacyDatabase.bob, now: LegacyDatabase.now)
        let page = try await database.messages(userID: "django:1", limit: 5, after: nil)
        _ = try await database.messages(userID: "django:1", limit: 1, after: page.next)
        try await database.close()
    }

    @Test func aUserThatIsNotThereIsRefusedByTheDatabase() async throws {
        let legacy = try LegacyDatabase()
        let database = try legacy.open()
        await #expect(throws: StoreError.self) {
            try await database.appendMessage(message("x", at: 1), userID: "django:99")
        }
        #expect(try legacy.write { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM ai_chatmessage") } == 0)
    }

    @Test func messagesOfOtherIdentitiesStayInOurOwnTable() async throws {
        let legacy = try LegacyDatabase()
        let own = try SQLiteStore(at: .memory)
        let messages = DividedMessages(external: try legacy.open(), own: own)
        try await messages.appendMessage(message("mine", at: 1), userID: "local:1")
        try await messages.appendMessage(message("theirs", at: 1), userID: "django:1")
        #expect(try await messages.messages(userID: "local:1", limit: 5).map(\.message) == ["mine"])
        #expect(try await messages.messages(userID: "django:1", limit: 5).map(\.message) == ["theirs"])
        #expect(try await own.messages(userID: "django:1", limit: 5).isEmpty)
    }

    @Test(arguments: [
        (#"{"table":"nope"}"#, "toolServer.messages.table"),
        (#"{"table":"ai_chatmessage","user":"owner"}"#, "toolServer.messages.user"),
        (
            #"{"table":"ai_user","user":"id","message":"username","response":"email","createdAt":"last_login"}"#,
            "requires password"
        ),
    ])
    func aTableThatDoesNotFitIsRefused(messages: String, told: String) throws {
        let legacy = try LegacyDatabase()
        let errors = #expect(throws: ConfigurationErrors.self) {
            try legacy.open(["messages": JSONValue(parsing: messages)])
        }
        #expect(errors?.description.contains(told) == true, "\(errors?.description ?? "")")
    }
}
