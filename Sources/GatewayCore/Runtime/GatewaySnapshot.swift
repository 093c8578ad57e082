import CurlTransport
import Foundation
import HTTPSyntax
import Logging
import MCPClient
import NIOCore
import ProcessMemory

/// Everything that follows from one reading of the configuration: immutable, shared by all workers. A request keeps the
/// snapshot with which it began.
package final class GatewaySnapshot: Sendable {
    /// Number of the configuration in this process, from 1.
    package let version: Int
    /// Configuration that this was made from.
    package let configuration: GatewayConfiguration
    /// The addresses of the listeners.
    let listeners: GatewayListeners
    /// Rule for accepting `Host` and `Origin` on the admin listener.
    let adminSite: SiteRule
    /// The configured types.
    package let types: TypeMap
    /// Upstreams in the order of the configuration.
    package let upstreams: [Upstream]
    /// Settings that every request reads.
    package let settings: RequestSettings
    /// The target of `/mcp` and `/auth`; nil when they are not passed through.
    let passThrough: PassThroughTarget?
    /// Questions of tools to their users; nil: they are declined.
    let questions: ChatQuestions?
    /// Memory of the process about questions.
    let questionMemory: QuestionMemory
    /// The page at `/` with the configuration's texts; nil: the page is disabled.
    let pageDocument: PageFile?

    /// Fields in which reverse proxies usually name the authenticated user; the tool-server's default is the first.
    private static let ambientFields = [
        "X-Auth-User", "X-Auth-Request-User", "X-Forwarded-User", "X-Remote-User", "Remote-User",
    ]

    /// - Parameters:
    ///   - listeners: Addresses of the listeners, which a reload does not change.
    ///   - memory: Budget of the process.
    ///   - previous: Upstreams before the reload; those with unchanged settings keep their sessions.
    ///   - now: Time of day.
    init(
        _ configuration: GatewayConfiguration, version: Int, listeners: GatewayListeners, memory: MemoryBudget,
        previous: GatewaySnapshot?, metrics: GatewayMetrics, logger: Logger,
        redact: @escaping @Sendable (String) -> Void, now: @escaping @Sendable () -> Date
    ) {
        self.version = version
        self.configuration = configuration
        self.listeners = listeners
        adminSite = configuration.site.adminRule(for: listeners.admin.map(\.scope))
        let limit = configuration.limits.upstreamResponse
        let upstreams = configuration.upstreams.map { upstream in
            let forward = upstream.forward(from: configuration.forward)
            let known = previous?.upstreams.first {
                $0.configuration == upstream && $0.responseLimit == limit && $0.forward == forward
                    && $0.asksUsers == (configuration.chat.questions != nil)
            }
            return known
                ?? Upstream(
                    upstream, responseLimit: limit, forward: configuration.forward,
                    asksUsers: configuration.chat.questions != nil, memory: memory, logger: logger, redact: redact)
        }
        self.upstreams = upstreams
        types = TypeMap(configuration.chat, upstreams: configuration.upstreams, metrics: metrics)
        // Created at once, because Prometheus cannot compute an increase from a missing series.
        for upstream in upstreams where upstream.kind == .mcp {
            metrics.replays.with(upstream.name).increment(by: 0)
        }
        let known = previous?.settings.limiter.flatMap { $0.configuration == configuration.rateLimits ? $0 : nil }
        let limiter =
            known
            ?? configuration.rateLimits.map { limits in
                RateLimiter(
                    limits,
                    shared: limits.shared.map { SharedRateLimits(SharedServer($0, logger: logger), metrics: metrics) },
                    sessionKey: configuration.sessionKeys.key?.value)
            }
        let questionMemory = previous?.questionMemory ?? QuestionMemory(ProcessQuestionUses(now: now))
        self.questionMemory = questionMemory
        questions = configuration.chat.questions.map {
            ChatQuestions(
                $0, keys: configuration.sessionKeys, memory: questionMemory, shared: limiter?.shared?.server,
                bodyLimit: configuration.limits.body, metrics: metrics, now: now)
        }
        let shared = configuration.cors.flatMap { $0.origins.isEmpty ? nil : $0 }
        settings = RequestSettings(
            errors: configuration.errors, serverTiming: configuration.serverTiming,
            accessLog: configuration.accessLog, limits: configuration.limits, workers: configuration.workers,
            rules: ForwardRules(configuration.forward),
            limiter: limiter,
            clientAddress: configuration.clientAddress,
            trustedProxies: configuration.trustedProxies,
            site: configuration.site.rule(
                for: listeners.main.map(\.scope), sharedOrigins: shared?.origins ?? [],
                sharesCredentials: shared?.credentials ?? false, ambientFields: Self.ambientFields),
            cors: shared.map { CORSPolicy($0) })
        let passthrough = configuration.passthrough
        let target = passthrough.isEnabled ? upstreams.first { $0.name == passthrough.upstream } : nil
        passThrough = target.map { PassThroughTarget(upstream: $0, configuration: passthrough) }
        pageDocument = configuration.page ? PageFiles.embedded.document(with: configuration.pageTexts) : nil
    }
}
