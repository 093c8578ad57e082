import HTTPSyntax
package import NIOCore

/// One HTTP/1.1 request.
package struct CurlRequest: Sendable {
    /// Delivery of the response's body.
    package enum Mode: Sendable, Hashable {
        /// The engine collects the body: the whole response arrives with `transferDone`.
        case buffered
        /// The receiver gets the head, then chunks as they come, then `transferDone` with an empty body.
        case streaming
        /// Streaming where the response is an event stream (`text/event-stream`), else buffered.
        case byContent

        /// Returns whether the receiver gets the body of a response with these headers as it arrives.
        func streams(_ headers: CurlHeaders) -> Bool {
            switch self {
            case .buffered: false
            case .streaming: true
            case .byContent: headers.announcesEventStream
            }
        }
    }

    /// Method, a token (RFC 9110 §9.1); anything else is refused with `.invalidRequest`.
    package var method: String
    /// Absolute `http:` or `https:` URL; sent unchanged, dot segments included.
    package var url: String
    /// Path of a socket to connect to instead of the URL's host and port.
    package var unixSocketPath: String?
    /// Headers, sent in order. `Content-Length` and `Transfer-Encoding` are dropped: the engine frames the body itself.
    package var headers: CurlHeaders
    package var body: CurlRequestBody?
    /// Time limit of the whole transfer, from submission to the last byte; `.zero`: none.
    package var timeout: Duration
    /// Time limit of name resolution, connecting and TLS; `.zero`: 300 s.
    package var connectTimeout: Duration
    /// Longest time without a byte in either direction; `.zero`: no limit. Time during which the receiver pauses the
    /// transfer (or the body's source has nothing to send) does not count.
    package var idleTimeout: Duration
    /// Largest body in bytes; a larger one ends the transfer with `.tooLarge`; 0: no limit.
    package var maximumResponseBytes: Int
    /// Delivery of the response: whole, or in pieces.
    package var mode: Mode
    /// True if the engine may repeat a request, up to five times, when a reused connection breaks before the first
    /// response byte. If false, a repetition is refused with `.resendRefused`, unless it is certain that no byte was
    /// sent before.
    package var mayResend: Bool
    /// True if a body with a content coding (gzip and deflate; others where libcurl knows them) is decoded; the limits apply to the
    /// decoded body. False: it arrives as the server sent it.
    package var decodesContent = false
    /// TLS settings; nil for libcurl's defaults.
    package var tls: CurlTLS?
    /// URL of an HTTP proxy; nil: none (the environment is ignored).
    package var proxy: String?

    /// Describes a request.
    package init(
        method: String = "GET", url: String, unixSocketPath: String? = nil, headers: CurlHeaders = [],
        body: ByteBuffer? = nil, timeout: Duration = .seconds(30), connectTimeout: Duration = .seconds(5),
        idleTimeout: Duration = .zero, maximumResponseBytes: Int = 16 << 20, mode: Mode = .buffered,
        mayResend: Bool = false, tls: CurlTLS? = nil, proxy: String? = nil
    ) {
        self.method = method
        self.url = url
        self.unixSocketPath = unixSocketPath
        self.headers = headers
        self.body = body.map(CurlRequestBody.bytes)
        self.timeout = timeout
        self.connectTimeout = connectTimeout
        self.idleTimeout = idleTimeout
        self.maximumResponseBytes = maximumResponseBytes
        self.mode = mode
        self.mayResend = mayResend
        self.tls = tls
        self.proxy = proxy
    }

    /// Describes a request whose body may be streamed.
    package init(
        method: String, url: String, unixSocketPath: String? = nil, headers: CurlHeaders = [],
        body: CurlRequestBody, timeout: Duration = .seconds(30), connectTimeout: Duration = .seconds(5),
        idleTimeout: Duration = .zero, maximumResponseBytes: Int = 16 << 20, mode: Mode = .buffered,
        mayResend: Bool = false, tls: CurlTLS? = nil, proxy: String? = nil
    ) {
        self.init(
            method: method, url: url, unixSocketPath: unixSocketPath, headers: headers, timeout: timeout,
            connectTimeout: connectTimeout, idleTimeout: idleTimeout, maximumResponseBytes: maximumResponseBytes,
            mode: mode, mayResend: mayResend, tls: tls, proxy: proxy)
        self.body = body
    }

    /// Reason why this request cannot be sent; nil when it can.
    var refusal: String? {
        if let name = headers.invalidLine { return "header \(name.debugDescription) may not be sent" }
        if !HTTPSyntax.isToken(method) { return "method \(method.debugDescription) is no token" }
        // libcurl takes C strings: a NUL would cut the URL short instead of failing.
        if url.utf8.contains(0) { return "URL contains NUL" }
        return nil
    }
}

/// Body of a request.
package enum CurlRequestBody: Sendable {
    /// Bytes that are sent with `Content-Length`, without copying them.
    case bytes(ByteBuffer)
    /// A source that produces the body while it is sent; `chunked` unless its length is known.
    case stream(CurlBodySource)
}

/// TLS options of a request; transfers with different options never share a connection.
///
/// An object, so that a request, which is copied often, has one reference for all of them.
package final class CurlTLS: Equatable, Sendable {
    /// PEM file of trusted authorities instead of the system's.
    package let caFile: String?
    /// PEM file of the client's certificate, and of its key (nil: in the same file).
    package let clientCert: String?
    /// Path of the client certificate's private key.
    package let clientKey: String?
    /// True if the certificate and the host name are verified.
    package let verify: Bool
    /// Public keys, as `sha256//BASE64`, several separated by `;`. The server's certificate must have one of them, whichever
    /// authority signed it.
    package let pinnedKeys: String?

    /// Sets trust and the client certificate.
    package init(
        caFile: String? = nil, clientCert: String? = nil, clientKey: String? = nil, verify: Bool = true,
        pinnedKeys: String? = nil
    ) {
        self.caFile = caFile
        self.clientCert = clientCert
        self.clientKey = clientKey
        self.verify = verify
        self.pinnedKeys = pinnedKeys
    }

    package static func == (left: CurlTLS, right: CurlTLS) -> Bool {
        left === right
            || left.caFile == right.caFile && left.clientCert == right.clientCert && left.clientKey == right.clientKey
                && left.verify == right.verify && left.pinnedKeys == right.pinnedKeys
    }
}
