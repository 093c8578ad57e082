import Crypto
package import Foundation
package import MCP

/// Client behind a session identifier.
package struct SessionFacts: Hashable, Sendable {
    /// Revision that `initialize` negotiated.
    package var version: MCPVersion
    /// Capabilities that the client declared in `initialize`.
    package var features: ClientFeatures
    /// ``Principal/id`` of the user that opened the session; `nil`: an anonymous caller.
    package var owner: String?
    /// When the session is over, however much it is used; `nil`: when nobody uses it any more.
    package var expiry: Date?

    /// Describes the client of a session.
    package init(version: MCPVersion, features: ClientFeatures = [], owner: String? = nil, expiry: Date? = nil) {
        self.version = version
        self.features = features
        self.owner = owner
        self.expiry = expiry
    }

    /// Returns true if the session is that caller's; nil is an anonymous one. Names are compared as bytes: texts that
    /// only Unicode calls equal are different users.
    package func isOwned(by principal: Principal?) -> Bool {
        guard let owner, let id = principal?.id else { return owner == nil && principal == nil }
        return owner.utf8.elementsEqual(id.utf8)
    }
}

/// Makes session identifiers, and may recognise one that this process never issued (a replica's).
package protocol SessionIdentifying: Sendable {
    /// A new unguessable identifier of visible ASCII (0x21–0x7E).
    func issue(_ facts: SessionFacts) -> String
    /// The facts of a session unknown to this process, if the identifier itself proves them and it is that owner's;
    /// `nil`: no such session.
    func recognise(_ id: String, owner: String?) async -> SessionFacts?
    /// The session was ended on purpose (DELETE) and must not be recognised again.
    func ended(_ id: String)
    /// When a session with this identifier is over in any case; `nil`: never.
    func expiry(of id: String) -> Date?
    /// Those of the sessions, which this process holds, that another one has ended. Throws when it cannot tell.
    func endedElsewhere(among ids: [String]) async throws -> [String]
}

extension SessionIdentifying {
    package func expiry(of id: String) -> Date? { nil }
    package func endedElsewhere(among ids: [String]) async throws -> [String] { [] }
}

/// 256 random bits; nothing is recognised that this process did not issue.
package struct RandomSessionIdentifiers: SessionIdentifying {
    /// Makes random identifiers.
    package init() {}

    package func issue(_ facts: SessionFacts) -> String {
        SymmetricKey(size: .bits256).withUnsafeBytes { Base64URL.encode($0) }
    }

    package func recognise(_ id: String, owner: String?) async -> SessionFacts? { nil }
    package func ended(_ id: String) {}
}
