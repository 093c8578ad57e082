package import NIOCore
package import NIOHTTP1
package import ProcessMemory

/// Outcome of a request, for the access log and metrics.
package struct HTTPExchangeSummary: Hashable, Sendable {
    /// Status that was sent; 499 when the client left before the whole response was handed to the kernel.
    package let status: Int
    /// Number of bytes read: request line, headers and the part of the body that was read, with its framing.
    package let requestBytes: Int
    /// Number of bytes written: interim and final response, headers and framing included.
    package let responseBytes: Int
    /// Time from the first byte of the request until the response was handed over.
    package let duration: Duration
    /// False when the response was cut short, by either side.
    package let isComplete: Bool
}

/// One request and its response. Confined to its event loop; every method must be called there.
///
/// All response methods do nothing once the client has left or the response has ended, so that a handler need not check
/// first.
package final class HTTPExchange {
    /// Head of the request. Of an absolute-form target, `uri` is the path and query, and `Host` its authority (RFC 9112
    /// section 3.2.2).
    package let head: HTTPRequestHead
    /// Event loop to which this exchange is confined.
    package let eventLoop: any EventLoop
    /// Address of the peer; nil or without a path for Unix-domain sockets.
    package let remoteAddress: SocketAddress?
    /// Time at which the first byte of the request was read.
    package let start: NIODeadline
    /// Name of the listener; see `HTTPServerConfiguration.name`.
    package let listenerName: String

    /// Callback for a channel that has room again after `isWritable` was false.
    package var onWritable: (() -> Void)?
    /// Callback for a client that left (or was cut off) before the response ended. Called at most once, before
    /// `onFinish`.
    package var onDisconnect: (() -> Void)?
    /// Callback for the end: the response has been handed to the kernel (all but the low-water mark's worth of it), or
    /// will never be. Called exactly once.
    package var onFinish: ((HTTPExchangeSummary) -> Void)?

    /// Memory that the collected body has drawn, until the exchange is over. A copy of the body must keep this too.
    package internal(set) var reservation: MemoryReservation?

    // Handler of the connection; nil once the exchange is finished, which also breaks the reference cycle.
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

    /// Target without its query, not decoded.
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

    /// False while the client reads more slowly than the server writes, and once the exchange is over.
    package var isWritable: Bool { connection?.isWritable ?? false }

    // MARK: Request body

    /// Reads the whole body, at most `limit` bytes, and calls `done` exactly once, perhaps before returning.
    ///
    /// A `Content-Length` over the limit fails before anything is read; otherwise `Expect: 100-continue` is answered
    /// first. Failures: `bodyTooLarge`, `overloaded`, `requestTimeout`, `malformed`, `disconnected`; all but the last
    /// must be answered.
    package func collectBody(upTo limit: Int, _ done: @escaping (Result<ByteBuffer, HTTPError>) -> Void) {
        guard let connection else { return done(.failure(.disconnected)) }
        connection.collectBody(of: self, upTo: limit, done)
    }

    /// Reads the body in pieces. The next piece comes only after `consumed` was called; `onEnd` comes exactly once,
    /// with the trailers if there were any. While a piece waits, the client is not read from beyond a bounded buffer.
    package func streamBody(
        _ onChunk: @escaping (ByteBuffer, _ consumed: @escaping () -> Void) -> Void,
        onEnd: @escaping (Result<HTTPHeaders?, HTTPError>) -> Void
    ) {
        guard let connection else { return onEnd(.failure(.disconnected)) }
        connection.streamBody(of: self, onChunk, onEnd: onEnd)
    }

    // MARK: Response

    /// Sends a whole response. `Content-Length`, `Connection` and `Date` are set here; HEAD, 204 and 304 send no body.
    ///
    /// Line breaks and other control characters in header values become spaces; a header whose name is not a token is
    /// dropped (RFC 9110 section 5.5).
    package func respond(status: HTTPResponseStatus, headers: HTTPHeaders, body: ByteBuffer?) {
        connection?.respond(self, status: status, headers: headers, body: body)
    }

    /// Starts a streamed response: with the given `Content-Length`, else chunked, else (HTTP/1.0) until close. Nothing
    /// is sent before `flush`, `endResponse`, or 64 KiB.
    package func startResponse(status: HTTPResponseStatus, headers: HTTPHeaders) {
        connection?.startResponse(self, status: status, headers: headers)
    }

    /// Appends to a started response. Callers should check `isWritable` between writes; further bytes are buffered.
    package func write(_ bytes: ByteBuffer) { connection?.writeBody(self, bytes) }

    /// Sends the bytes that have been written so far.
    package func flush() { connection?.flushResponse(self) }

    /// Ends a started response. One that is shorter than its `Content-Length` closes the connection.
    package func endResponse() { connection?.endResponse(self) }

    /// Closes the connection in the middle of a response, so that the client recognises it as incomplete.
    package func abort() { connection?.abort(self) }
}
