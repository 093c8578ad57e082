import JSONConfiguration

/// Settings of the shutdown: `delay` (default 0), `timeout` (default 30 s) and `idleGrace` (default 500 ms).
package struct DrainConfiguration: Hashable, Sendable {
    /// Time that the process still accepts requests after `/readyz` turned 503.
    package let delay: Duration
    /// Time that requests in progress are given to finish.
    package let timeout: Duration
    /// Time that idle connections stay open once no new ones are accepted: a request already on its way over one of
    /// them is still answered, with `Connection: close`.
    package let idleGrace: Duration

    init(_ reader: ConfigurationReader) {
        delay = reader.duration(
            "delay", default: .zero, in: .zero...(.seconds(600)),
            "Time that requests are still accepted after readiness turned false.")
        timeout = reader.duration(
            "timeout", default: .seconds(30), in: .zero...(.seconds(3600)),
            "Time that requests in progress are given to finish; then they are cut off.")
        idleGrace = reader.duration(
            "idleGrace", default: .milliseconds(500), in: .zero...(.seconds(60)),
            "Time that unused connections stay open at shutdown, so that no request meets a closing one.")
    }
}
