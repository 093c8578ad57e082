/// A target that may serve a type: an upstream, and a tool there.
struct ChatTarget: Hashable, Sendable {
    /// The upstream's position in the configuration.
    let upstream: Int
    /// The tool that is called there; nil: the payload goes to the old backend unchanged.
    let tool: String?
}

/// Division of a type's requests between its main target and another one; decided when a configuration is read.
enum ChatRoute: Sendable {
    /// Every request goes to the main target.
    case direct
    /// A share of the callers gets the main target, the rest the other one.
    case canary(CanaryRule, other: ChatTarget)
    /// The other target answers; then the main one is asked too.
    case shadow(ShadowRule, other: ChatTarget)

    /// - Parameter upstreams: The configuration's upstreams, in its order.
    init(_ type: ChatTypeConfiguration, upstreams: [UpstreamConfiguration]) {
        if let canary = type.canary,
            let other = ChatTarget(canary.upstream, tool: canary.tool, of: type, upstreams)
        {
            self = .canary(CanaryRule(canary), other: other)
        } else if let shadow = type.shadow,
            let other = ChatTarget(shadow.upstream, tool: shadow.tool, of: type, upstreams)
        {
            self = .shadow(ShadowRule(shadow), other: other)
        } else {
            self = .direct
        }
    }

    /// Target beside the main one; nil for a direct route.
    var other: ChatTarget? {
        switch self {
        case .direct: nil
        case .canary(_, let other), .shadow(_, let other): other
        }
    }
}

extension ChatTarget {
    /// Creates the main target of a type.
    init(_ type: ChatTypeConfiguration, _ upstreams: [UpstreamConfiguration]) {
        let place = upstreams.firstIndex { $0.name == type.upstream }
        upstream = place ?? 0
        // An old backend without configured tools gets the payload, even if the type already names the tool that is to
        // replace it.
        let takesPayload = place.map { upstreams[$0].kind == .chat && upstreams[$0].tools.isEmpty } ?? false
        tool = type.tool.isEmpty || takesPayload ? nil : type.tool
    }

    /// Creates the target beside the main one. On an old backend a tool is called only where one is named, otherwise
    /// the payload is sent; elsewhere the type's tool is the default. Nil when the upstream does not exist.
    init?(_ name: String, tool: String?, of type: ChatTypeConfiguration, _ upstreams: [UpstreamConfiguration]) {
        guard let place = upstreams.firstIndex(where: { $0.name == name }) else { return nil }
        upstream = place
        self.tool = tool ?? (upstreams[place].kind == .chat ? nil : type.tool)
    }
}
