package import NIOCore
import ProcessMemory
import Synchronization

extension CurlEngine {
    /// Runs a transfer with the whole response in memory, whatever the request's mode.
    /// - Throws: `CurlError`; `.cancelled` when the task is cancelled.
    package func execute(_ request: CurlRequest) async throws -> CurlResponse {
        var request = request
        request.mode = .buffered
        let receiver = BufferedReceiver()
        let transfer = prepare(request, eventLoop: nil, manualCredit: false, receiver: receiver)
        let result = await withTaskCancellationHandler {
            await receiver.result { transfer.post(CurlTransfer.Command.start) }
        } onCancel: {
            transfer.cancel()
        }
        return try result.get()
    }

    /// Starts a transfer and returns when the response's head has arrived.
    /// - Parameter prepared: Gets the transfer before it is started, in order to cancel it independently of the task.
    /// - Throws: `CurlError`; `.cancelled` when the task is cancelled before the head has arrived. After that, the
    ///   reader of the body decides: releasing the response ends the transfer.
    package func stream(
        _ request: CurlRequest, prepared: (CurlTransfer) -> Void = { _ in }
    ) async throws -> CurlStreamedResponse {
        var request = request
        request.mode = .streaming
        let receiver = StreamReceiver(window: configuration.streamWindow)
        let transfer = prepare(request, eventLoop: nil, manualCredit: true, receiver: receiver)
        prepared(transfer)
        let head = try await withTaskCancellationHandler {
            try await receiver.head { transfer.post(CurlTransfer.Command.start) }
        } onCancel: {
            transfer.cancel()
        }
        return CurlStreamedResponse(
            status: head.status, headers: head.headers,
            body: CurlResponseBody(reader: CurlResponseBody.Reader(receiver: receiver, transfer: transfer)))
    }
}

/// A response whose body is still arriving.
package struct CurlStreamedResponse: Sendable {
    /// HTTP status.
    package let status: Int
    /// Header lines of the final response.
    package let headers: CurlHeaders
    package let body: CurlResponseBody
}

/// Body of a response that is still arriving. For one reader; when it reads slower than the peer sends, the socket is
/// not read while `CurlEngineConfiguration.streamWindow` bytes are waiting. Releasing the body before its end ends the
/// transfer.
package struct CurlResponseBody: AsyncSequence, Sendable {
    fileprivate let reader: Reader

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(reader: reader) }

    package struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let reader: Reader

        /// - Throws: `CurlError`, also when the task is cancelled.
        package mutating func next() async throws -> ByteBuffer? { try await reader.next() }
    }

    /// Returns the rest of the body.
    /// - Throws: `CurlError`, with `.tooLarge` beyond `limit` bytes and `.overloaded` beyond the memory budget.
    package func collect(upTo limit: Int) async throws -> ByteBuffer {
        var body = ByteBuffer()
        var reservation: MemoryReservation?
        for try await chunk in self {
            if body.readableBytes + chunk.readableBytes > limit {
                throw CurlError(kind: .tooLarge, message: "body is longer than \(limit) bytes", requestSent: true)
            }
            guard reader.memory.hold(body.readableBytes + chunk.readableBytes, in: &reservation) else {
                throw CurlError(kind: .overloaded, message: "no room in limits.memory", requestSent: true)
            }
            body.writeImmutableBuffer(chunk)
        }
        return body
    }

    fileprivate final class Reader: Sendable {
        private let receiver: StreamReceiver
        private let transfer: CurlTransfer

        init(receiver: StreamReceiver, transfer: CurlTransfer) {
            self.receiver = receiver
            self.transfer = transfer
        }

        deinit { transfer.cancel() }

        var memory: MemoryBudget { transfer.memory }

        func next() async throws -> ByteBuffer? {
            let chunk = try await withTaskCancellationHandler {
                try await receiver.next()
            } onCancel: {
                transfer.cancel()
            }
            if let chunk { transfer.consumed(chunk.readableBytes, window: receiver.window) }
            return chunk
        }
    }
}

/// A cancelled task cancels its transfer even before it is started, so each receiver stores a result that comes before
/// its waiter.
private final class BufferedReceiver: CurlTransferReceiver, Sendable {
    typealias Outcome = Result<CurlResponse, CurlError>

    private struct State {
        var waiter: CheckedContinuation<Outcome, Never>?
        var outcome: Outcome?
    }

    private let state = Mutex(State())

    func result(start: () -> Void) async -> Outcome {
        await withCheckedContinuation { continuation in
            let outcome = state.withLock { state in
                if state.outcome == nil { state.waiter = continuation }
                return state.outcome
            }
            if let outcome { return continuation.resume(returning: outcome) }
            start()
        }
    }

    func transferDone(_ result: Outcome) {
        let waiter = state.withLock { state in
            state.outcome = result
            return state.waiter.take()
        }
        waiter?.resume(returning: result)
    }
}

/// Receiver that stores what arrives until it is read. Called on the engine's thread, so it must never wait.
private final class StreamReceiver: CurlTransferReceiver, Sendable {
    typealias Head = (status: Int, headers: CurlHeaders)

    private struct State {
        var head: CheckedContinuation<Head, any Error>?
        var reader: CheckedContinuation<ByteBuffer?, any Error>?
        var chunks: CircularBuffer<ByteBuffer> = []
        var result: Result<CurlResponse, CurlError>?
    }

    private let state = Mutex(State())
    let window: Int

    init(window: Int) { self.window = window }

    func head(start: () -> Void) async throws -> Head {
        try await withCheckedThrowingContinuation { continuation in
            let result = state.withLock { state in
                if state.result == nil { state.head = continuation }
                return state.result
            }
            if case .failure(let error) = result { return continuation.resume(throwing: error) }
            start()
        }
    }

    func next() async throws -> ByteBuffer? {
        try await withCheckedThrowingContinuation { continuation in
            let ready: Result<ByteBuffer?, any Error>? = state.withLock { state in
                if let chunk = state.chunks.popFirst() { return .success(chunk) }
                if let result = state.result { return result.map { _ in nil }.mapError { $0 } }
                state.reader = continuation
                return nil
            }
            if let ready { continuation.resume(with: ready) }
        }
    }

    func transferHead(status: Int, headers: CurlHeaders) {
        state.withLock { $0.head.take() }?.resume(returning: (status, headers))
    }

    func transferBody(_ bytes: ByteBuffer) {
        let reader = state.withLock { state in
            if state.reader == nil { state.chunks.append(bytes) }
            return state.reader.take()
        }
        reader?.resume(returning: bytes)
    }

    func transferDone(_ result: Result<CurlResponse, CurlError>) {
        let (head, reader) = state.withLock { state in
            state.result = result
            return (state.head.take(), state.reader.take())
        }
        switch result {
        case .success:
            reader?.resume(returning: nil)
            // A transfer without a head cannot succeed.
            head?.resume(throwing: CurlError(kind: .invalidResponse, message: "no response", requestSent: true))
        case .failure(let error):
            reader?.resume(throwing: error)
            head?.resume(throwing: error)
        }
    }
}
