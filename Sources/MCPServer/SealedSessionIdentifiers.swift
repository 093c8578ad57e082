import Crypto
package import Foundation
import MCP
import Synchronization

/// Session identifiers that contain the session's data in sealed form, so that every replica with the same key can
/// resume a session that another one opened.
///
/// A ``Seal`` over the negotiated revision, the client's features, a digest of the user and an expiry; its random nonce
/// makes each one unguessable. State of a process is not included: events kept for redelivery, subscriptions, the log
/// level and requests in flight are lost when a session moves.
package struct SealedSessionIdentifiers: SessionIdentifying {
    private let seal: Seal
    private let lifetime: Duration
    private let ends: any SessionEnds
    private let now: @Sendable () -> Date

    /// Length of an identifier, in characters of Base64.
    private static let length = ((contentsLength + Seal.overhead) * 4 + 2) / 3
    /// Length of the contents, in bytes: features, presence of an owner, expiry, revision, digest of the owner.
    private static let contentsLength = 1 + 1 + 8 + 10 + 16
    private static let binding = Array("mcp-session-id/1".utf8)

    /// - Parameters:
    ///   - secret: Secret that replicas share; any text as hard to guess as a password must be.
    ///   - previous: Secrets that are still accepted, but not used for new sessions.
    ///   - lifetime: Time after which a session ends even if it is in use.
    ///   - ends: Record of the sessions that were ended before their expiry.
    package init(
        secret: String, previous: [String] = [], lifetime: Duration = .seconds(86_400),
        ends: any SessionEnds = ProcessSessionEnds(), now: @escaping @Sendable () -> Date = { Date() }
    ) {
        seal = Seal(
            Self.key(secret, for: "mcp-session-id"), previous: previous.map { Self.key($0, for: "mcp-session-id") })
        self.lifetime = lifetime
        self.ends = ends
        self.now = now
    }

    /// Derives a key for one purpose; keys for different purposes are independent.
    package static func stateKey(secret: String) -> [UInt8] {
        key(secret, for: "mcp-request-state").withUnsafeBytes { Array($0) }
    }

    /// Derives the key for questions of tools to the users of a chat.
    package static func questionKey(secret: String) -> [UInt8] {
        key(secret, for: "chat-question").withUnsafeBytes { Array($0) }
    }

    private static func key(_ secret: String, for purpose: String) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: Array(secret.utf8)), info: Array(purpose.utf8), outputByteCount: 32)
    }

    package func issue(_ facts: SessionMetadata) -> String {
        let expiry = UInt64(max(0, now().timeIntervalSince1970)) + UInt64(max(0, lifetime.components.seconds))
        var contents: [UInt8] = [facts.features.rawValue, facts.owner == nil ? 0 : 1]
        withUnsafeBytes(of: expiry.bigEndian) { contents += $0 }
        contents += Array(facts.version.rawValue.utf8).prefix(10)
        contents += Self.digest(of: facts.owner)
        guard contents.count == Self.contentsLength, let id = try? seal.seal(contents, binding: Self.binding) else {
            // Impossible with a key of 32 bytes; a session that only this process can resume is the fallback.
            return RandomSessionIdentifiers().issue(facts)
        }
        return id
    }

    package func recognise(_ id: String, owner: String?) async -> SessionMetadata? {
        guard let contents = open(id), contents.digest == Self.digest(of: owner), contents.hasOwner == (owner != nil),
            now() < contents.expiry, let version = MCPVersion(rawValue: contents.version), version.era == .legacy,
            await !ends.contains(Self.name(of: id))
        else { return nil }
        return SessionMetadata(
            version: version, features: ClientFeatures(rawValue: contents.features), owner: owner,
            expiry: contents.expiry)
    }

    package func ended(_ id: String) {
        guard let contents = open(id), now() < contents.expiry else { return }
        ends.record(Self.name(of: id), until: contents.expiry, now: now())
    }

    package func expiry(of id: String) -> Date? { open(id)?.expiry }

    package func endedElsewhere(among ids: [String]) async throws -> [String] {
        let named = Dictionary(ids.map { (Self.name(of: $0), $0) }) { first, _ in first }
        return try await ends.endedElsewhere(among: Array(named.keys)).compactMap { named[$0] }
    }

    // MARK: Contents

    private struct Contents {
        let features: UInt8
        let hasOwner: Bool
        let expiry: Date
        let version: String
        let digest: [UInt8]
    }

    private func open(_ id: String) -> Contents? {
        // Identifiers have one length only: others are not worth a decryption.
        guard id.utf8.count == Self.length, let contents = seal.open(id, binding: Self.binding),
            contents.count == Self.contentsLength
        else { return nil }
        let seconds = contents[2..<10].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return Contents(
            features: contents[0], hasOwner: contents[1] == 1,
            expiry: Date(timeIntervalSince1970: TimeInterval(seconds)),
            version: String(decoding: contents[10..<20], as: UTF8.self), digest: Array(contents[20...]))
    }

    private static func digest(of owner: String?) -> [UInt8] {
        guard let owner else { return Array(repeating: 0, count: 16) }
        return Array(SHA256.hash(data: Array(owner.utf8)).prefix(16))
    }

    /// Returns the name under which an ended session is recorded; it cannot be used to resume the session.
    private static func name(of id: String) -> [UInt8] {
        Array(SHA256.hash(data: Array(id.utf8)).prefix(16))
    }
}

/// Record of the sealed sessions that were ended before their expiry. Implemented by the process itself, or by a store
/// that replicas share.
package protocol SessionEnds: Sendable {
    /// Records an end for as long as the identifier could be recognised. Must not block.
    /// - Parameter name: 16 bytes that identify the session without revealing its identifier.
    func record(_ name: [UInt8], until expiry: Date, now: Date)
    /// Returns whether the session was ended. Called only for sessions that the process does not hold.
    func contains(_ name: [UInt8]) async -> Bool
    /// Returns those of the given sessions, which the process holds, that another process has ended. Throws when it
    /// cannot be determined.
    func endedElsewhere(among names: [[UInt8]]) async throws -> [[UInt8]]
}

/// Record of the ends that this process saw, limited in number: above the limit the end whose session expires first is
/// removed, so that in the worst case its own user could resume that session.
package final class ProcessSessionEnds: SessionEnds {
    private struct State {
        var expiries: [[UInt8]: Date] = [:]
        /// Names in the order of recording, which with one lifetime is nearly the order of expiry.
        var order: [[UInt8]] = []
        var head = 0
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: Largest number of recorded ends, about 100 bytes each.
    package init(limit: Int = 100_000) {
        self.limit = max(1, limit)
    }

    package func record(_ name: [UInt8], until expiry: Date, now: Date) {
        state.withLock { state in
            guard state.expiries.updateValue(expiry, forKey: name) == nil else { return }
            state.order.append(name)
            while state.head < state.order.count {
                let oldest = state.order[state.head]
                guard state.expiries.count > limit || state.expiries[oldest].map({ $0 <= now }) ?? true else { break }
                state.expiries[oldest] = nil
                state.head += 1
            }
            if state.head >= 1024, state.head * 2 >= state.order.count {
                state.order.removeFirst(state.head)
                state.head = 0
            }
        }
    }

    package func contains(_ name: [UInt8]) async -> Bool {
        state.withLock { $0.expiries[name] != nil }
    }

    /// Returns nothing: the record is not shared.
    package func endedElsewhere(among names: [[UInt8]]) async throws -> [[UInt8]] { [] }

    var count: Int { state.withLock { $0.expiries.count } }
}
