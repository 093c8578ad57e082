package import JSONConfiguration
package import MCPServer

/// Keys that seal the identifiers of MCP sessions, and the state that multi-round calls send through the client.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `sessionKey`, `sessionKeyFile` | secret | – | key of session ids; replicas with the same key share sessions |
/// | `previousSessionKeys`, `…File` | secret | – | previous keys, still accepted, separated by white space or commas |
/// | `sessionLifetime` | duration | 1 d | lifetime of a sealed session id |
///
/// The end of a session (DELETE) is known at once to the server that received it, and within seconds to the others that
/// share PostgreSQL.
///
/// Without a key, ids are random and valid only in their own process. With one, `limits.sessionIdle` and
/// `limits.maxSessions` only free memory: until its lifetime is over, a session that is used again is resumed.
package struct SessionKeysConfiguration: Hashable, Sendable {
    /// Key that replicas share; nil: identifiers are random.
    package let key: Secret?
    /// Keys that are still accepted, but seal no new identifiers.
    package let previous: [Secret]
    /// Lifetime of a sealed identifier.
    package let lifetime: Duration

    /// Smallest length of a key in characters: fewer cannot hold 128 random bits in Base64.
    private static let shortestKey = 22

    /// Reads the keys of the section.
    package init(_ reader: ConfigurationReader) {
        key = reader.secret(
            "sessionKey",
            "Key that seals MCP session ids and the questions of the chat API: at least 22 random characters, the same for "
                + "all replicas.")
        previous =
            reader.secret("previousSessionKeys", "Previous keys, still accepted, separated by white space or commas.")?
            .value.split { $0.isWhitespace || $0 == "," }.map { Secret(String($0)) } ?? []
        lifetime = reader.duration(
            "sessionLifetime", default: .seconds(86_400), in: .seconds(60) ... .seconds(30 * 86_400),
            "Lifetime of a sealed session identifier.")
        for (name, secrets) in [("sessionKey", [key].compactMap { $0 }), ("previousSessionKeys", previous)]
        where secrets.contains(where: { $0.value.utf8.count < Self.shortestKey }) {
            reader.fail(name, expected: "at least \(Self.shortestKey) characters a key", found: "fewer")
        }
        if key == nil, !previous.isEmpty {
            reader.fail("sessionKey", expected: "a key beside previousSessionKeys", found: "nothing")
        }
    }

    /// - Parameter ends: Record of ended sessions; replicas may share it.
    package func identifiers(ends: any SessionEnds = ProcessSessionEnds()) -> any SessionIdentifying {
        guard let key else { return RandomSessionIdentifiers() }
        return SealedSessionIdentifiers(
            secret: key.value, previous: previous.map(\.value), lifetime: lifetime, ends: ends)
    }

    /// Keys that seal questions to the users of a chat, the present one first; empty without a key.
    package var questionKeys: [[UInt8]] {
        key.map { ([$0] + previous).map { SealedSessionIdentifiers.questionKey(secret: $0.value) } } ?? []
    }

    /// Key that seals the state of multi-round calls of 2026-07-28; nil: the process uses a key of its own.
    package var stateKey: [UInt8]? { key.map { SealedSessionIdentifiers.stateKey(secret: $0.value) } }
}
