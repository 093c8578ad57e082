package import CurlTransport
import Dispatch
package import NIOCore
import Synchronization

/// Queue on which long documents of upstreams are read, one at a time and in their order. To read eight megabytes of JSON
/// takes longer than the neighbours of an event loop should wait.
package struct ParsingQueue: Sendable {
    /// Queue for lists of tools, prompts and resources of the whole process.
    package static let lists = ParsingQueue(label: "mcp.lists")
    /// Queue for answers from ``longAnswer`` bytes on, of the whole process.
    package static let answers = ParsingQueue(label: "mcp.answers")
    /// Smallest size of an answer, in bytes, that is not read on the event loop.
    package static let longAnswer = 256 << 10

    /// Returns whether a piece may complete an event that is as long.
    ///
    /// - Parameter held: Number of bytes of the event that came before.
    package static func isLongEvent(held: Int, completedBy piece: ByteBuffer) -> Bool {
        guard held + piece.readableBytes >= longAnswer else { return false }
        return piece.readableBytesView.contains(UInt8(ascii: "\n"))
            || piece.readableBytesView.contains(UInt8(ascii: "\r"))
    }

    private let queue: DispatchQueue

    /// Creates a queue of its own.
    package init(label: String) {
        queue = DispatchQueue(label: label)
    }

    /// Runs work after all earlier work, then a closure with its result on the event loop that calls this method.
    package func run<Value: Sendable>(
        on eventLoop: any EventLoop, _ work: @escaping @Sendable () -> Value, then: @escaping (Value) -> Void
    ) {
        let then = NIOLoopBound(then, eventLoop: eventLoop)
        queue.async {
            let value = work()
            eventLoop.execute { then.value(value) }
        }
    }

    /// Runs work that changes a state, likewise. The state is not copied: the caller gives it away until it comes back.
    package func run<State: Sendable, Value: Sendable>(
        on eventLoop: any EventLoop, changing state: consuming State,
        _ work: @escaping @Sendable (inout State) -> Value, then: @escaping (State, Value) -> Void
    ) {
        let lent = LentState(state)
        run(on: eventLoop) {
            lent.state.withLock { state -> Value? in
                // Taken out, so that the work has the only reference and changes it in place.
                guard var changed = state.take() else { return nil }
                let value = work(&changed)
                state = changed
                return value
            }
        } then: { value in
            if let value, let state = lent.state.withLock({ $0.take() }) { then(state, value) }
        }
    }

    /// Runs work after all earlier work and returns its result; no thread of the concurrency pool waits for it.
    package func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try work() }) }
        }
    }
}

/// A state while it is changed beside the event loop.
private final class LentState<State: Sendable>: Sendable {
    /// Nil once it has been given back.
    let state: Mutex<State?>

    init(_ state: consuming State) {
        self.state = Mutex(state)
    }
}

/// Pieces of a streamed answer that arrive while a part of it is read on a ``ParsingQueue``, so that the order is kept.
/// The transfer is paused meanwhile, which bounds the pieces by its window.
package struct HeldPieces {
    /// True while a part is read.
    package private(set) var isReading = false
    private var pieces = CircularBuffer<ByteBuffer>()
    private var end: Result<CurlResponse, CurlError>?

    /// Creates one that holds nothing.
    package init() {}

    /// Marks the beginning of a reading.
    package mutating func beginReading() { isReading = true }

    /// Marks its end.
    package mutating func endReading() { isReading = false }

    /// Keeps a piece. False when nothing is read, so that it can be taken at once.
    package mutating func keep(_ piece: ByteBuffer) -> Bool {
        if isReading { pieces.append(piece) }
        return isReading
    }

    /// Keeps the end of the answer, likewise.
    package mutating func keep(_ end: Result<CurlResponse, CurlError>) -> Bool {
        if isReading { self.end = end }
        return isReading
    }

    /// Returns the next piece; nil while a part is read, and where there is none.
    package mutating func next() -> ByteBuffer? { isReading ? nil : pieces.popFirst() }

    /// Returns the end of the answer once every piece has been taken; nil before, and where it has not come.
    package mutating func takeEnd() -> Result<CurlResponse, CurlError>? {
        isReading || !pieces.isEmpty ? nil : end.take()
    }

    /// Drops the pieces of an answer that no caller waits for.
    package mutating func drop() { pieces.removeAll() }
}
