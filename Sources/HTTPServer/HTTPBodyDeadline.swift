import NIOCore

/// Deadline by which a client must have sent more of a body. Only time in which a handler waits for the body counts.
///
/// Three limits apply together: a pause between two reads, an average rate since the first byte (after one such pause
/// of grace), and a total. So a single byte now and then, which ends each pause, cannot keep a request open.
struct HTTPBodyDeadline {
    /// Limits of one body.
    struct Limits {
        /// Longest pause between two reads; also the grace before the rate counts.
        var pause: TimeAmount
        /// Longest time from the first wait to the end of the body.
        var total: TimeAmount
        /// Smallest average rate in bytes per second; 0: no limit.
        var rate: Int
    }

    private var waited = TimeAmount.zero
    private var waitingSince: NIODeadline?
    private var pauseEnd = NIODeadline.distantFuture
    private var received = 0

    /// Records that a handler waits for more, and returns the deadline for it.
    ///
    /// - Parameter received: Number of bytes of the request that have arrived so far.
    mutating func wait(received: Int, now: NIODeadline, _ limits: Limits) -> NIODeadline {
        let since = waitingSince ?? now
        if waitingSince == nil || received > self.received { pauseEnd = now + limits.pause }
        waitingSince = since
        self.received = received
        var allowed = limits.total
        if limits.rate > 0 {
            // Compared in seconds first: the product in nanoseconds might overflow.
            let seconds = Int64(received / limits.rate)
            if seconds < limits.total.nanoseconds / 1_000_000_000 {
                allowed = min(allowed, limits.pause + .seconds(seconds))
            }
        }
        return min(pauseEnd, since + (allowed - waited))
    }

    /// Records that the body is not waited for at the moment.
    mutating func pause(now: NIODeadline) {
        guard let since = waitingSince else { return }
        waited = waited + (now - since)
        waitingSince = nil
    }
}
