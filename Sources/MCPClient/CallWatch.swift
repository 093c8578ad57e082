import NIOCore

/// Safety net for the calls of one event loop. Their transport ends each of them within its deadline; if it ever does
/// not, because an outcome was lost, the call is ended from here, so that its caller does not wait forever.
///
/// It also ends calls whose servers are silent for too long.
///
/// One timer checks all of them periodically, because a timer for each call would cost allocations, and its end a search
/// among all others.
final class CallWatch {
    /// Smallest time after its deadline after which a call is ended from here; the largest is twice that.
    static let grace = TimeAmount.milliseconds(250)
    /// Shortest limit of a server's silence that is watched from here, where it may be exceeded by the time between two
    /// checks.
    static let shortestSilence = TimeAmount.seconds(5)

    private let eventLoop: any EventLoop
    private var calls: [CallDriver] = []
    private var isTicking = false

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func add(_ call: CallDriver) {
        if call.watchIndex != nil { return }
        call.watchIndex = calls.count
        calls.append(call)
        if !isTicking { tick() }
    }

    func remove(_ call: CallDriver) {
        guard let index = call.watchIndex else { return }
        call.watchIndex = nil
        let last = calls.removeLast()
        if last !== call {
            calls[index] = last
            last.watchIndex = index
        }
    }

    private func tick() {
        isTicking = true
        eventLoop.assumeIsolated().scheduleTask(in: Self.grace) {
            self.check(at: .now())
            self.isTicking = false
            if !self.calls.isEmpty { self.tick() }
        }
    }

    /// Ends the calls that should have ended by then.
    func check(at now: NIODeadline) {
        // Collected first: a call that ends leaves the list, and its completion may begin another.
        for call in calls.filter({ now >= $0.deadline + Self.grace }) { call.overdue() }
        for call in calls.filter({ $0.isSilent(at: now) }) { call.fellSilent(at: now) }
    }
}
