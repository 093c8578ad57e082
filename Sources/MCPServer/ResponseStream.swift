import ProcessMemory
import Synchronization

/// Body of a streamed response: a bounded buffer between the producers of messages and one connection.
///
/// The owner of the connection is woken when there is something to ``take()``, until that returns the end, and calls
/// ``abandon()`` if the client leaves before. Producers add bytes without waiting and may then wait for room.
package final class MCPResponseStream: Sendable {
    private struct State {
        var buffer: [UInt8] = []
        /// Memory that the buffer has drawn.
        var reservation: MemoryReservation?
        var isClosed = false
        var isAbandoned = false
        var wake: (@Sendable () -> Void)?
        var writers: [CheckedContinuation<Void, Never>] = []
        var onAbandon: (@Sendable () -> Void)?
    }

    /// A piece of a stream from ``take()``.
    package enum Taken: Sendable {
        case bytes([UInt8])
        /// The buffer is empty, and the stream has not ended.
        case nothing
        case end
    }

    /// Number of buffered bytes above which producers wait.
    static let highWater = 256 * 1024
    /// Largest number of buffered bytes, unless a single message is larger; a reader so slow that broadcasts exceed this
    /// loses its stream.
    static let hardLimit = 4 * 1024 * 1024

    private let memory: MemoryBudget
    private let state = Mutex(State())

    /// - Parameter memory: Budget from which the buffer draws. A reader for whose arrears it has no room loses its stream.
    init(memory: MemoryBudget = .unlimited) {
        self.memory = memory
    }

    /// Sets the closure that ``abandon()`` calls; not called after ``close()``.
    func whenAbandoned(_ action: @escaping @Sendable () -> Void) {
        let late = state.withLock { state in
            if !state.isAbandoned, !state.isClosed { state.onAbandon = action }
            return state.isAbandoned
        }
        if late { action() }
    }

    /// Sets the closure that is called, on any thread, when the buffer is no longer empty; at once if it already is
    /// not.
    package func whenReady(_ wake: @escaping @Sendable () -> Void) {
        let isReady = state.withLock { state in
            state.wake = wake
            return !state.buffer.isEmpty || state.isClosed || state.isAbandoned
        }
        if isReady { wake() }
    }

    /// Takes all buffered bytes.
    package func take() -> Taken {
        var writers: [CheckedContinuation<Void, Never>] = []
        let taken = state.withLock { state -> Taken in
            if !state.buffer.isEmpty {
                defer {
                    state.buffer = []
                    state.reservation = nil
                }
                swap(&writers, &state.writers)
                return .bytes(state.buffer)
            }
            guard state.isClosed || state.isAbandoned else { return .nothing }
            state.wake = nil
            return .end
        }
        for writer in writers { writer.resume() }
        return taken
    }

    /// Drops the buffer and notifies the owner of the request: the client has left. Idempotent.
    package func abandon() {
        var writers: [CheckedContinuation<Void, Never>] = []
        let (wake, tell) = state.withLock { state -> ((@Sendable () -> Void)?, (@Sendable () -> Void)?) in
            let wasOpen = !state.isAbandoned && !state.isClosed
            state.isAbandoned = true
            state.buffer = []
            state.reservation = nil
            swap(&writers, &state.writers)
            defer {
                state.wake = nil
                state.onAbandon = nil
            }
            return (state.wake, wasOpen ? state.onAbandon : nil)
        }
        for writer in writers { writer.resume() }
        wake?()
        tell?()
    }

    /// Adds bytes without waiting. Returns false when the stream is over.
    @discardableResult
    func push(_ bytes: some Collection<UInt8>) -> Bool {
        let (isOpen, isLagging, wake) = state.withLock { state -> (Bool, Bool, (@Sendable () -> Void)?) in
            if state.isClosed || state.isAbandoned { return (false, false, nil) }
            let before = state.buffer.count
            state.buffer.append(contentsOf: bytes)
            let fits: Bool
            if before <= Self.highWater {
                // The reader keeps up: a message of any size is delivered, as it would be without a stream.
                memory.charge(state.buffer.count, in: &state.reservation)
                fits = true
            } else {
                fits =
                    state.buffer.count <= Self.hardLimit
                    && memory.hold(state.buffer.count, in: &state.reservation)
            }
            return (true, !fits, before == 0 ? state.wake : nil)
        }
        wake?()
        guard isLagging else { return isOpen }
        abandon()
        return false
    }

    /// Waits until the reader has taken enough, or has left.
    func room() async {
        let full = state.withLock { $0.buffer.count > Self.highWater && !$0.isClosed && !$0.isAbandoned }
        guard full else { return }
        await withCheckedContinuation { continuation in
            let wait = state.withLock { state in
                guard state.buffer.count > Self.highWater, !state.isClosed, !state.isAbandoned else { return false }
                state.writers.append(continuation)
                return true
            }
            if !wait { continuation.resume() }
        }
    }

    /// Ends the stream after the buffered bytes. Idempotent.
    func close() {
        var writers: [CheckedContinuation<Void, Never>] = []
        let wake = state.withLock { state in
            state.isClosed = true
            state.onAbandon = nil
            swap(&writers, &state.writers)
            return state.wake
        }
        for writer in writers { writer.resume() }
        wake?()
    }

    var isOpen: Bool { state.withLock { !$0.isClosed && !$0.isAbandoned } }
}
