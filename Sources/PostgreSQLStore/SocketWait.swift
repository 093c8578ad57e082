import Glibc

/// How waiting for a socket ended.
enum SocketWait {
    case ready
    /// The signal was set, and nothing has come.
    case woken
    case timedOut

    /// Waits for `events` as `poll` names them; for ever where there is no deadline.
    init(socket: Int32, for events: Int32, until deadline: ContinuousClock.Instant?, wake: WakeSignal?) {
        while true {
            var descriptors = [
                pollfd(fd: socket, events: Int16(events), revents: 0),
                pollfd(fd: wake?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
            ]
            var limit: Int32 = -1
            if let deadline {
                let left = ContinuousClock.now.duration(to: deadline)
                if left <= .zero {
                    self = .timedOut
                    return
                }
                limit = Int32(min(left.inMilliseconds + 1, 3_600_000))
            }
            let count = poll(&descriptors, 2, limit)
            if count < 0, errno == EINTR { continue }
            // What is wrong with the socket shows when it is read.
            if count < 0 || descriptors[0].revents != 0 {
                self = .ready
                return
            }
            if descriptors[1].revents != 0 {
                self = .woken
                return
            }
        }
    }
}

extension Duration {
    /// Rounded up, so that a positive duration never becomes none.
    var inMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
