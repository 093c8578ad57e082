import Crypto
import Foundation
import MCP
import Synchronization
import Testing

@testable import MCPServer

@Suite struct SealedSessionTests {
    private static let secret = "a secret that replicas share"

    /// A wall clock that a test moves.
    private final class Clock: Sendable {
        private let time = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
        var now: Date { time.withLock { $0 } }
        func advance(_ seconds: TimeInterval) { time.withLock { $0 += seconds } }
    }

    private func identifiers(
        _ secret: String = secret, previous: [String] = [], clock: Clock = Clock()
    ) -> SealedSessionIdentifiers {
        SealedSessionIdentifiers(secret: secret, previous: previous, lifetime: .seconds(3600), now: { clock.now })
    }

    private func fixture(_ identifiers: SealedSessionIdentifiers, clock: Clock = Clock(), limit: Int = 100) throws
        -> Fixture
    {
        try Fixture(
            configuration: StreamableHTTPConfiguration(
                sessionLimit: limit, anonymousSessionLimit: limit, tick: .zero, identifiers: identifiers),
            now: { clock.now })
    }

    private let facts = SessionMetadata(version: .v2025_06_18, features: [.sampling, .elicitationURL], owner: "user-7")

    // MARK: Identifiers

    @Test func anotherProcessReadsWhatOneSealed() async throws {
        let clock = Clock()
        let id = identifiers(clock: clock).issue(facts)
        #expect(id.utf8.allSatisfy { (0x21...0x7E).contains($0) })
        let known = try #require(await identifiers(clock: clock).recognise(id, owner: "user-7"))
        #expect(known.version == .v2025_06_18)
        #expect(known.features == [.sampling, .elicitationURL])
        #expect(known.owner == "user-7")
        #expect(known.expiry == clock.now + 3600)
        #expect(identifiers(clock: clock).issue(facts) != id)
        #expect(!id.contains("user-7") && Base64URL.decode(id).map { !$0.elementsEqual("user-7".utf8) } == true)
    }

    /// Texts that another implementation of AES-GCM and HKDF has made.
    @Test func theFormatStays() async throws {
        let id = "AAECAwQFBgcICQoLUCOx1auXMxHJX7aoX5pJbjF1Z0TGwNKTm5bSuyYCns-47kTcwfo0gBk-KxEoYiGCdQ-fMQ"
        let known = try #require(await identifiers().recognise(id, owner: "user-7"))
        #expect(known.version == .v2025_06_18 && known.features == [] && known.expiry == Clock().now + 3600)
        let text = "AAECAwQFBgcICQoLJG24b6CLtmiqx5dSpnEVZsvS_ZbHtvam"
        let key = SymmetricKey(data: Array(0..<32))
        let (other, binding) = (SymmetricKey(size: .bits256), Array("binding".utf8))
        #expect(Seal(key).open(text, binding: binding) == Array("contents".utf8))
        #expect(Seal(other, previous: [key]).open(text, binding: binding) == Array("contents".utf8))
        #expect(Seal(key).open(text, binding: []) == nil && Seal(other).open(text, binding: binding) == nil)
        let sealed = try Seal(key, previous: [other]).seal([1, 2], binding: binding)
        #expect(Seal(other).open(sealed, binding: binding) == nil)
        #expect(Seal(key).open(sealed, binding: binding) == [1, 2])
        #expect(Base64URL.decode(sealed)?.count == 2 + Seal.overhead)
    }

    @Test func itIsNobodyElses() async {
        let sealed = identifiers()
        let id = sealed.issue(facts)
        for owner in ["user-8", "", nil] { #expect(await sealed.recognise(id, owner: owner) == nil) }
        let anonymous = sealed.issue(SessionMetadata(version: .v2025_11_25))
        #expect(await sealed.recognise(anonymous, owner: nil) != nil)
        for owner in ["user-7", ""] { #expect(await sealed.recognise(anonymous, owner: owner) == nil) }
    }

    @Test func aChangedByteMakesItNothing() async throws {
        let sealed = identifiers()
        let bytes = try #require(Base64URL.decode(sealed.issue(facts)))
        for place in bytes.indices {
            var changed = bytes
            changed[place] ^= 0x10
            #expect(await sealed.recognise(Base64URL.encode(changed), owner: "user-7") == nil, "byte \(place)")
        }
        for length in [0, 1, 28, bytes.count - 1] {
            #expect(await sealed.recognise(Base64URL.encode(bytes.prefix(length)), owner: "user-7") == nil)
        }
        #expect(await sealed.recognise(Base64URL.encode(bytes + [0]), owner: "user-7") == nil)
        #expect(await sealed.recognise(String(repeating: "é", count: 60), owner: "user-7") == nil)
        #expect(await sealed.recognise(RandomSessionIdentifiers().issue(facts), owner: "user-7") == nil)
    }

    @Test func keysAreRotated() async {
        let clock = Clock()
        let old = identifiers("the key of last month, long enough", clock: clock)
        let id = old.issue(facts)
        let new = identifiers("the key of this month", previous: ["the key of last month, long enough"], clock: clock)
        #expect(await new.recognise(id, owner: "user-7") != nil)
        #expect(await old.recognise(new.issue(facts), owner: "user-7") == nil)
        #expect(await identifiers("the key of this month", clock: clock).recognise(id, owner: "user-7") == nil)
    }

    @Test func itExpires() async {
        let clock = Clock()
        let sealed = identifiers(clock: clock)
        let id = sealed.issue(facts)
        clock.advance(3599)
        #expect(await sealed.recognise(id, owner: "user-7") != nil)
        clock.advance(1)
        #expect(await sealed.recognise(id, owner: "user-7") == nil)
    }

    @Test func anEndIsRemembered() async {
        let sealed = identifiers()
        let (ended, other) = (sealed.issue(facts), sealed.issue(facts))
        sealed.ended(ended)
        sealed.ended("nonsense")
        #expect(await sealed.recognise(ended, owner: "user-7") == nil)
        #expect(await sealed.recognise(other, owner: "user-7") != nil)
    }

    @Test func endsAreBoundedAndForgottenWithTheirSessions() async {
        let ends = ProcessSessionEnds(limit: 100)
        let start = Date(timeIntervalSince1970: 0)
        func name(_ number: Int) -> [UInt8] { withUnsafeBytes(of: number) { Array($0) } }
        for number in 0..<5000 { ends.record(name(number), until: start + 1000, now: start) }
        #expect(ends.count == 100)
        #expect(await ends.contains(name(4999)))
        #expect(await !ends.contains(name(0)))
        ends.record(name(5000), until: start + 3000, now: start + 2000)
        #expect(ends.count == 1)
    }

    // MARK: Replicas

    private func status(_ fixture: Fixture, _ session: String, _ principal: Principal?) async -> Int {
        await fixture.post(
            JSONRPCRequest(id: 5, method: "ping").json, headers: ["Mcp-Session-Id": session], principal: principal
        ).status
    }

    private func held(_ fixture: Fixture, _ id: String, principal: Principal?) async -> Session? {
        guard case .found(let session) = await fixture.http.session(id, principal: principal) else { return nil }
        return session
    }

    @Test func aReplicaTakesASessionUp() async throws {
        let clock = Clock()
        let (first, second) = (
            try fixture(identifiers(clock: clock), clock: clock), try fixture(identifiers(clock: clock), clock: clock)
        )
        let (alice, bob) = (Principal(id: "1", name: "alice"), Principal(id: "2", name: "bob"))
        let session = try await first.initialize(.v2025_06_18, principal: alice).session
        #expect(await status(second, session, bob) == 404)
        #expect(await status(second, session, nil) == 404)
        #expect(await status(second, session, alice) == 200)
        #expect(second.http.sessionCount == 1)
        // Taken up once, it is still nobody else's.
        #expect(await status(second, session, bob) == 404)
        // The revision and the features came with it.
        let adopted = try #require(await held(second, session, principal: alice))
        #expect(adopted.facts.version == .v2025_06_18)
        #expect(adopted.facts.features.contains(.sampling))
    }

    @Test func concurrentRequestsTakeUpOneSession() async throws {
        let clock = Clock()
        let (first, second) = (
            try fixture(identifiers(clock: clock), clock: clock), try fixture(identifiers(clock: clock), clock: clock)
        )
        let id = try await first.initialize(.v2025_11_25).session
        let sessions = await withTaskGroup(of: UInt64?.self) { group in
            for _ in 0..<50 { group.addTask { await held(second, id, principal: nil)?.serial } }
            return await group.reduce(into: Set<UInt64?>()) { $0.insert($1) }
        }
        #expect(sessions.count == 1 && !sessions.contains(nil))
        #expect(second.http.sessionCount == 1)
    }

    @Test func aSessionThatWasEndedStaysEnded() async throws {
        let clock = Clock()
        let fixture = try fixture(identifiers(clock: clock), clock: clock)
        let client = try await fixture.initialize(.v2025_11_25)
        #expect(await client.delete().status == 204)
        #expect(await status(fixture, client.session, nil) == 404)
        #expect(await client.delete().status == 404)
    }

    /// What two processes know of each other's ends.
    private final class SharedEnds: SessionEnds {
        private let names = Mutex<Set<[UInt8]>>([])
        func record(_ name: [UInt8], until expiry: Date, now: Date) { names.withLock { _ = $0.insert(name) } }
        func contains(_ name: [UInt8]) async -> Bool { names.withLock { $0.contains(name) } }
        func endedElsewhere(among names: [[UInt8]]) async throws -> [[UInt8]] {
            self.names.withLock { known in names.filter(known.contains) }
        }
    }

    @Test func aReplicaThatHoldsASessionLetsGoOfItWhenAnotherEndedIt() async throws {
        let clock = Clock()
        let identifiers = SealedSessionIdentifiers(secret: Self.secret, ends: SharedEnds(), now: { clock.now })
        let (one, other) = (try fixture(identifiers, clock: clock), try fixture(identifiers, clock: clock))
        let ids = (0..<3).compactMap { _ in one.http.openSession(principal: nil) }
        for id in ids { #expect(await status(other, id, nil) == 200) }
        let session = try #require(await held(one, ids[1], principal: nil))
        one.http.end(session)
        #expect(await status(other, ids[1], nil) == 200)
        try await other.http.dropSessionsEndedElsewhere()
        #expect(other.http.sessionCount == 2)
        for (number, id) in ids.enumerated() { #expect(await status(other, id, nil) == (number == 1 ? 404 : 200)) }
    }

    /// Others' sessions cost memory alone: a session that had to go for one of them is taken up again by its identifier.
    @Test func evictionOnlyFreesMemory() async throws {
        let clock = Clock()
        let fixture = try fixture(identifiers(clock: clock), clock: clock, limit: 1)
        let first = try await fixture.initialize(.v2025_11_25).session
        let second = try await fixture.initialize(.v2025_11_25).session
        #expect(fixture.http.sessionCount == 1)
        #expect(await status(fixture, first, nil) == 200)
        #expect(await status(fixture, second, nil) == 200)
        #expect(fixture.http.sessionCount == 1)
    }

    @Test func idlenessOnlyFreesMemory() async throws {
        let clock = Clock()
        let fixture = try fixture(identifiers(clock: clock), clock: clock)
        let session = try await fixture.initialize(.v2025_11_25).session
        fixture.http.tick(now: .now + .seconds(2000))
        #expect(fixture.http.sessionCount == 0)
        #expect(await status(fixture, session, nil) == 200)
    }

    @Test func theLifetimeHoldsForASessionInUseToo() async throws {
        let clock = Clock()
        let fixture = try fixture(identifiers(clock: clock), clock: clock)
        let session = try await fixture.initialize(.v2025_11_25).session
        #expect(await status(fixture, session, nil) == 200)
        clock.advance(3600)
        #expect(await status(fixture, session, nil) == 404)
        #expect(fixture.http.sessionCount == 0)
    }

    @Test func aShutdownEndsNothingForGood() async throws {
        let clock = Clock()
        let sealed = identifiers(clock: clock)
        let first = try fixture(sealed, clock: clock)
        let session = try await first.initialize(.v2025_11_25).session
        first.http.shutdown()
        // Even what shares the memory of ends with it.
        #expect(await status(try fixture(sealed, clock: clock), session, nil) == 200)
    }
}
