import Crypto
package import MCP

/// What a session identifier stands for.
package struct SessionFacts: Hashable, Sendable {
    /// Revision that `initialize` negotiated.
    package var version: MCPVersion
    /// What the client declared in `initialize`.
    package var features: ClientFeatures
    /// ``Principal/id`` of the user that opened the session; `nil`: an anonymous caller.
    package var owner: String?

    package init(version: MCPVersion, features: ClientFeatures = [], owner: String? = nil) {
        self.version = version
        self.features = features
        self.owner = owner
    }
}

/// Makes session identifiers, and may recognise one that this process never issued (a replica's).
package protocol SessionIdentifying: Sendable {
    /// A new unguessable identifier of visible ASCII (0x21–0x7E).
    func issue(_ facts: SessionFacts) -> String
    /// The facts of a session unknown to this process, if the identifier itself proves them; `nil`: no such session.
    func recognise(_ id: String) -> SessionFacts?
    /// The session was ended on purpose (DELETE or eviction) and must not be recognised again.
    func ended(_ id: String)
}

/// 256 random bits; nothing is recognised that this process did not issue.
package struct RandomSessionIdentifiers: SessionIdentifying {
    package init() {}

    package func issue(_ facts: SessionFacts) -> String {
        SymmetricKey(size: .bits256).withUnsafeBytes { Base64URL.encode($0) }
    }

    package func recognise(_ id: String) -> SessionFacts? { nil }
    package func ended(_ id: String) {}
}
