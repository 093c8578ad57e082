import Synchronization

/// The body of a streamed response: a bounded hand-over from the messages' producers to one connection.
///
/// The side that owns the connection takes chunks with ``next()`` until it gives `nil`, and calls ``abandon()`` if the
/// client leaves before. Producers push without waiting and may then wait for room.
package final class MCPResponseStream: Sendable {
    private struct State {
        var buffer: [UInt8] = []
        var isClosed = false
        var isAbandoned = false
        var reader: CheckedContinuation<[UInt8]?, Never>?
        var writers: [CheckedContinuation<Void, Never>] = []
        var onAbandon: (@Sendable () -> Void)?
    }

    /// Bytes that may wait before producers are held back.
    static let highWater = 256 * 1024
    /// Bytes that may wait at most; a reader that lags so far behind that broadcasts exceed this loses its stream.
    static let hardLimit = 4 * 1024 * 1024

    private let state = Mutex(State())

    init() {}

    /// Whom ``abandon()`` tells; not told after ``close()``.
    func whenAbandoned(_ action: @escaping @Sendable () -> Void) {
        let late = state.withLock { state in
            if !state.isAbandoned, !state.isClosed { state.onAbandon = action }
            return state.isAbandoned
        }
        if late { action() }
    }

    /// Waits for the next bytes; everything that waits comes in one piece. `nil`: the stream has ended, or the task of
    /// the caller was cancelled.
    package func next() async -> [UInt8]? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<[UInt8]?, Never>) in
                var writers: [CheckedContinuation<Void, Never>] = []
                let ready: [UInt8]?? = state.withLock { state in
                    if !state.buffer.isEmpty {
                        defer { state.buffer = [] }
                        swap(&writers, &state.writers)
                        return .some(state.buffer)
                    }
                    if state.isClosed || state.isAbandoned || Task.isCancelled { return .some(nil) }
                    state.reader = continuation
                    return nil
                }
                for writer in writers { writer.resume() }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            let reader = state.withLock { state in
                defer { state.reader = nil }
                return state.reader
            }
            reader?.resume(returning: nil)
        }
    }

    /// The client has left: what waits is dropped and the owner of the request is told. Idempotent.
    package func abandon() {
        var writers: [CheckedContinuation<Void, Never>] = []
        let (reader, tell) = state.withLock {
            state -> (CheckedContinuation<[UInt8]?, Never>?, (@Sendable () -> Void)?) in
            let wasOpen = !state.isAbandoned && !state.isClosed
            state.isAbandoned = true
            state.buffer = []
            swap(&writers, &state.writers)
            defer {
                state.reader = nil
                state.onAbandon = nil
            }
            return (state.reader, wasOpen ? state.onAbandon : nil)
        }
        for writer in writers { writer.resume() }
        reader?.resume(returning: nil)
        tell?()
    }

    /// Adds bytes. Never waits. Returns false when the stream is over.
    @discardableResult
    func push(_ bytes: some Collection<UInt8>) -> Bool {
        var chunk: [UInt8]?
        var lagging = false
        let reader: CheckedContinuation<[UInt8]?, Never>?? = state.withLock { state in
            if state.isClosed || state.isAbandoned { return nil }
            if let reader = state.reader {
                state.reader = nil
                chunk = Array(bytes)
                return .some(reader)
            }
            state.buffer.append(contentsOf: bytes)
            lagging = state.buffer.count > Self.hardLimit
            return .some(nil)
        }
        guard let reader else { return false }
        if let reader, let chunk { reader.resume(returning: chunk) }
        if lagging {
            abandon()
            return false
        }
        return true
    }

    /// Waits until the reader has taken enough of what was pushed, or has left.
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

    /// Ends the stream after what was pushed. Idempotent.
    func close() {
        var writers: [CheckedContinuation<Void, Never>] = []
        let reader = state.withLock { state -> CheckedContinuation<[UInt8]?, Never>? in
            state.isClosed = true
            state.onAbandon = nil
            swap(&writers, &state.writers)
            defer { state.reader = nil }
            return state.reader
        }
        for writer in writers { writer.resume() }
        reader?.resume(returning: nil)
    }

    var isOpen: Bool { state.withLock { !$0.isClosed && !$0.isAbandoned } }
}
