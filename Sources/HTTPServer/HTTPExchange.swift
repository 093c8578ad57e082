package import NIOCore
package import NIOHTTP1

/// Outcome of a request, for the access log and metrics.
package struct HTTPExchangeSummary: Hashable, Sendable {
    /// The status sent; 499 when the client left before the whole response was handed to the kernel.
    package let status: Int
    /// Bytes read: request line, headers and as much of the body as was read, with its framing.
    package let requestBytes: Int
    /// Bytes written: interim and final response, headers and framing included.
    package let responseBytes: Int
    /// From the first byte of the request until the response was handed over.
    package let duration: Duration
    /// False when the response was cut short, by either side.
    package let isComplete: Bool
}

/// One request and its response. Confined to its event loop; every method must be called there.
///
/// All response methods do nothing once the client has left or the response has ended, so a handler need not ask first.
package final class HTTPExchange {
    /// The request's head. Of an absolute-form target, `uri` is the path and query, and `Host` its authority
    /// (RFC 9112 section 3.2.2).
    package let head: HTTPRequestHead
    /// The loop that this exchange is confined to.
    package let eventLoop: any EventLoop
    /// The peer's address; nil or without a path for Unix-domain sockets.
    package let remoteAddress: SocketAddress?
    /// When the first byte of the request was read.
    package let start: NIODeadline
    /// `HTTPServerConfiguration.name`.
    package let listenerName: String

    /// The channel has room again after `isWritable` was false.
    package var onWritable: (() -> Void)?
    /// The client left (or was cut off) before the response ended. Called at most once, before `onFinish`.
    package var onDisconnect: (() -> Void)?
    /// The response has been handed to the kernel (all but the low-water mark's worth of it), or will never be.
    /// Called exactly once.
    package var onFinish: ((HTTPExchangeSummary) -> Void)?

    // The connection's bookkeeping of this exchange; nil once it is finished, which also breaks the reference cycle.
    var connection: HTTPConnectionHandler?
    let framing: HTTPBodyFraming
    var expectsContinue: Bool
    var status = 0
    var requestBytes = 0
    var responseBytes = 0
    var responseFraming = HTTPResponseFraming.none

    init(
        request: HTTPParsedRequest, start: NIODeadline, remoteAddress: SocketAddress?, listenerName: String,
        connection: HTTPConnectionHandler, eventLoop: any EventLoop
    ) {
        self.head = request.head
        self.framing = request.framing
        self.expectsContinue = request.expectsContinue
        self.start = start
        self.remoteAddress = remoteAddress
        self.listenerName = listenerName
        self.connection = connection
        self.eventLoop = eventLoop
    }

    /// The target without its query, not decoded.
    package var path: Substring {
        let uri = head.uri
        return uri[..<(uri.utf8.firstIndex(of: UInt8(ascii: "?")) ?? uri.endIndex)]
    }

    /// Text after the first `?`, not decoded; nil without one.
    package var query: Substring? {
        let uri = head.uri
        guard let mark = uri.utf8.firstIndex(of: UInt8(ascii: "?")) else { return nil }
        return uri[uri.utf8.index(after: mark)...]
    }

    /// True once a status line has been written, and after the end.
    package var responseStarted: Bool { connection?.responseHasStarted(self) ?? true }

    /// False while the client reads slower than we write, and once the exchange is over.
    package var isWritable: Bool { connection?.isWritable ?? false }

    // MARK: Request body

    /// Reads the whole body, at most `limit` bytes, and calls `done` exactly once, perhaps before returning.
    ///
    /// A `Content-Length` over the limit fails before anything is read; `Expect: 100-continue` is answered first
    /// otherwise. Failures: `bodyTooLarge`, `requestTimeout`, `malformed`, `disconnected`; answer all but the last.
    package func collectBody(upTo limit: Int, _ done: @escaping (Result<ByteBuffer, HTTPFailure>) -> Void) {
        guard let connection else { return done(.failure(.disconnected)) }
        connection.collectBody(of: self, upTo: limit, done)
    }

    /// Reads the body in pieces. The next piece comes only after `consumed` was called; `onEnd` comes exactly once,
    /// with the trailers if there were any. The client is not read from, beyond a bounded buffer, while a piece waits.
    package func streamBody(
        _ onChunk: @escaping (ByteBuffer, _ consumed: @escaping () -> Void) -> Void,
        onEnd: @escaping (Result<HTTPHeaders?, HTTPFailure>) -> Void
    ) {
        guard let connection else { return onEnd(.failure(.disconnected)) }
        connection.streamBody(of: self, onChunk, onEnd: onEnd)
    }

    // MARK: Response

    /// Sends a whole response. `Content-Length`, `Connection` and `Date` are set here; HEAD, 204 and 304 send no body.
    ///
    /// Line breaks and other control characters in header values become spaces; a header whose name is no token is
    /// left out (RFC 9110 section 5.5).
    package func respond(status: HTTPResponseStatus, headers: HTTPHeaders, body: ByteBuffer?) {
        connection?.respond(self, status: status, headers: headers, body: body)
    }

    /// Starts a streamed response: with the `Content-Length` given, else chunked, else (HTTP/1.0) until close.
    /// Nothing is sent before `flush`, `endResponse`, or 64 KiB.
    package func startResponse(status: HTTPResponseStatus, headers: HTTPHeaders) {
        connection?.startResponse(self, status: status, headers: headers)
    }

    /// Appends to a started response. Look at `isWritable` between writes; what is written anyway is buffered.
    package func write(_ bytes: ByteBuffer) { connection?.writeBody(self, bytes) }

    /// Sends what has been written so far.
    package func flush() { connection?.flushResponse(self) }

    /// Ends a started response. One that is shorter than its `Content-Length` closes the connection.
    package func endResponse() { connection?.endResponse(self) }

    /// Closes the connection mid-response, so that the client can tell that it is incomplete.
    package func abort() { connection?.abort(self) }
}
