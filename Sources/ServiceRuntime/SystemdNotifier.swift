import Foundation
import Glibc

/// Notifier of systemd about the state of the service (`sd_notify(3)`): one datagram a message to the socket that
/// `NOTIFY_SOCKET` names.
///
/// Does nothing where the variable is absent, so that callers need not check for systemd.
package struct SystemdNotifier: Sendable {
    /// State that a service reports.
    package enum Message: Hashable, Sendable {
        /// The service is listening; also the end of a reload.
        case ready
        /// The service is reading its configuration again. `READY=1` must follow.
        case reloading
        /// The service is draining.
        case stopping
        /// The service is alive; see ``watchdogInterval``.
        case watchdog
        /// A status line for `systemctl status`.
        case status(String)
    }

    /// Time without a `watchdog` after which systemd restarts the service (`WatchdogSec=`); nil: the watchdog is off.
    /// Messages must be sent at least twice as often.
    package let watchdogInterval: Duration?
    /// Path of the socket, or `@` and the name of an abstract socket.
    private let address: String?

    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    ///
    /// An address that is neither an absolute path nor abstract is ignored, and so is a watchdog meant for another
    /// process.
    package init(
        environment: [String: String] = ProcessInfo.processInfo.environment, processID: Int32 = getpid()
    ) {
        let address = environment["NOTIFY_SOCKET"].flatMap { Self.isUsable($0) ? $0 : nil }
        self.address = address
        let isOurs = environment["WATCHDOG_PID"].map { Int32($0) == processID } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
        watchdogInterval = address != nil && isOurs && microseconds > 0 ? .microseconds(microseconds) : nil
    }

    /// Removes the variables from the environment, so that processes which this one starts do not send messages for it.
    /// Must be called once, before any thread exists: changing the environment is not thread-safe.
    package func claim() {
        for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] { unsetenv(variable) }
    }

    /// Sends a message; waits at most a second for room in systemd's queue.
    ///
    /// - Returns: True if it was sent; false also when systemd does not listen.
    @discardableResult
    package func send(_ message: Message) -> Bool {
        guard let address else { return false }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        _ = setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard let (known, length) = Self.socketAddress(address) else { return false }
        var target = known
        let text = Array(Self.text(message).utf8)
        let sent = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, text, text.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
        return sent == text.count
    }

    private static func text(_ message: Message) -> String {
        switch message {
        case .ready: return "READY=1"
        case .reloading:
            // Type=notify-reload needs the time, to know that this is not the answer to an older request.
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return "RELOADING=1\nMONOTONIC_USEC=\(time.tv_sec * 1_000_000 + time.tv_nsec / 1000)"
        case .stopping: return "STOPPING=1"
        case .watchdog: return "WATCHDOG=1"
        case .status(let text): return "STATUS=" + text.filter { !$0.isNewline }
        }
    }

    private static let pathCapacity = MemoryLayout.size(ofValue: sockaddr_un().sun_path)

    private static func isUsable(_ address: String) -> Bool {
        guard address.hasPrefix("/") || address.hasPrefix("@") else { return false }
        return (2..<pathCapacity).contains(address.utf8.count)
    }

    /// Returns the address of the socket. An abstract name begins with a zero byte and ends with the length, not with a
    /// zero.
    private static func socketAddress(_ text: String) -> (sockaddr_un, socklen_t)? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(text.utf8)
        let isAbstract = text.hasPrefix("@")
        if isAbstract { bytes[0] = 0 }
        guard bytes.count < pathCapacity else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        return (address, socklen_t(offset + bytes.count + (isAbstract ? 0 : 1)))
    }
}
