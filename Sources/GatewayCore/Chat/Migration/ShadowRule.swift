/// How a type is shadowed.
struct ShadowRule: Sendable {
    let percent: Double
    /// In all workers.
    let concurrency: Int
    /// Of either answer, in bytes.
    let maximumBody: Int
    /// Also a tool that is not known to change nothing.
    let force: Bool

    init(_ configuration: ShadowConfiguration) {
        percent = configuration.percent
        concurrency = configuration.concurrency
        maximumBody = configuration.maximumBody
        force = configuration.force
    }

    /// Whether one request is taken; each is decided by itself.
    func takes() -> Bool {
        percent >= 100 || (percent > 0 && Double.random(in: 0..<100) < percent)
    }
}

/// What came of a request of a shadowed type, in metrics.
enum ShadowResult: String, CaseIterable, Sendable {
    case agree, differ
    /// The tool could not be asked, or did not answer.
    case error
    /// Too many were in flight.
    case dropped
    /// Not comparable: the tool is not known to be read-only, or an answer is too long.
    case skipped
}
