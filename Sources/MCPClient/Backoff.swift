package import NIOCore

/// Pauses between tries of a refused connection: doubling, with jitter, within a window from the first refusal.
package struct Backoff {
    private let window: TimeAmount
    private let pause: TimeAmount
    private let jitter: () -> Double
    private var first: NIODeadline?
    private var tries = 0

    /// Longest single pause: a restarted server is found again quickly.
    private static let longest = TimeAmount.milliseconds(400)

    /// - Parameters:
    ///   - window: how long after the first refusal tries go on.
    ///   - pause: before the second try; later ones are longer, up to 400 ms.
    ///   - jitter: from 0 to 1; spreads callers that were refused at the same time.
    package init(window: TimeAmount, pause: TimeAmount, jitter: @escaping () -> Double = { .random(in: 0...1) }) {
        self.window = window
        self.pause = pause
        self.jitter = jitter
    }

    /// Counts a refusal that somebody else has already met and retried since `start`: the window began then.
    package mutating func began(_ start: NIODeadline) {
        first = min(first ?? start, start)
    }

    /// When to try again; nil when that would be after the window or the deadline.
    package mutating func next(now: NIODeadline, deadline: NIODeadline) -> NIODeadline? {
        let end = min((first ?? now) + window, deadline)
        first = first ?? now
        let doubled = min(pause.nanoseconds << Int64(min(tries, 20)), Self.longest.nanoseconds)
        tries += 1
        let at = now + .nanoseconds(Int64(Double(doubled) * (0.5 + 0.5 * jitter())))
        return at < end ? at : nil
    }
}
