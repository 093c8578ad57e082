import CurlTransport
import Logging
package import MCPClient
import NIOCore

/// Everything that follows from one reading of the configuration: immutable, shared by all workers. A request keeps the
/// snapshot that it began with.
package final class GatewaySnapshot: Sendable {
    /// Counts the configurations of this process, from 1.
    package let version: Int
    /// Configuration that this was made from.
    package let configuration: GatewayConfiguration
    /// The configured types.
    package let types: TypeMap
    /// In the order of the configuration.
    package let upstreams: [Upstream]
    /// Settings that every request reads.
    package let settings: RequestSettings
    /// The target of `/mcp` and `/auth`; nil when they are not passed through.
    let passThrough: PassThroughTarget?
    /// The page at `/` with the configuration's texts; nil: it is off.
    let pageDocument: PageFile?

    /// - Parameter previous: Upstreams whose settings are the same keep their sessions.
    init(
        _ configuration: GatewayConfiguration, version: Int, previous: GatewaySnapshot?, metrics: GatewayMetrics,
        logger: Logger
    ) {
        self.version = version
        self.configuration = configuration
        let limit = configuration.limits.upstreamResponse
        let upstreams = configuration.upstreams.map { upstream in
            let known = previous?.upstreams.first { $0.configuration == upstream && $0.responseLimit == limit }
            return known ?? Upstream(upstream, responseLimit: limit, logger: logger)
        }
        self.upstreams = upstreams
        types = TypeMap(configuration.chat, upstreams: configuration.upstreams, metrics: metrics)
        // There from the start: Prometheus cannot tell a rise from nothing.
        for upstream in upstreams where upstream.kind == .mcp {
            metrics.replays.with(upstream.name).increment(by: 0)
        }
        let known = previous?.settings.limiter.flatMap { $0.configuration == configuration.rateLimits ? $0 : nil }
        settings = RequestSettings(
            errors: configuration.errors, serverTiming: configuration.serverTiming,
            accessLog: configuration.accessLog, limits: configuration.limits, workers: configuration.workers,
            rules: ForwardRules(configuration.forward),
            limiter: known ?? configuration.rateLimits.map { RateLimiter($0) }, rateLimits: configuration.rateLimits,
            trustedProxies: configuration.trustedProxies,
            crossOrigin: CrossOriginPolicy(allowedOrigins: configuration.allowedOrigins, cors: configuration.cors))
        let passthrough = configuration.passthrough
        let target = passthrough.isEnabled ? upstreams.first { $0.name == passthrough.upstream } : nil
        passThrough = target.map { PassThroughTarget(upstream: $0, configuration: passthrough) }
        pageDocument = configuration.page ? PageFiles.embedded.document(with: configuration.pageTexts) : nil
    }
}
