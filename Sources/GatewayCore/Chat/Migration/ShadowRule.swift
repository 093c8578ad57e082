/// Rule by which requests of a type are compared.
struct ShadowRule: Sendable {
    let percent: Double
    /// Largest number of comparisons at a time, in all workers together.
    let concurrency: Int
    /// Largest size of either response, in bytes.
    let maximumBody: Int
    /// True if tools are called that are not known to be read-only.
    let force: Bool

    init(_ configuration: ShadowConfiguration) {
        percent = configuration.percent
        concurrency = configuration.concurrency
        maximumBody = configuration.maximumBody
        force = configuration.force
    }

    /// Returns whether the next request is compared; each is decided independently.
    func takes() -> Bool {
        percent >= 100 || (percent > 0 && Double.random(in: 0..<100) < percent)
    }
}

/// Result of a request of a shadowed type, in metrics.
enum ShadowResult: String, CaseIterable, Sendable {
    case agree, differ
    /// The tool could not be called, or did not answer.
    case error
    /// Too many comparisons were in progress.
    case dropped
    /// The responses cannot be compared: the tool is not known to be read-only, or a response is too long.
    case skipped
}
