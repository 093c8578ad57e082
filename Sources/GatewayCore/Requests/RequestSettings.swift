import HTTPSyntax

/// The part of a configuration that every request needs, whatever its route. Shared by all workers; a request keeps the
/// settings that it began with.
package final class RequestSettings: Sendable {
    let errors: GatewayErrorStyle
    let serverTiming: Bool
    let accessLog: Bool
    let limits: LimitsConfiguration
    /// Requests in flight on one worker at most.
    let activeLimit: Int
    /// Streamed request bodies on one worker at most.
    let uploadLimit: Int
    /// The top-level rules for what of a request goes upstream.
    let rules: ForwardRules
    /// Nil: nothing is limited.
    let limiter: RateLimiter?
    /// The rule by which a client's address is told, for limits and the log alike.
    let clientAddress: ClientAddressRule
    let trustedProxies: TrustedProxies
    /// The rule by which `Host` and `Origin` are judged.
    let site: SiteRule
    /// The policy for pages of other origins that read answers; nil: none may.
    let cors: CORSPolicy?

    init(
        errors: GatewayErrorStyle, serverTiming: Bool, accessLog: Bool, limits: LimitsConfiguration, workers: Int,
        rules: ForwardRules, limiter: RateLimiter?, clientAddress: ClientAddressRule,
        trustedProxies: TrustedProxies, site: SiteRule, cors: CORSPolicy?
    ) {
        self.errors = errors
        self.serverTiming = serverTiming
        self.accessLog = accessLog
        self.limits = limits
        activeLimit = max(1, (limits.concurrentRequests + workers - 1) / workers)
        uploadLimit = max(1, (limits.uploads + workers - 1) / workers)
        self.rules = rules
        self.limiter = limiter
        self.clientAddress = clientAddress
        self.trustedProxies = trustedProxies
        self.site = site
        self.cors = cors
    }
}
