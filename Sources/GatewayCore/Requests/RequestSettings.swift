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
    /// The header with the client's address that trusted proxies write.
    let addressHeader: RateLimitConfiguration.AddressHeader
    let trustedProxies: TrustedProxies
    let crossOrigin: CrossOriginPolicy

    init(
        errors: GatewayErrorStyle, serverTiming: Bool, accessLog: Bool, limits: LimitsConfiguration, workers: Int,
        rules: ForwardRules, limiter: RateLimiter?, rateLimits: RateLimitConfiguration?,
        trustedProxies: TrustedProxies, crossOrigin: CrossOriginPolicy
    ) {
        self.errors = errors
        self.serverTiming = serverTiming
        self.accessLog = accessLog
        self.limits = limits
        activeLimit = max(1, (limits.concurrentRequests + workers - 1) / workers)
        uploadLimit = max(1, (limits.uploads + workers - 1) / workers)
        self.rules = rules
        self.limiter = limiter
        addressHeader = rateLimits?.addressHeader ?? .forwardedFor
        self.trustedProxies = trustedProxies
        self.crossOrigin = crossOrigin
    }
}
