import HTTPSyntax

/// Part of a configuration that every request needs, whatever its route. Shared by all workers; a request keeps the
/// settings with which it began.
package final class RequestSettings: Sendable {
    let errors: GatewayErrorStyle
    let serverTiming: Bool
    let accessLog: Bool
    let limits: LimitsConfiguration
    /// Largest number of requests in flight on one worker.
    let activeLimit: Int
    /// Largest number of streamed request bodies on one worker.
    let uploadLimit: Int
    /// Top-level rules for the parts of a request that are forwarded.
    let rules: ForwardRules
    /// Rate limits; nil: there are none.
    let limiter: RateLimiter?
    /// Rule that determines a client's address, for limits and the log alike.
    let clientAddress: ClientAddressRule
    let trustedProxies: TrustedProxies
    /// Rule for accepting `Host` and `Origin`.
    let site: SiteRule
    /// Policy for pages of other origins that read responses; nil: none may.
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
