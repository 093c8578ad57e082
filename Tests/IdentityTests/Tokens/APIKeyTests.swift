import Foundation
import GRDB
import Logging
import MCPServer
import NIOConcurrencyHelpers
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import SQLiteStore

@Suite struct APIKeyTests {
    private let store: SQLiteStore
    private let login: LoginService
    private let service: APIKeyService
    private let chain: IdentityChain
    private let clock = NIOLockedValueBox(Date(timeIntervalSince1970: 1_790_000_000))

    init() throws {
        let clock = clock
        let now: @Sendable () -> Date = { clock.withLockedValue { $0 } }
        store = try SQLiteStore(at: .memory)
        login = LoginService(accounts: store, sessions: store, hasher: try .test(), now: now)
        let directory = UserDirectory([.accounts(store)])
        service = APIKeyService(keys: store, directory: directory, now: now)
        chain = IdentityChain(
            [LoginCookieIdentity(login: login)],
            tokens: [APIKeyIdentity(keys: store, directory: directory, logger: Logger(label: "test"), now: now)],
            keyHeader: "X-API-Key")
    }

    private func identify(_ headers: [(String, String)]) async throws -> IdentityOutcome {
        try await chain.identify(PresentedCredentials(headers: .init(headers)))
    }

    private func principal(_ text: APIKeyText) async throws -> Principal? {
        guard case .principal(let principal) = try await identify([("Authorization", "Bearer \(text.text)")]) else {
            return nil
        }
        return principal
    }

    private func reason(_ headers: [(String, String)]) async throws -> String? {
        guard case .rejected(_, let reason) = try await identify(headers) else { return nil }
        return reason
    }

    @Test func aKeyActsForItselfWithItsScopes() async throws {
        let (key, text) = try await service.create(name: "ci", scopes: ["records:read", "chat"])
        #expect(text.text.hasPrefix("tsk_"))
        #expect(text.text.utf8.count == 47)
        #expect(key.hint == String(text.text.prefix(8)))
        let principal = try #require(await principal(text))
        #expect(principal.id == "key:ci")
        #expect(principal.name == "ci")
        #expect(principal.scopes == ["records:read", "chat"])
        #expect(!principal.hasAllScopes)
        #expect(!principal.isCookie)
    }

    @Test func aKeyActsForItsUserAsLongAsTheUserIsActive() async throws {
        let ada = try await login.createAccount(username: "ada", alias: "A", password: "correct horse")
        let (_, text) = try await service.create(name: "ada's", user: "ada")
        let principal = try #require(await principal(text))
        // The same user as with a cookie: the same history and sessions.
        #expect(principal.id == ada.principal.id)
        #expect(principal.attributes == ["alias": "A"])
        #expect(!principal.hasAllScopes)
        try await store.setActive(false, accountID: ada.id)
        #expect(
            try await reason([("Authorization", "Bearer \(text.text)")])
                == "The API key's user does not exist any more or is disabled")
        await #expect(throws: APIKeyError.self) { try await service.create(name: "x", user: "ada") }
        await #expect(throws: APIKeyError.self) { try await service.create(name: "x", user: "nobody") }
    }

    @Test func revokingAndExpiryEndAKey() async throws {
        let (_, revoked) = try await service.create(name: "revoked")
        let (_, short) = try await service.create(name: "short", lifetime: .seconds(60))
        #expect(try await principal(revoked) != nil)
        #expect(try await service.revoke(name: "revoked"))
        #expect(try await service.revoke(name: "revoked") == false)
        #expect(try await reason([("Authorization", "Bearer \(revoked.text)")]) == "The API key has been revoked")
        clock.withLockedValue { $0 += 59 }
        #expect(try await principal(short) != nil)
        clock.withLockedValue { $0 += 1 }
        #expect(try await reason([("Authorization", "Bearer \(short.text)")]) == "The API key has expired")
        #expect(try await service.list().map { $0.state(at: clock.withLockedValue { $0 }) } == [.revoked, .expired])
    }

    @Test(arguments: [
        ("tsk_", "malformed"), ("tsk_short", "malformed"), ("tsk_" + String(repeating: "A", count: 43), "unknown"),
        ("tsk_" + String(repeating: "A", count: 44), "malformed"), ("abc", "kind"), ("a.b.c", "kind"),
        ("tsk_" + String(repeating: "A", count: 9000), "too long"), ("", "malformed"), ("a b", "malformed"),
        ("a\u{7F}b", "malformed"), ("é", "malformed"),
    ])
    func whatIsNoKeyIsRefusedAndNeverAnonymous(token: String, part: String) async throws {
        let reason = try #require(await reason([("Authorization", "Bearer \(token)")]))
        #expect(reason.contains(part), "\(reason)")
    }

    @Test func aKeyMayComeInItsOwnHeaderButOnlyOnce() async throws {
        let (_, text) = try await service.create(name: "ci")
        guard case .principal(let principal) = try await identify([("x-api-key", text.text)]) else {
            Issue.record("the header is not looked at")
            return
        }
        #expect(principal.name == "ci")
        let twice = "More than one credential is presented"
        #expect(try await reason([("X-API-Key", text.text), ("X-API-Key", text.text)]) == twice)
        let bearer = ("Authorization", "Bearer \(text.text)")
        #expect(try await reason([("X-API-Key", text.text), bearer]) == twice)
        #expect(try await reason([bearer, bearer]) == twice)
        #expect(try await reason([bearer, ("Authorization", "Basic eDp5")]) == twice)
        #expect(try await reason([("X-API-Key", "abc")]) == "The API key is malformed")
    }

    @Test func aWrongTokenIsRefusedWhateverCookieComesWithIt() async throws {
        let ada = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let (_, text) = try await service.create(name: "ci")
        let cookie = ("Cookie", "sessionid=" + (try await login.openSession(for: ada)).text)
        #expect(try await reason([cookie, ("Authorization", "Bearer nonsense")]) != nil)
        guard case .principal(let both) = try await identify([cookie, ("Authorization", "bearer  \(text.text)")]) else {
            Issue.record("a good key is refused")
            return
        }
        #expect(both.name == "ci")
        // Other schemes are none of ours.
        guard case .principal(let basic) = try await identify([cookie, ("Authorization", "Basic eDp5")]) else {
            Issue.record("a cookie beside another scheme is refused")
            return
        }
        #expect(basic.name == "ada")
    }

    @Test func withoutTokenProvidersAuthorizationIsNobodysAffair() async throws {
        let chain = IdentityChain([LoginCookieIdentity(login: login)])
        let outcome = try await chain.identify(.init(cookieHeaders: [], authorization: "Bearer tsk_x"))
        guard case .none = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }

    @Test func usesAreNotedCoarsely() async throws {
        let start = clock.withLockedValue { $0 }
        let (key, text) = try await service.create(name: "ci")
        func used() async throws -> Date? { try await store.apiKey(digest: key.digest)?.lastUsedAt }
        #expect(try await used() == nil)
        _ = try await principal(text)
        #expect(try await used() == start)
        clock.withLockedValue { $0 += 3599 }
        _ = try await principal(text)
        #expect(try await used() == start)
        clock.withLockedValue { $0 += 1 }
        _ = try await principal(text)
        #expect(try await used() == start + 3600)
    }

    @Test(
        arguments: [
            ("", []), ("a b", []), (String(repeating: "x", count: 151), []), ("ok", [""]), ("ok", ["a b"]),
            ("ok", ["a\"b"]), ("ok", ["ä"]), ("ok", ["a\\b"]),
        ] as [(String, [String])])
    func unfitNamesAndScopesAreRefused(name: String, scopes: [String]) async throws {
        await #expect(throws: APIKeyError.self) { try await service.create(name: name, scopes: scopes) }
        #expect(try await service.list().isEmpty)
    }

    @Test func neitherTheDatabaseNorAPrintedValueHoldsTheKey() async throws {
        let (key, text) = try await service.create(name: "ci")
        let secret = text.text.dropFirst(8)
        let rows = try await store.read { try Row.fetchAll($0, sql: "SELECT * FROM api_key").map { "\($0)" } }
        #expect(rows.count == 1)
        for printed in rows + ["\(text)", "\(key)", String(reflecting: text), "\((text, key))"] {
            #expect(!printed.contains(secret))
        }
        var dumped = ""
        dump(text, to: &dumped)
        #expect(!dumped.contains(secret))
    }
}

@Suite struct SecretComparisonTests {
    /// Counts how often its elements are looked at.
    private final class Watched: Collection {
        let bytes: [UInt8]
        var reads = 0
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        var startIndex: Int { 0 }
        var endIndex: Int { bytes.count }
        func index(after index: Int) -> Int { index + 1 }
        subscript(index: Int) -> UInt8 {
            reads += 1
            return bytes[index]
        }
    }

    @Test func everyByteIsLookedAtWhereverTheDifferenceIs() {
        let secret = Array("0123456789abcdef".utf8)
        #expect(SecretComparison.equal(Watched(secret), secret))
        for place in secret.indices {
            var other = secret
            other[place] ^= 1
            let (presented, expected) = (Watched(other), Watched(secret))
            #expect(!SecretComparison.equal(presented, expected))
            #expect(presented.reads == secret.count)
            #expect(expected.reads == secret.count)
        }
        for other in [[], Array(secret.dropLast()), secret + [0]] {
            let expected = Watched(secret)
            #expect(!SecretComparison.equal(other, expected))
            #expect(expected.reads == secret.count)
        }
        #expect(SecretComparison.equal([], []))
    }

    @Test func goodAndBadKeysTakeTheSameSteps() async throws {
        // What could tell a wrong key from a good one before the look-up ends: the number of statements that it costs.
        let store = try SQLiteStore(at: .memory)
        let service = APIKeyService(keys: store, directory: UserDirectory([]))
        let (_, text) = try await service.create(name: "ci")
        let statements = NIOLockedValueBox(0)
        try await store.write { db in
            db.trace { event in
                if case .statement = event { statements.withLockedValue { $0 += 1 } }
            }
        }
        let identity = APIKeyIdentity(
            keys: store, directory: UserDirectory([]), logger: Logger(label: "test"))
        func cost(_ token: String) async throws -> Int {
            statements.withLockedValue { $0 = 0 }
            _ = try await identity.identify(.bearer(token))
            return statements.withLockedValue { $0 }
        }
        _ = try await cost(text.text)
        let good = try await cost(text.text)
        #expect(good > 0)
        let near = text.text.dropLast() + (text.text.last == "A" ? "E" : "A")
        for wrong in [String(near), APIKeyText().text] { #expect(try await cost(wrong) == good) }
    }
}
