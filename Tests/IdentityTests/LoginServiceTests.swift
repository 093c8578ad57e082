import Foundation
import MCPServer
import NIOConcurrencyHelpers
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import Store

@Suite struct LoginServiceTests {
    /// A store of an engine with a login service on it, and its clock.
    private struct Fixture {
        let store: any InternalStore
        let login: LoginService
        let clock = NIOLockedValueBox(Date(timeIntervalSince1970: 1_790_000_000))

        init(_ engine: Engine) async throws {
            let clock = clock
            store = try await engine.store()
            login = LoginService(
                accounts: store, sessions: store, hasher: try .test(), lifetime: .seconds(100),
                now: { clock.withLockedValue { $0 } })
        }

        func advance(_ seconds: Double) {
            clock.withLockedValue { $0 += seconds }
        }
    }

    @Test(arguments: Engine.allCases)
    func theRightPasswordOpensASession(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let login = fixture.login
        _ = try await login.createAccount(username: "ada", alias: "A", password: "correct horse")
        let (account, token) = try await login.login(username: "ada", password: "correct horse", replacing: nil)
        #expect(account.username == "ada")
        #expect(try await login.account(token)?.id == account.id)
    }

    @Test(
        arguments: Engine.allCases,
        [
            ("ada", "wrong horse"), ("ada", ""), ("Ada", "correct horse"), ("nobody", "correct horse"), ("", ""),
            ("ada", "correct horse\0"), ("ada' --", "x"),
        ])
    func wrongCredentialsAreRefused(engine: Engine, example: (String, String)) async throws {
        let (username, password) = example
        let fixture = try await Fixture(engine)
        let login = fixture.login
        _ = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        await #expect(throws: LoginService.LoginError.wrongCredentials) {
            try await login.login(username: username, password: password, replacing: nil)
        }
    }

    @Test(arguments: Engine.allCases)
    func anInactiveAccountIsRefusedAndItsSessionsAreWorthNothing(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let (store, login) = (fixture.store, fixture.login)
        _ = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let (_, token) = try await login.login(username: "ada", password: "correct horse", replacing: nil)
        try await store.change("UPDATE account SET is_active = \(engine == .sqlite ? "0" : "false")")
        #expect(try await login.account(token) == nil)
        await #expect(throws: LoginService.LoginError.wrongCredentials) {
            try await login.login(username: "ada", password: "correct horse", replacing: nil)
        }
    }

    @Test(arguments: Engine.allCases)
    func sessionsExpire(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let (store, login) = (fixture.store, fixture.login)
        let account = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let token = try await login.openSession(for: account)
        fixture.advance(99)
        #expect(try await login.account(token) != nil)
        fixture.advance(1)
        #expect(try await login.account(token) == nil)
        #expect(try await store.deleteExpiredLoginSessions(now: login.now()) == 1)
    }

    @Test(arguments: Engine.allCases)
    func loggingInRotatesTheSession(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let login = fixture.login
        let account = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let old = try await login.openSession(for: account)
        let other = try await login.openSession(for: account)
        let (_, new) = try await login.login(username: "ada", password: "correct horse", replacing: old)
        #expect(new != old)
        #expect(try await login.account(old) == nil)
        #expect(try await login.account(new) != nil)
        #expect(try await login.account(other) != nil)
    }

    @Test(arguments: Engine.allCases)
    func aPresentedTokenIsNeverAdopted(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let login = fixture.login
        // Session fixation: whoever plants a token before the login does not share it afterwards.
        _ = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let planted = SessionToken()
        let (_, token) = try await login.login(username: "ada", password: "correct horse", replacing: planted)
        #expect(token != planted)
        #expect(try await login.account(planted) == nil)
    }

    @Test(arguments: Engine.allCases)
    func loggingOutEndsTheSession(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let login = fixture.login
        let account = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let token = try await login.openSession(for: account)
        try await login.logout(token)
        #expect(try await login.account(token) == nil)
        try await login.logout(token)
    }

    @Test(arguments: Engine.allCases)
    func aNewPasswordEndsAllSessions(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let (store, login) = (fixture.store, fixture.login)
        let account = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let token = try await login.openSession(for: account)
        try await store.updatePasswordHash("x", accountID: account.id)
        #expect(try await login.account(token) == nil)
    }

    @Test(arguments: Engine.allCases)
    func disablingAnAccountEndsItsSessionsForGood(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let (store, login) = (fixture.store, fixture.login)
        let account = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let token = try await login.openSession(for: account)
        try await store.setActive(false, accountID: account.id)
        #expect(try await login.account(token) == nil)
        #expect(try await store.account(id: account.id)?.isActive == false)
        try await store.setActive(true, accountID: account.id)
        #expect(try await store.account(id: account.id)?.isActive == true)
        #expect(try await login.account(token) == nil)
    }

    @Test(arguments: Engine.allCases)
    func noSessionOpensForAnAccountThatChangedMeanwhile(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let (store, login) = (fixture.store, fixture.login)
        let read = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let kept = try await login.openSession(for: read)
        try await store.updatePasswordHash("other", accountID: read.id)
        await #expect(throws: LoginService.LoginError.wrongCredentials) {
            try await login.openSession(for: read, replacing: kept)
        }
        let current = try #require(try await store.account(named: "ada"))
        _ = try await login.openSession(for: current)
        try await store.setActive(false, accountID: read.id)
        await #expect(throws: LoginService.LoginError.wrongCredentials) { try await login.openSession(for: current) }
        #expect(try await store.loginSessions(accountID: read.id, now: .distantPast).isEmpty)
    }

    @Test(arguments: Engine.allCases)
    func theSessionsOfAnAccountAreListedAndEndedTogether(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let (store, login) = (fixture.store, fixture.login)
        let ada = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let bob = try await login.createAccount(username: "bob", alias: "", password: "correct horse")
        let first = try await login.openSession(for: ada)
        fixture.advance(10)
        let second = try await login.openSession(for: ada)
        let other = try await login.openSession(for: bob)
        let listed = try await store.loginSessions(accountID: ada.id, now: login.now())
        #expect(listed.map(\.digest) == [second.digest, first.digest])
        #expect(listed.first?.expiresAt.timeIntervalSince(listed[0].createdAt) == 100)
        fixture.advance(95)
        #expect(try await store.loginSessions(accountID: ada.id, now: login.now()).map(\.digest) == [second.digest])
        #expect(try await store.deleteLoginSessions(accountID: ada.id) == 2)
        #expect(try await login.account(second) == nil)
        #expect(try await login.account(other) != nil)
    }

    @Test(arguments: Engine.allCases)
    func theDatabaseHoldsNeitherTokensNorPasswords(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let (store, login) = (fixture.store, fixture.login)
        let account = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let token = try await login.openSession(for: account)
        #expect(account.passwordHash.hasPrefix("scrypt$16$8$1$"))
        #expect(!account.passwordHash.contains("correct horse"))
        let digest = engine == .sqlite ? "lower(hex(digest))" : "encode(digest, 'hex')"
        let digests = try await store.column("SELECT \(digest) FROM login_session")
        #expect(digests == [token.digest.map { String(format: "%02x", $0) }.joined()])
    }

    @Test(
        arguments: Engine.allCases,
        [("", "long enough"), ("a b", "long enough"), ("a\u{1}", "long enough"), ("ada", "short")])
    func unfitNamesAndPasswordsAreRefused(engine: Engine, example: (String, String)) async throws {
        let (username, password) = example
        let fixture = try await Fixture(engine)
        let login = fixture.login
        await #expect(throws: AccountError.self) {
            try await login.createAccount(username: username, alias: "", password: password)
        }
    }

    @Test(arguments: Engine.allCases)
    func aTakenNameIsADuplicate(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let login = fixture.login
        _ = try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        let error = await #expect(throws: StoreError.self) {
            try await login.createAccount(username: "ada", alias: "", password: "correct horse")
        }
        #expect(error?.kind == .duplicate)
    }

    @Test(arguments: Engine.allCases)
    func theCookieTellsWhoItIs(engine: Engine) async throws {
        let fixture = try await Fixture(engine)
        let login = fixture.login
        let account = try await login.createAccount(username: "ada", alias: "A", password: "correct horse")
        let token = try await login.openSession(for: account)
        let identity = IdentityChain([LoginCookieIdentity(login: login)])
        func principal(_ cookie: String) async throws -> Principal? {
            guard case .principal(let principal) = try await identity.identify(.init(cookieHeaders: [cookie])) else {
                return nil
            }
            return principal
        }
        let known = try #require(try await principal("a=b; sessionid=\(token.text); c=d"))
        #expect(known.name == "ada")
        #expect(known.attributes == ["alias": "A"])
        #expect(known.isCookie)
        #expect(try await principal("SessionID=\(token.text)") == nil)
        #expect(try await principal("sessionid=\(SessionToken().text)") == nil)
        #expect(try await principal("sessionid=garbage") == nil)
        #expect(try await principal("") == nil)
    }
}

@Suite struct PasswordHashTests {
    @Test func anEncodedHashVerifiesOnlyItsPassword() throws {
        let hash = try PasswordHash(password: "pässword", parameters: .test)
        let stored = try #require(PasswordHash(encoded: hash.encoded))
        #expect(try stored.matches("pässword"))
        #expect(try !stored.matches("passwort"))
        #expect(try !stored.matches(""))
    }

    @Test func equalPasswordsHaveDifferentHashes() throws {
        let first = try PasswordHash(password: "same", parameters: .test)
        let second = try PasswordHash(password: "same", parameters: .test)
        #expect(first.encoded != second.encoded)
    }

    @Test func theDerivationIsThatOfRFC7914() throws {
        // Section 12, third vector: password "pleaseletmein", salt "SodiumChloride", N 16384, r 8, p 1.
        let expected =
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
            + "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
        let key = stride(from: 0, to: 128, by: 2).map { offset in
            let start = expected.index(expected.startIndex, offsetBy: offset)
            return UInt8(expected[start...].prefix(2), radix: 16) ?? 0
        }
        let salt = Data("SodiumChloride".utf8).base64EncodedString()
        let encoded = "scrypt$16384$8$1$\(salt)$\(Data(key).base64EncodedString())"
        let hash = try #require(PasswordHash(encoded: encoded))
        #expect(try hash.matches("pleaseletmein"))
    }

    @Test(arguments: [
        "", "scrypt", "pbkdf2$1$2$3$c2FsdHNhbHQ=$a2V5a2V5a2V5a2V5a2V5",
        "scrypt$0$8$1$c2FsdHNhbHQ=$a2V5a2V5a2V5a2V5a2V5",
        "scrypt$15$8$1$c2FsdHNhbHQ=$a2V5a2V5a2V5a2V5a2V5", "scrypt$16$8$1$$", "scrypt$16$8$1$c2FsdHNhbHQ=$!!!",
        "scrypt$1073741824$8$1$c2FsdHNhbHQ=$a2V5a2V5a2V5a2V5a2V5", "scrypt$16$8$999$c2FsdHNhbHQ=$a2V5a2V5a2V5a2V5a2V5",
    ])
    func malformedOrExtravagantHashesAreRefused(encoded: String) {
        #expect(PasswordHash(encoded: encoded) == nil)
    }

    @Test func aFloodOfLoginsIsRefusedNotQueued() async throws {
        let hasher = PasswordHasher(
            parameters: .init(rounds: 1 << 12, blockSize: 8, parallelism: 1), concurrency: 1, maximumPending: 3)
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<30 {
                group.addTask {
                    do {
                        _ = try await hasher.verify("x", encoded: nil)
                        return true
                    } catch { return !(error is PasswordHasher.Overloaded) }
                }
            }
            return await group.reduce(into: [true: 0, false: 0]) { $0[$1, default: 0] += 1 }
        }
        #expect((outcomes[false] ?? 0) > 0)
        #expect((outcomes[true] ?? 0) >= 3)
        #expect(try await !hasher.verify("x", encoded: nil))
        await hasher.shutdown()
    }

    @Test(arguments: ["", "short", String(repeating: "a", count: 44), String(repeating: "é", count: 43), "a b"])
    func whatCannotBeATokenIsNotLookedUp(text: String) {
        #expect(SessionToken(presented: text) == nil)
    }

    @Test func tokensAreLongDistinctAndReadBack() {
        let tokens = (0..<100).map { _ in SessionToken() }
        #expect(Set(tokens).count == 100)
        #expect(tokens.allSatisfy { SessionToken(presented: $0.text) == $0 && $0.digest.count == 32 })
    }
}
