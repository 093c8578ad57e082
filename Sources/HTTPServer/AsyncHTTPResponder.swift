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

    /// Starts a streamed response whose body comes from `source`, and returns at once: the stream outlives the task
    /// that began it, so a long one costs no task.
    ///
    /// - Parameter whenOver: called once, on the event loop: the body is complete, or nobody will read the rest.
    package func stream(
        status: HTTPResponseStatus, headers: HTTPHeaders = HTTPHeaders(), from source: any HTTPBodySource,
        whenOver: @escaping @Sendable () -> Void = {}
    ) {
        channel.stream(status: status, headers: headers, from: source, whenOver: whenOver)
    }
}

/// A response's body that comes when it comes.
package protocol HTTPBodySource: Sendable {
    /// Calls `wake`, from any thread, whenever ``take()`` may have something new to give. Called once, before that.
    func whenReady(_ wake: @escaping @Sendable () -> Void)
    /// What has come since the last call. Called only while the client keeps up, on the connection's event loop.
    func take() -> HTTPBodyPiece
    /// Nobody will read the rest: the client left, or read too slowly. Called at most once, never after the end was
    /// taken, on the connection's event loop.
    func abandon()
}

/// A piece of a body from a ``HTTPBodySource``.
package enum HTTPBodyPiece {
    case bytes(ByteBuffer)
    /// Nothing yet.
    case nothing
    case end
}

/// An exchange that may be used from other threads: every use hops to its event loop, in order.
final class AsyncHTTPResponseChannel: Sendable {
    private struct Stream {
        let source: any HTTPBodySource
        let whenOver: @Sendable () -> Void
    }

    private struct State {
        let exchange: HTTPExchange
        var hasClientLeft = false
        /// The response goes on without the task that began it.
        var isStreamed = false
        /// Until it is over.
        var stream: Stream?
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

    /// Writes what there is, as far as the client keeps up; one that stops reading without leaving is cut off by the
    /// write timeout.
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
        // Writing may have shown that the connection is gone.
        if exchange.connection == nil { clientLeft() }
    }

    /// On the event loop.
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
