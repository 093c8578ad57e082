import Glibc

/// Result of waiting for a socket.
enum SocketWait {
    case ready
    /// The signal was set, and the socket is not ready.
    case woken
    case timedOut

    /// Waits for `events` in the form of `poll`; without a deadline indefinitely.
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
            // An error of the socket is reported when it is read.
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
    /// Rounded up, so that a positive duration never becomes zero.
    var inMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
