import Foundation
import GRDB
import JSON
import Testing
import ToolServerTestSupport

@testable import SQLiteStore
@testable import Store
@testable import ToolServerCore

@Suite struct PersonalDataTests {
    private func key(_ name: String, of user: String?, _ byte: UInt8) -> APIKey {
        APIKey(
            digest: Array(repeating: byte, count: 32), name: name, hint: "tsk_secret", scopes: ["read"], userID: user,
            createdAt: Date(milliseconds: 5), expiresAt: nil, revokedAt: nil, lastUsedAt: nil)
    }

    private func exported(_ data: PersonalData, _ name: String) async throws -> (JSONValue, text: String) {
        let subject = try #require(await data.subject(named: name))
        var text = ""
        try await data.export(subject) { text += $0 }
        return (try JSONValue(parsing: text), text)
    }

    @Test func anExportHasEverythingButSecrets() async throws {
        let fixture = try await ToolFixture()
        let server = fixture.toolServer
        let token = try await server.login.openSession(for: fixture.alice)
        try await fixture.store.insertAPIKey(key("mine", of: fixture.alice.principal.id, 1))
        try await fixture.store.insertAPIKey(key("his", of: fixture.bob.principal.id, 2))
        for number in 1...450 {
            try await fixture.store.appendMessage(
                StoredMessage(message: "q\(number) \"\n\0", response: "r", at: Date(milliseconds: Int64(number))),
                userID: fixture.alice.principal.id)
        }
        try await fixture.store.appendMessage(
            StoredMessage(message: "not hers", response: "r", at: Date()), userID: fixture.bob.principal.id)
        let (json, text) = try await exported(server.personalData, "alice")
        #expect(json["account"] == ["id": "local:1", "username": "alice", "alias": "Al", "active": true])
        #expect(json["sessions"]?.array?.count == 1)
        #expect(json["keys"]?.array?.compactMap { $0["name"]?.string } == ["mine"])
        #expect(json["messages"]?.array?.count == 450)
        #expect(json["messages"]?[0]?["message"] == "q450 \"\n\0")
        for secret in ["not hers", token.text, fixture.alice.passwordHash, "tsk_secret"] {
            #expect(!text.contains(secret))
        }
        let (empty, _) = try await exported(server.personalData, "bob")
        #expect(empty["sessions"] == [])
        #expect(try await server.personalData.subject(named: "nobody") == nil)
    }

    @Test(arguments: Engine.allCases)
    func deletingLeavesNothingOfOneUserAndAllOfTheOthers(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine)
        let data = fixture.toolServer.personalData
        for account in [fixture.alice, fixture.bob] {
            _ = try await fixture.toolServer.login.openSession(for: account)
            try await fixture.store.insertAPIKey(
                key(account.username, of: account.principal.id, UInt8(account.id)))
            for _ in 1...3 {
                try await fixture.store.appendMessage(
                    StoredMessage(message: "m", response: "r", at: Date()), userID: account.principal.id)
            }
        }
        let alice = try #require(await data.subject(named: "alice"))
        #expect(try await data.delete(alice) == DeletedUserData(sessions: 1, messages: 3, keys: 1))
        #expect(try await data.subject(named: "alice") == nil)
        #expect(try await data.delete(alice) == DeletedUserData())
        var left: [String] = []
        for table in ["account", "login_session", "message", "api_key"] {
            left += try await fixture.store.column("SELECT CAST(count(*) AS text) FROM \(table)").compactMap(\.self)
        }
        #expect(left == ["1", "1", "3", "1"])
        #expect(try await fixture.store.messages(userID: fixture.bob.principal.id, limit: 9).count == 3)
    }

    @Test(arguments: [false, true])
    func messagesInSomebodyElsesTableAreRemovedOnlyWhereThatIsConfigured(isAllowed: Bool) async throws {
        let legacy = try LegacyDatabase()
        let configuration = try legacy.configuration([
            "messages": ["table": "ai_chatmessage", "allowDelete": .bool(isAllowed)]
        ])
        let opened = try await configuration.openExternal()
        let external = try #require(opened)
        let toolServer = try buildToolServer(
            configuration: configuration, external: external, hasher: .test(), logger: .init(label: "test"))
        let data = toolServer.personalData
        let alice = try #require(await data.subject(named: "alice"))
        #expect(alice.id == "django:1")
        try await toolServer.messages.appendMessage(
            StoredMessage(message: "hers", response: "r", at: Date()), userID: "django:1")
        try await toolServer.messages.appendMessage(
            StoredMessage(message: "his", response: "r", at: Date()), userID: "django:2")
        let (json, _) = try await exported(data, "alice")
        #expect(json["account"]?["alias"]?.string?.isEmpty == false)
        let before = try #require(json["messages"]?.array)
        #expect(before.contains { $0["message"] == "hers" } && !before.contains { $0["message"] == "his" })
        if isAllowed {
            #expect(try await data.delete(alice).messages == before.count)
        } else {
            let error = await #expect(throws: StoreError.self) { try await data.delete(alice) }
            #expect(error?.kind == .unsupported)
        }
        let after = try await toolServer.messages.messages(userID: "django:1", limit: 99)
        #expect(after.count == (isAllowed ? 0 : before.count))
        #expect(try await toolServer.messages.messages(userID: "django:2", limit: 99).contains { $0.message == "his" })
        await toolServer.shutdown()
    }

    @Test func messagesPastTheirAgeAreRemovedInBatches() async throws {
        let store = try SQLiteStore(at: .memory)
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        try await store.write { db in
            for number in 0..<1300 {
                try db.execute(
                    sql: "INSERT INTO message (user_id, message, response, at) VALUES (?, 'm', 'r', ?)",
                    arguments: ["local:\(number % 3)", now.milliseconds - Int64(number) * 60_000])
            }
        }
        #expect(try await store.deleteMessages(before: now.addingTimeInterval(-3600), limit: 10) == 10)
        let retention = HistoryRetention(messages: store, age: .seconds(3600))
        #expect(try await retention.sweep(now: now) == 1300 - 61 - 10)
        #expect(try await retention.sweep(now: now) == 0)
        let left = try await store.read { db in
            try Int64.fetchAll(db, sql: "SELECT at FROM message ORDER BY at")
        }
        #expect(left.count == 61)
        #expect(left.first == now.milliseconds - 3_600_000)
    }
}
