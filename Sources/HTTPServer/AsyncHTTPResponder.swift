package import NIOCore
package import NIOHTTP1

/// Answers one request from any thread. Answer once; what comes after is ignored.
package struct AsyncHTTPResponder: Sendable {
    let channel: AsyncHTTPResponseChannel

    /// Sends a whole response; see `HTTPExchange.respond`.
    package func respond(
        status: HTTPResponseStatus, headers: HTTPHeaders = HTTPHeaders(), body: ByteBuffer = ByteBuffer()
    ) async {
        channel.onLoop { $0.respond(status: status, headers: headers, body: body) }
    }

    /// Starts a streamed response and sends its head.
    package func stream(
        status: HTTPResponseStatus, headers: HTTPHeaders = HTTPHeaders()
    ) async -> AsyncHTTPBodyWriter {
        channel.onLoop { exchange in
            exchange.startResponse(status: status, headers: headers)
            exchange.flush()
        }
        return AsyncHTTPBodyWriter(channel: channel)
    }
}

/// Writes a streamed response's body.
package struct AsyncHTTPBodyWriter: Sendable {
    let channel: AsyncHTTPResponseChannel

    /// Sends the bytes and returns when there is room for more, so that a slow reader slows the writer down.
    ///
    /// Throws `HTTPFailure.disconnected` once the client has left, `CancellationError` when the task was cancelled.
    package func write(_ bytes: ByteBuffer) async throws { try await channel.write(bytes) }

    /// Ends the body.
    package func end() async { channel.onLoop { $0.endResponse() } }

    /// Closes the connection, so that the client can tell that the body is incomplete.
    package func abort() { channel.onLoop { $0.abort() } }
}

/// An exchange that may be used from other threads: every use hops to its event loop, in order.
final class AsyncHTTPResponseChannel: Sendable {
    private struct State {
        let exchange: HTTPExchange
        var waiting: [EventLoopPromise<Void>] = []
        var hasClientLeft = false
    }

    private let eventLoop: any EventLoop
    private let state: NIOLoopBoundBox<State>

    /// On the exchange's event loop.
    init(_ exchange: HTTPExchange) {
        eventLoop = exchange.eventLoop
        state = NIOLoopBoundBox(State(exchange: exchange), eventLoop: exchange.eventLoop)
    }

    func onLoop(_ body: @escaping @Sendable (HTTPExchange) -> Void) {
        if eventLoop.inEventLoop {
            body(state.value.exchange)
        } else {
            eventLoop.execute { body(self.state.value.exchange) }
        }
    }

    func write(_ bytes: ByteBuffer) async throws {
        try Task.checkCancellation()
        let promise = eventLoop.makePromise(of: Void.self)
        eventLoop.execute { self.write(bytes, promise) }
        // A client that stops reading without leaving is cut off by the write timeout, which fails the promise.
        try await promise.futureResult.get()
    }

    private func write(_ bytes: ByteBuffer, _ promise: EventLoopPromise<Void>) {
        let exchange = state.value.exchange
        guard !state.value.hasClientLeft, exchange.connection != nil else {
            promise.fail(HTTPFailure.disconnected)
            return
        }
        exchange.write(bytes)
        exchange.flush()
        if exchange.isWritable {
            promise.succeed()
        } else if exchange.connection == nil {
            promise.fail(HTTPFailure.disconnected)
        } else {
            state.value.waiting.append(promise)
            exchange.onWritable = { [weak self] in self?.release(nil) }
        }
    }

    /// On the event loop.
    func clientLeft() {
        state.value.hasClientLeft = true
        release(.disconnected)
    }

    private func release(_ failure: HTTPFailure?) {
        let waiting = state.value.waiting
        state.value.waiting = []
        for promise in waiting {
            if let failure { promise.fail(failure) } else { promise.succeed() }
        }
    }

    func handlerReturned() {
        onLoop { exchange in
            guard exchange.connection != nil else { return }
            if exchange.responseStarted {
                // Nothing if it has ended; a stream left open must not look whole.
                exchange.abort()
            } else {
                let body = ByteBuffer(string: #"{"error": "Internal error"}"#)
                exchange.respond(
                    status: .internalServerError, headers: ["Content-Type": "application/json"], body: body)
            }
        }
    }
}
