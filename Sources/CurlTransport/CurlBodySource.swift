package import NIOCore
import Synchronization

/// A request body that is written while it is sent.
///
/// `consumed` gives the writer backpressure: it is called when the transport has taken the chunk, so that a writer with one
/// chunk outstanding needs only the memory of that chunk and of the transport's buffer.
///
/// `write`, `finish` and `fail` may be called from any thread. A source serves one transfer, and cannot be rewound, so
/// that its request is never repeated once a byte of the body was read.
package final class CurlBodySource: Sendable {
    /// `@unchecked Sendable`: the closure is only passed from the writer to the thread of the transfer's receiver
    /// (`TransferEvent.deliver`), which is where the writer expects it to be called.
    struct Consumed: @unchecked Sendable {
        fileprivate let closure: () -> Void
        func call() { closure() }
    }

    private struct Chunk: Sendable {
        var bytes: ByteBuffer
        let consumed: Consumed?
    }

    private struct State {
        var chunks: CircularBuffer<Chunk> = []
        var finished = false
        var failed = false
        /// True if the transport was told to wait; the next write must wake the transfer.
        var waiting = false
        var transfer: CurlTransfer?
        /// True once the transfer has ended: further bytes are not read.
        var over = false
    }

    enum Reading {
        case bytes(Int)
        case wait, end, failed
    }

    /// Length for `Content-Length`; nil: unknown, sent chunked.
    package let length: Int?
    private let state = Mutex(State())

    /// Creates a body, of a known length or chunked.
    package init(length: Int? = nil) { self.length = length }

    /// Appends a chunk.
    /// - Parameter consumed: Called once when the transport has taken the whole chunk, on the transfer's event loop (on the
    ///   engine's thread for transfers without one); not called when the transfer ends before.
    package func write(_ bytes: ByteBuffer, consumed: (() -> Void)? = nil) {
        let chunk = Chunk(bytes: bytes, consumed: consumed.map(Consumed.init(closure:)))
        change { $0.chunks.append(chunk) }
    }

    /// Ends the body: it is complete.
    package func finish() { change { $0.finished = true } }

    /// Aborts the body: ends the transfer with `.cancelled` and closes its connection.
    package func fail() { change { $0.failed = true } }

    private func change(_ body: (inout sending State) -> Void) {
        let sleeper: CurlTransfer? = state.withLock { state in
            if state.over { return nil }
            body(&state)
            guard state.waiting else { return nil }
            state.waiting = false
            return state.transfer
        }
        sleeper?.post(CurlTransfer.Command.wake)
    }

    /// Releases the bytes that were not sent. Runs on the thread of the transfer's receiver, where the `consumed`
    /// closures belong; after the lock, since releasing them runs foreign code.
    func discard() {
        let dropped = state.withLock { state in
            state.over = true
            defer { state.chunks = [] }
            return state.chunks
        }
        _ = consume dropped
    }

    // For the engine's thread. The lock is held for a copy of at most the transport's buffer (64 KiB), never while waiting.

    func attach(_ transfer: CurlTransfer?) {
        state.withLock { state in
            state.transfer = transfer
            state.waiting = false
        }
    }

    /// Fills the buffer with the available bytes.
    func read(into buffer: UnsafeMutableRawBufferPointer, consumed: (Consumed) -> Void) -> Reading {
        var done: [Consumed] = []
        let reading = state.withLock { state -> Reading in
            if state.failed { return .failed }
            var count = 0
            while count < buffer.count, let first = state.chunks.first {
                let wanted = min(first.bytes.readableBytes, buffer.count - count)
                state.chunks[state.chunks.startIndex].bytes.readWithUnsafeReadableBytes { bytes in
                    UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
                        .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<wanted]))
                    return wanted
                }
                count += wanted
                if wanted == first.bytes.readableBytes {
                    if let consumed = state.chunks.removeFirst().consumed { done.append(consumed) }
                }
            }
            if count > 0 { return .bytes(count) }
            if state.finished { return .end }
            state.waiting = true
            return .wait
        }
        for item in done { consumed(item) }
        return reading
    }
}
