package import NIOCore

/// Pauses between attempts after a refused connection: doubling, with jitter, within a window from the first refusal.
package struct Backoff {
    private let window: TimeAmount
    private let pause: TimeAmount
    private let jitter: () -> Double
    private var first: NIODeadline?
    private var tries = 0

    /// Longest single pause: short, so that a restarted server is found again quickly.
    private static let longest = TimeAmount.milliseconds(400)

    /// - Parameters:
    ///   - window: Time after the first refusal in which attempts are made.
    ///   - pause: Pause before the second attempt; later ones are longer, up to 400 ms.
    ///   - jitter: Number from 0 to 1; spreads callers that were refused at the same time.
    package init(window: TimeAmount, pause: TimeAmount, jitter: @escaping () -> Double = { .random(in: 0...1) }) {
        self.window = window
        self.pause = pause
        self.jitter = jitter
    }

    /// Counts a refusal that another call has met and retried since `start`: the window began then.
    package mutating func began(_ start: NIODeadline) {
        first = min(first ?? start, start)
    }

    /// Returns the time of the next attempt; nil when that would be after the window or the deadline.
    package mutating func next(now: NIODeadline, deadline: NIODeadline) -> NIODeadline? {
        let end = min((first ?? now) + window, deadline)
        first = first ?? now
        let doubled = min(pause.nanoseconds << Int64(min(tries, 20)), Self.longest.nanoseconds)
        tries += 1
        let at = now + .nanoseconds(Int64(Double(doubled) * (0.5 + 0.5 * jitter())))
        return at < end ? at : nil
    }
}
