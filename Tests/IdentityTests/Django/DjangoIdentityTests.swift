import Foundation
import GRDB
import JSON
import MCPServer
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import Store

/// Sessions that a real Django site made; more of them are made by Django itself in the interoperability tests.
@Suite struct DjangoIdentityTests {
    private func identify(
        _ legacy: LegacyDatabase, _ cookie: String, key: String = LegacyDatabase.secretKey, fallbacks: [String] = [],
        name: String = "sessionid", backends: [String] = DjangoIdentity.standardBackends,
        now: Date = LegacyDatabase.now
    ) async throws -> Principal? {
        let identity = DjangoIdentity(
            records: try legacy.open(), signing: DjangoSigning(secretKey: key, fallbacks: fallbacks), cookie: name,
            backends: Set(backends), now: { now })
        switch try await identity.identify(PresentedCredentials(cookieHeaders: ["a=b; sessionid=\(cookie)"])) {
        case .none: return nil
        case .principal(let principal): return principal
        case .rejected:
            Issue.record("a cookie is never rejected")
            return nil
        }
    }

    @Test func theSitesOwnSessionsAreKnown() async throws {
        let legacy = try LegacyDatabase()
        let alice = try #require(await identify(legacy, LegacyDatabase.alice))
        #expect(alice.id == "django:1")
        #expect(alice.name == "alice")
        #expect(alice.attributes == ["alias": "Ally"])
        #expect(alice.isCookie)
        let bob = try await identify(legacy, LegacyDatabase.bob)
        #expect(bob?.name == "bob")
        #expect(bob?.attributes == ["alias": ""])
    }

    @Test(arguments: [
        LegacyDatabase.expired, "no-such-session", "", "short", "'; DROP TABLE django_session; --",
        String(repeating: "a", count: 100_000), LegacyDatabase.alice.uppercased(), LegacyDatabase.alice + "0",
    ])
    func otherCookiesAreAnonymous(cookie: String) async throws {
        #expect(try await identify(LegacyDatabase(), cookie) == nil)
    }

    /// Django asks the session's backend for the user, and takes one that is not configured for nobody.
    @Test func aSessionOfABackendThatTheSiteDoesNotHaveIsAnonymous() async throws {
        let legacy = try LegacyDatabase()
        #expect(try await identify(legacy, LegacyDatabase.alice, backends: ["company.sso.Backend"]) == nil)
        #expect(try await identify(legacy, LegacyDatabase.alice, backends: []) == nil)
        let model = ["company.sso.Backend", "django.contrib.auth.backends.ModelBackend"]
        #expect(try await identify(legacy, LegacyDatabase.alice, backends: model)?.name == "alice")
        #expect(try legacy.configuration().django.backends == Set(DjangoIdentity.standardBackends))
        let configured = try legacy.configuration(["django": ["backends": ["company.sso.Backend"]]])
        #expect(configured.django.backends == ["company.sso.Backend"])
    }

    @Test func aSessionEndsAtItsExpiry() async throws {
        let legacy = try LegacyDatabase()
        let end = try #require(DjangoTimestamp.date("2036-11-19 23:14:37.323044"))
        #expect(try await identify(legacy, LegacyDatabase.alice, now: end.addingTimeInterval(-0.01)) != nil)
        #expect(try await identify(legacy, LegacyDatabase.alice, now: end.addingTimeInterval(0.01)) == nil)
    }

    @Test func onlyTheSitesKeysCount() async throws {
        let legacy = try LegacyDatabase()
        #expect(try await identify(legacy, LegacyDatabase.alice, key: "another") == nil)
        let rotated = try await identify(
            legacy, LegacyDatabase.alice, key: "another", fallbacks: ["older", LegacyDatabase.secretKey])
        #expect(rotated?.name == "alice")
        #expect(try await identify(legacy, LegacyDatabase.alice, name: "other") == nil)
    }

    @Test func usersAreFoundByNameAsSessionsSpellThem() async throws {
        let legacy = try LegacyDatabase()
        let records = try legacy.open()
        #expect(try await records.djangoUserID(named: "alice") == "1")
        #expect(try await records.djangoUserID(named: "Alice") == nil)
        try legacy.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE member (
                        id char(32) PRIMARY KEY, username text, is_active bool, password text);
                    INSERT INTO member VALUES ('0123456789abcdef0123456789abcdef', 'eve', 1, 'x');
                    """)
        }
        let members = try legacy.open(["django": ["users": ["table": "member"]]])
        let id = try #require(await members.djangoUserID(named: "eve"))
        #expect(id == "01234567-89ab-cdef-0123-456789abcdef")
        #expect(try await members.djangoUser(id: id)?.username == "eve")
    }

    @Test func anInactiveRenamedOrDeletedUserIsAnonymousOrRenamed() async throws {
        let legacy = try LegacyDatabase()
        try legacy.write { db in try db.execute(sql: "UPDATE ai_user SET username = 'alicia' WHERE id = 1") }
        #expect(try await identify(legacy, LegacyDatabase.alice)?.name == "alicia")
        try legacy.write { db in try db.execute(sql: "UPDATE ai_user SET is_active = 0 WHERE id = 1") }
        #expect(try await identify(legacy, LegacyDatabase.alice) == nil)
        try legacy.write { db in try db.execute(sql: "DELETE FROM ai_user WHERE id = 2") }
        #expect(try await identify(legacy, LegacyDatabase.bob) == nil)
    }

    @Test func aChangedPasswordEndsTheSession() async throws {
        let legacy = try LegacyDatabase()
        try legacy.write { db in
            try db.execute(sql: "UPDATE ai_user SET password = password || 'x' WHERE username = 'alice'")
        }
        #expect(try await identify(legacy, LegacyDatabase.alice) == nil)
        #expect(try await identify(legacy, LegacyDatabase.bob) != nil)
    }

    @Test func nobodyBecomesSomebodyElseByMovingData() async throws {
        let legacy = try LegacyDatabase()
        let data = try legacy.write { db in
            try String.fetchOne(
                db, sql: "SELECT session_data FROM django_session WHERE session_key = ?",
                arguments: [LegacyDatabase.bob])
        }
        let bob = try #require(data)
        for (index, character) in bob.enumerated() where index % 7 == 0 {
            // One character of the signed text differs.
            var forged = Array(bob)
            forged[index] = character == "A" ? "B" : "A"
            try legacy.write { db in
                try db.execute(
                    sql: "UPDATE django_session SET session_data = ? WHERE session_key = ?",
                    arguments: [String(forged), LegacyDatabase.bob])
            }
            #expect(try await identify(legacy, LegacyDatabase.bob) == nil, "\(index)")
        }
    }

    @Test(arguments: ["", ":", "::", ".", "a:b:c", ".:::", "e30:1xVGlZ", "e30:1xVGlZ:", "\u{0}", "é:é:é"])
    func whatIsNotSignedIsNoSession(data: String) {
        #expect(DjangoSigning(secretKey: LegacyDatabase.secretKey).session(data) == nil)
    }

    @Test func theHashOfASessionIsReadInEveryLength() {
        let signing = DjangoSigning(secretKey: "k")
        for hash in ["", "00", String(repeating: "0", count: 64), String(repeating: "g", count: 64), "+f+f"] {
            #expect(!signing.isCurrent(authenticationHash: hash, password: "p"))
        }
    }

    // MARK: Decompression

    @Test func compressedDataIsBoundedWhileItIsDecompressed() {
        let head: [UInt8] = [0x78, 0xDA]
        #expect(Inflation.inflate([], limit: 100) == nil)
        #expect(Inflation.inflate(head, limit: 100) == nil)
        let letter: [UInt8] = [0x78, 0x9C, 0x4B, 0x04, 0x00, 0x00, 0x62, 0x00, 0x62]
        #expect(Inflation.inflate(letter, limit: 100) == Array("a".utf8))
        #expect(Inflation.inflate(letter.dropLast() + [0x63], limit: 100) == nil)
        #expect(Inflation.inflate(Self.bomb, limit: 256 * 1024) == nil)
        #expect(Inflation.inflate(Self.bomb, limit: 1_000_000)?.count == 1_000_000)
    }

    /// "a" a million times, as zlib packs it at level 9.
    private static let bomb: [UInt8] =
        [0x78, 0xDA, 0xED, 0xC1, 0x81, 0x00, 0x00, 0x00, 0x00, 0xC3, 0x20, 0xD6, 0xF9, 0x4B, 0x1C, 0xE4, 0x55, 0x01]
        + [UInt8](repeating: 0, count: 968)
        + [0xAF, 0x06, 0x15, 0xD8, 0x70, 0xF9]

    // MARK: Dates

    @Test(arguments: [
        (0.0, "1970-01-01 00:00:00"), (1_800_000_000.25, "2027-01-15 08:00:00.250000"),
        (951_782_400, "2000-02-29 00:00:00"), (4_107_542_399, "2100-02-28 23:59:59"),
        (-0.5, "1969-12-31 23:59:59.500000"), (1_709_164_800.000001, "2024-02-29 00:00:00.000001"),
    ])
    func datesAreWrittenAsDjangoDoes(seconds: Double, text: String) {
        #expect(DjangoTimestamp.text(Date(timeIntervalSince1970: seconds)) == text)
        let read = DjangoTimestamp.date(text)?.timeIntervalSince1970
        #expect(abs((read ?? .infinity) - seconds) < 0.000_001)
    }

    @Test(arguments: ["2027-01-15T08:00:00Z", "2027-01-15 08:00:00+00:00", "2027-01-15 09:30:00.000+01:30"])
    func otherWritersDatesAreReadToo(text: String) {
        #expect(DjangoTimestamp.date(text)?.timeIntervalSince1970 == 1_800_000_000)
    }

    @Test(arguments: [
        "", "2027-01-15", "2027-13-15 08:00:00", "2027-01-15 08:00:00.", "2027-01-15 08:00:00x", "15.1.27",
    ])
    func whatIsNoDateIsNone(text: String) {
        #expect(DjangoTimestamp.date(text) == nil)
    }
}
