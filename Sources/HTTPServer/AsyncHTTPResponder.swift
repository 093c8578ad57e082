package import NIOCore
package import NIOHTTP1

/// Responder that answers one request from any thread. Only the first answer counts.
package struct AsyncHTTPResponder: Sendable {
    let channel: AsyncHTTPResponseChannel

    /// Sends a whole response; see `HTTPExchange.respond`.
    package func respond(
        status: HTTPResponseStatus, headers: HTTPHeaders = HTTPHeaders(), body: ByteBuffer = ByteBuffer()
    ) async {
        channel.onLoop { $0.respond(status: status, headers: headers, body: body) }
    }

    /// Starts a streamed response whose body comes from `source`, and returns at once: the stream outlives the task
    /// that began it, so a long one costs no task.
    ///
    /// - Parameter whenOver: Called once, on the event loop, when the body is complete or will not be read any more.
    package func stream(
        status: HTTPResponseStatus, headers: HTTPHeaders = HTTPHeaders(), from source: any HTTPBodySource,
        whenOver: @escaping @Sendable () -> Void = {}
    ) {
        channel.stream(status: status, headers: headers, from: source, whenOver: whenOver)
    }
}

/// Source of a response's body, which arrives over time.
package protocol HTTPBodySource: Sendable {
    /// Sets the closure that the source calls, on any thread, whenever ``take()`` may have something new. Called once,
    /// before `take`.
    func whenReady(_ wake: @escaping @Sendable () -> Void)
    /// Returns the bytes since the last call. Called only while the client reads fast enough, on the connection's event
    /// loop.
    func take() -> HTTPBodyPiece
    /// Stops the source: the client left, or read too slowly, so that the rest is not needed. Called at most once,
    /// never after the end was taken, on the connection's event loop.
    func abandon()
}

/// A piece of a body from a ``HTTPBodySource``.
package enum HTTPBodyPiece {
    case bytes(ByteBuffer)
    /// The source has nothing new, and has not ended.
    case nothing
    case end
}

/// An exchange that can be used from other threads: every use is executed on its event loop, in order.
final class AsyncHTTPResponseChannel: Sendable {
    private struct Stream {
        let source: any HTTPBodySource
        let whenOver: @Sendable () -> Void
    }

    private struct State {
        let exchange: HTTPExchange
        var hasClientLeft = false
        /// True if the response continues without the task that began it.
        var isStreamed = false
        /// Stream of the response, until it is over.
        var stream: Stream?
    }

    private let eventLoop: any EventLoop
    private let state: NIOLoopBoundBox<State>

    /// Creates the channel of an exchange, on its event loop.
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

    // MARK: Streams

    func stream(
        status: HTTPResponseStatus, headers: HTTPHeaders, from source: any HTTPBodySource,
        whenOver: @escaping @Sendable () -> Void
    ) {
        onLoop { exchange in
            self.state.value.isStreamed = true
            guard !self.state.value.hasClientLeft, exchange.connection != nil, !exchange.responseStarted else {
                source.abandon()
                return whenOver()
            }
            self.state.value.stream = Stream(source: source, whenOver: whenOver)
            exchange.onDisconnect = { self.clientLeft() }
            exchange.onWritable = { self.pump() }
            exchange.startResponse(status: status, headers: headers)
            exchange.flush()
            source.whenReady { self.eventLoop.execute { self.pump() } }
            self.pump()
        }
    }

    /// Writes the available bytes while the client reads fast enough; one that stops reading without leaving is cut off
    /// by the write timeout.
    private func pump() {
        let exchange = state.value.exchange
        while let stream = state.value.stream, exchange.isWritable {
            switch stream.source.take() {
            case .nothing: return
            case .bytes(let bytes):
                exchange.write(bytes)
                exchange.flush()
            case .end:
                state.value.stream = nil
                exchange.endResponse()
                stream.whenOver()
            }
        }
        // Writing may have shown that the connection is lost.
        if exchange.connection == nil { clientLeft() }
    }

    /// Handles a client that left. Called on the event loop.
    func clientLeft() {
        state.value.hasClientLeft = true
        guard let stream = state.value.stream else { return }
        state.value.stream = nil
        stream.source.abandon()
        stream.whenOver()
    }

    func handlerReturned() {
        onLoop { exchange in
            guard exchange.connection != nil, !exchange.responseStarted, !self.state.value.isStreamed else { return }
            let body = ByteBuffer(string: #"{"error": "Internal error"}"#)
            exchange.respond(status: .internalServerError, headers: ["Content-Type": "application/json"], body: body)
        }
    }
}
