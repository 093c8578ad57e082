/// One of the places that may serve a type.
struct ChatTarget: Hashable, Sendable {
    /// The upstream's place in the configuration.
    let upstream: Int
    /// The tool that is called there; nil: the payload goes to the old backend unchanged.
    let tool: String?
}

/// How a type's requests are divided between its main target and another one; decided when a configuration is read.
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

    /// The target beside the main one.
    var other: ChatTarget? {
        switch self {
        case .direct: nil
        case .canary(_, let other), .shadow(_, let other): other
        }
    }
}

extension ChatTarget {
    /// The main target of a type.
    init(_ type: ChatTypeConfiguration, _ upstreams: [UpstreamConfiguration]) {
        let place = upstreams.firstIndex { $0.name == type.upstream }
        upstream = place ?? 0
        // An old backend without tools gets the payload, also while the type already names the tool of tomorrow.
        let takesPayload = place.map { upstreams[$0].kind == .chat && upstreams[$0].tools.isEmpty } ?? false
        tool = type.tool.isEmpty || takesPayload ? nil : type.tool
    }

    /// A target beside the main one; on an old backend only a tool of its own is called, elsewhere the type's tool unless
    /// another one is named. Nil when there is no such upstream.
    init?(_ name: String, tool: String?, of type: ChatTypeConfiguration, _ upstreams: [UpstreamConfiguration]) {
        guard let place = upstreams.firstIndex(where: { $0.name == name }) else { return nil }
        upstream = place
        self.tool = tool ?? (upstreams[place].kind == .chat ? nil : type.tool)
    }
}
