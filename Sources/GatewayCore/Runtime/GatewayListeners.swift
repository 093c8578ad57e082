import HTTPServer
import HTTPSyntax
import Logging
import ServiceRuntime
import Synchronization

/// Addresses on which the gateway listens, fixed at its start.
struct GatewayListeners: Sendable {
    /// Addresses for clients.
    let main: [HTTPListenAddress]
    /// Addresses for operators; empty: the admin listener is disabled.
    let admin: [HTTPListenAddress]

    /// - Parameter sockets: Sockets that the process inherited; they take precedence over the configured addresses.
    init(_ configuration: GatewayConfiguration, _ sockets: InheritedSockets) {
        main = sockets.main.isEmpty ? Self.addresses(configuration.listen) : sockets.main
        admin = sockets.admin.isEmpty ? configuration.admin.map(Self.addresses) ?? [] : sockets.admin
    }

    private static func addresses(_ text: String) -> [HTTPListenAddress] {
        (try? HTTPListenAddress(parsing: text)).map { [$0] } ?? []
    }

    /// Warns about listeners that other machines can reach under any host name.
    func warn(_ site: SiteConfiguration, _ logger: Logger) {
        site.warn(of: main.map(\.scope), named: "main", key: "allowedHosts", logger)
        site.warn(of: admin.map(\.scope), named: "admin", key: "allowedHosts", logger)
    }
}

/// Rule for a listener whose handler outlives reloads.
final class ReloadedSiteRule: Sendable {
    private let rule: Mutex<SiteRule>

    init(_ rule: SiteRule) { self.rule = Mutex(rule) }

    /// The rule in force.
    var current: SiteRule { rule.withLock { $0 } }

    /// Replaces the rule.
    func replace(with new: SiteRule) { rule.withLock { $0 = new } }
}
