import CPostgres
import Dispatch
import Foundation
import Synchronization

/// One request to the server to cancel the statement of a connection, sent over a connection of its own.
///
/// libpq waits for the server's answer without a limit, so each request has a thread of its own: a server that accepts
/// and says nothing would hold the thread of the statement for good.
final class StatementCancellation: Sendable {
    /// Largest number of requests of the process that wait for an answer; beyond it none is sent.
    private static let limit = 32
    private static let underWay = Atomic<Int>(0)

    private let answered = DispatchSemaphore(value: 0)

    /// Sends the request; nil when it cannot be sent, or when too many are unanswered.
    init?(_ handle: OpaquePointer) {
        guard Self.underWay.wrappingAdd(1, ordering: .relaxed).newValue <= Self.limit,
            let request = PQgetCancel(handle)
        else {
            Self.underWay.wrappingSubtract(1, ordering: .relaxed)
            return nil
        }
        // The thread alone uses it from here on.
        nonisolated(unsafe) let owned = request
        Thread.detachNewThread { [answered] in
            var buffer = [CChar](repeating: 0, count: 256)
            _ = PQcancel(owned, &buffer, Int32(buffer.count))
            PQfreeCancel(owned)
            Self.underWay.wrappingSubtract(1, ordering: .relaxed)
            answered.signal()
        }
    }

    /// Waits for the server's answer, at most five seconds; false without one. Until it has come, the request may still
    /// cancel whatever runs on the connection.
    func isAnswered() -> Bool { answered.wait(timeout: .now() + .seconds(5)) == .success }
}
