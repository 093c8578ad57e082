import Crypto
package import Foundation
package import MCP

/// Data of a session: its client's revision and features, its owner, its expiry.
package struct SessionMetadata: Hashable, Sendable {
    /// Revision that `initialize` negotiated.
    package var version: MCPVersion
    /// Capabilities that the client declared in `initialize`.
    package var features: ClientFeatures
    /// ``Principal/id`` of the user that opened the session; `nil`: an anonymous caller.
    package var owner: String?
    /// Time at which the session ends even if it is in use; nil: it ends only when it is idle.
    package var expiry: Date?

    /// Creates the data of a session.
    package init(version: MCPVersion, features: ClientFeatures = [], owner: String? = nil, expiry: Date? = nil) {
        self.version = version
        self.features = features
        self.owner = owner
        self.expiry = expiry
    }

    /// Returns whether the caller owns the session; nil is an anonymous one. Names are compared as bytes: texts that
    /// only Unicode considers equal are different users.
    package func isOwned(by principal: Principal?) -> Bool {
        guard let owner, let id = principal?.id else { return owner == nil && principal == nil }
        return owner.utf8.elementsEqual(id.utf8)
    }
}

/// Issuer of session identifiers, which may also recognise one that this process never issued (a replica's).
package protocol SessionIdentifying: Sendable {
    /// Returns a new unguessable identifier of visible ASCII (0x21–0x7E).
    func issue(_ facts: SessionMetadata) -> String
    /// Returns the data of a session unknown to this process, if the identifier itself contains it and the owner
    /// matches; nil: there is no such session.
    func recognise(_ id: String, owner: String?) async -> SessionMetadata?
    /// Records that the client ended the session (DELETE), so that it is not recognised again.
    func ended(_ id: String)
    /// Returns the time at which a session with this identifier ends in any case; nil: it has no expiry.
    func expiry(of id: String) -> Date?
    /// Returns those of the given sessions, which this process holds, that another one has ended. Throws when it cannot
    /// be determined.
    func endedElsewhere(among ids: [String]) async throws -> [String]
}

extension SessionIdentifying {
    package func expiry(of id: String) -> Date? { nil }
    package func endedElsewhere(among ids: [String]) async throws -> [String] { [] }
}

/// Issuer of identifiers of 256 random bits; only identifiers that this process issued are recognised.
package struct RandomSessionIdentifiers: SessionIdentifying {
    /// Makes random identifiers.
    package init() {}

    package func issue(_ facts: SessionMetadata) -> String {
        SymmetricKey(size: .bits256).withUnsafeBytes { Base64URL.encode($0) }
    }

    package func recognise(_ id: String, owner: String?) async -> SessionMetadata? { nil }
    package func ended(_ id: String) {}
}
