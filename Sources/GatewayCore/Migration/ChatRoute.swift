import JSON

/// Where a type's requests go; decided when a configuration is read. Backends are places in the ``GatewaySnapshot``.
enum ChatRoute: Sendable {
    /// The tool.
    case mcp
    /// The old backend.
    case chat(backend: Int)
    /// The tool for a share of the callers, the old backend for the rest.
    case canary(CanaryRule, backend: Int)
    /// The old backend; then the tool is asked too.
    case shadow(ShadowRule, backend: Int)

    /// - Parameter backends: The names of the snapshot's old backends, in its order.
    init(_ type: ChatTypeConfiguration, backends: [String]) {
        if let canary = type.canary, let backend = backends.firstIndex(of: canary.upstream) {
            self = .canary(CanaryRule(canary), backend: backend)
        } else if let shadow = type.shadow, let backend = backends.firstIndex(of: shadow.upstream) {
            self = .shadow(ShadowRule(shadow), backend: backend)
        } else if let backend = backends.firstIndex(of: type.upstream) {
            self = .chat(backend: backend)
        } else {
            self = .mcp
        }
    }

    /// Whether every request becomes a call of the tool, with nothing else to decide.
    var isPlain: Bool { if case .mcp = self { true } else { false } }
}

/// Which of the two served a request of a type that may go to either: in metrics, `Server-Timing` and the access log.
enum ChatSide: String, CaseIterable, Sendable {
    case mcp, chat
}
