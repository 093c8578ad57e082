import Foundation
import Testing
import ToolServerTestSupport

@testable import Store

@Suite struct APIKeyStoreTests {
    private let start = Date(milliseconds: 1_790_000_000_123)

    private func key(_ name: String, _ byte: UInt8, scopes: [String] = [], userID: String? = nil) -> APIKey {
        APIKey(
            digest: Array(repeating: byte, count: 32), name: name, hint: "tsk_ab", scopes: scopes, userID: userID,
            createdAt: start + Double(byte), expiresAt: start + 1000)
    }

    @Test(arguments: Engine.allCases)
    func keysComeBackAsTheyWereStored(engine: Engine) async throws {
        let store = try await engine.store()
        let keys = [key("two", 2, scopes: ["records:read", "chat"], userID: "local:3"), key("one", 1)]
        for key in keys { try await store.insertAPIKey(key) }
        #expect(try await store.apiKeys() == keys.reversed())
        #expect(try await store.apiKey(digest: keys[0].digest) == keys[0])
        #expect(try await store.apiKey(digest: Array(repeating: 9, count: 32)) == nil)
        #expect(try await store.apiKey(digest: []) == nil)
    }

    @Test(arguments: Engine.allCases)
    func aNameIsFreeAgainOnceItsKeyIsRevoked(engine: Engine) async throws {
        let store = try await engine.store()
        try await store.insertAPIKey(key("ci", 1))
        let error = await #expect(throws: StoreError.self) { try await store.insertAPIKey(key("ci", 2)) }
        #expect(error?.kind == .duplicate)
        #expect(try await store.revokeAPIKey(named: "ci", at: start + 5))
        #expect(try await store.revokeAPIKey(named: "ci", at: start + 6) == false)
        try await store.insertAPIKey(key("ci", 2))
        #expect(try await store.apiKeys().map(\.revokedAt) == [start + 5, nil])
    }

    @Test(arguments: Engine.allCases)
    func theLatestUseIsKept(engine: Engine) async throws {
        let store = try await engine.store()
        let ci = key("ci", 1)
        try await store.insertAPIKey(ci)
        for seconds in [10.0, 30, 20] { try await store.noteUse(ofAPIKey: ci.digest, at: start + seconds) }
        #expect(try await store.apiKey(digest: ci.digest)?.lastUsedAt == start + 30)
        try await store.noteUse(ofAPIKey: Array(repeating: 9, count: 32), at: start)
    }
}
