/// Scope of a listener: the machines that can reach it.
package enum ListenerScope: Hashable, Sendable {
    /// Only the machine itself, over the loopback network.
    case loopback
    /// Only the machine itself, over a Unix socket.
    case unixSocket
    /// Other machines as well.
    case network
}

/// Rule for accepting a request's `Host` and `Origin`, the same on every path of a listener and in both processes.
///
/// `Host` rejects hostile names that were made to resolve to this listener (DNS rebinding). `Origin` rejects other
/// sites' pages, and `Sec-Fetch-Site` does where browsers omit it and send credentials by themselves.
package struct SiteRule: Sendable {
    /// Reason for refusing a request.
    package enum Refusal: Error, Hashable, Sendable {
        /// `Host` is missing or empty: 400.
        case noHost
        /// `Host` is not allowed: 403.
        case host
        /// The origin of the page that sent the request is not allowed: 403.
        case origin

        /// Status of the response.
        package var status: Int { self == .noHost ? 400 : 403 }

        /// Text of the response.
        package var text: String {
            switch self {
            case .noHost: "Bad request: no Host"
            case .host: "Host not allowed"
            case .origin: "Origin not allowed"
            }
        }
    }

    /// Configured hosts; nil where none are.
    private let configured: AllowedHosts?
    /// Hosts that are allowed where none are configured, for peers on the network.
    private let standard: AllowedHosts
    private let allowedOrigins: Set<WebOrigin>
    /// Origins whose pages may read responses.
    private let sharedOrigins: Set<WebOrigin>
    private let sharesWithAll: Bool
    private let sharesCredentials: Bool
    private let trustedProxies: TrustedProxies
    private let ambient: AmbientCredentials

    /// - Parameters:
    ///   - hosts: Allowed hosts; nil: those that suit the listener.
    ///   - listeners: Scopes of the listener's addresses.
    ///   - allowedOrigins: Origins whose pages may send requests with credentials.
    ///   - sharedOrigins: Origins whose pages may read responses, or `*`; they may send requests too, but with ambient
    ///     credentials only where `sharesCredentials` is true.
    ///   - trustedProxies: Peers whose `X-Forwarded-Host` is trusted.
    ///   - ambient: Credentials that browsers or proxies add by themselves.
    package init(
        hosts: AllowedHosts?, listeners: [ListenerScope], allowedOrigins: [String] = [], sharedOrigins: [String] = [],
        sharesCredentials: Bool = false, trustedProxies: TrustedProxies = TrustedProxies(),
        ambient: AmbientCredentials = AmbientCredentials()
    ) {
        configured = hosts
        standard = listeners.contains(.network) || !listeners.contains(.loopback) ? .any : .loopback
        self.allowedOrigins = Set(allowedOrigins.compactMap { WebOrigin($0) })
        self.sharedOrigins = Set(sharedOrigins.compactMap { WebOrigin($0) })
        sharesWithAll = sharedOrigins.contains("*")
        self.sharesCredentials = sharesCredentials
        self.trustedProxies = trustedProxies
        self.ambient = ambient
    }

    /// Returns why a request is refused; nil when it is accepted.
    ///
    /// - Parameters:
    ///   - fields: The request's fields about its site.
    ///   - request: All fields of the request, which are searched only where credentials decide.
    package func refusal(
        of fields: SiteFields, method: String, from peer: @autoclosure () -> Peer?,
        request: some Sequence<(name: String, value: String)>
    ) -> Refusal? {
        hostRefusal(of: fields, from: peer())
            ?? originRefusal(of: fields, method: method, from: peer(), request: request)
    }

    /// Returns why the request's `Host` is refused; nil when it is allowed.
    package func hostRefusal(of fields: SiteFields, from peer: @autoclosure () -> Peer?) -> Refusal? {
        guard let host = fields.host, !host.isEmpty else { return .noHost }
        if let configured { return configured.allows(host) ? nil : .host }
        if standard.allows(host) { return nil }
        guard case .address = peer() else { return nil }
        return .host
    }

    /// Returns why the page that sent the request is refused; nil when it is allowed, or when no page sent it.
    package func originRefusal(
        of fields: SiteFields, method: String, from peer: @autoclosure () -> Peer?,
        request: some Sequence<(name: String, value: String)>
    ) -> Refusal? {
        if fields.origin == nil, !fields.isFromOtherSite { return nil }
        guard method != "OPTIONS" else { return nil }
        guard let text = fields.origin else {
            let isSafe = method == "GET" || method == "HEAD"
            return !isSafe && ambient.arePresent(in: request) ? .origin : nil
        }
        guard !fields.hasSeveralOrigins else { return .origin }
        if let origin = WebOrigin(text) {
            if isSame(origin, fields, from: peer()) || allowedOrigins.contains(origin) { return nil }
            guard sharesWithAll || sharedOrigins.contains(origin) else { return .origin }
        } else if !sharesWithAll {
            return .origin
        }
        return sharesCredentials || !ambient.arePresent(in: request) ? nil : .origin
    }

    private func isSame(_ origin: WebOrigin, _ fields: SiteFields, from peer: Peer?) -> Bool {
        if let host = fields.host.flatMap({ Authority($0) }), origin.isSame(as: host) { return true }
        guard let forwarded = fields.forwardedHost.flatMap({ Authority($0) }), trustedProxies.contains(peer) else {
            return false
        }
        return configured?.allows(forwarded) != false && origin.isSame(as: forwarded)
    }
}
