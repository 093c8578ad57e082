import NIOCore

/// The calls of one event loop that wait for their transport, which ends each of them within its time. This is for the
/// day when it does not: a lost outcome must not keep a caller waiting for ever.
///
/// One timer looks at all of them every so often, since a timer for each call would cost allocations.
final class CallWatch {
    /// How long after its deadline a call is ended from here, at the earliest; at the latest twice that.
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
