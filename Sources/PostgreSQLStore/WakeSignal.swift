import CPostgres
import Glibc

/// Signal that wakes the thread of a connection while it waits.
final class WakeSignal: Sendable {
    /// File descriptor that is readable while the signal is set.
    let descriptor: Int32

    init() throws {
        descriptor = cpostgres_eventfd()
        guard descriptor >= 0 else {
            throw PostgreSQLError(disconnected: "eventfd: \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    func set() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    func clear() {
        var value: UInt64 = 0
        _ = read(descriptor, &value, 8)
    }
}
