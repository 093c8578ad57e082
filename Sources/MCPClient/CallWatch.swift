import NIOCore

/// Safety net for the calls of one event loop. Their transport ends each of them within its deadline; if it ever does
/// not, because an outcome was lost, the call is ended from here, so that its caller does not wait forever.
///
/// One timer checks all of them periodically, because a timer for each call would cost allocations.
final class CallWatch {
    /// Smallest time after its deadline after which a call is ended from here; the largest is twice that.
    static let grace = TimeAmount.milliseconds(250)

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
            let now = NIODeadline.now()
            // Collected first: a call that ends leaves the list, and its completion may begin another.
            for call in self.calls.filter({ now >= $0.deadline + Self.grace }) { call.overdue() }
            self.isTicking = false
            if !self.calls.isEmpty { self.tick() }
        }
    }
}
