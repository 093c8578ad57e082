import NIOCore

/// Event streams of one event loop that stay open after their answer.
///
/// Left alone, most of them end at once and their connection stays usable. The others are closed.
final class OpenTails {
    /// Smallest time that a stream may stay open; the largest is twice that.
    static let grace = TimeAmount.milliseconds(250)
    /// Largest number of streams that may stay open.
    static let limit = 64

    private let eventLoop: any EventLoop
    private var exchanges: [(exchange: MessageExchange, until: NIODeadline)] = []
    private var isTicking = false

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func add(_ exchange: MessageExchange) {
        exchanges.append((exchange, .now() + Self.grace))
        if exchanges.count > Self.limit {
            exchanges.removeAll { !$0.exchange.isOpen }
            // Half of them, so that this is not repeated for each further one.
            if exchanges.count > Self.limit { close(exchanges.count / 2) }
        }
        if !isTicking { tick() }
    }

    private func close(_ count: Int) {
        for (exchange, _) in exchanges.prefix(count) { exchange.abandon() }
        exchanges.removeFirst(count)
    }

    private func tick() {
        isTicking = true
        eventLoop.assumeIsolated().scheduleTask(in: Self.grace) {
            let now = NIODeadline.now()
            self.exchanges.removeAll { !$0.exchange.isOpen }
            self.close(self.exchanges.prefix { $0.until <= now }.count)
            self.isTicking = false
            if !self.exchanges.isEmpty { self.tick() }
        }
    }
}
