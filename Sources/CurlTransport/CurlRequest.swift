import HTTPSyntax
package import NIOCore

/// One HTTP/1.1 request.
package struct CurlRequest: Sendable {
    /// Delivery of the response's body.
    package enum Mode: Sendable, Hashable {
        /// The engine: the whole response arrives with `transferDone`.
        case buffered
        /// The receiver: head, then chunks as they come, then `transferDone` with an empty body.
        case streaming
        /// The receiver where the response is an event stream (`text/event-stream`), else the engine.
        case byContent

        /// Returns whether the receiver gets the body of a response with these headers as it comes.
        func streams(_ headers: CurlHeaders) -> Bool {
            switch self {
            case .buffered: false
            case .streaming: true
            case .byContent: headers.announcesEventStream
            }
        }
    }

    /// A token (RFC 9110 §9.1); anything else is refused with `.invalidRequest`.
    package var method: String
    /// Absolute `http:` or `https:` URL; sent as it is, dot segments included.
    package var url: String
    /// Connect to this socket instead of the URL's host and port.
    package var unixSocketPath: String?
    /// Sent in order. `Content-Length` and `Transfer-Encoding` are dropped: the engine frames the body itself.
    package var headers: CurlHeaders
    package var body: CurlRequestBody?
    /// Limit for the whole transfer, from submission to the last byte; `.zero` is none.
    package var timeout: Duration
    /// Limit for name resolution, connecting and TLS; `.zero` is libcurl's own (300 s).
    package var connectTimeout: Duration
    /// Longest time without a byte in either direction; `.zero` is none. Time during which the receiver holds the
    /// transfer (or the body's source has nothing to send) does not count.
    package var idleTimeout: Duration
    /// A longer body ends the transfer with `.tooLarge`; 0 is unlimited.
    package var maximumResponseBytes: Int
    /// Delivery of the response: whole, or in pieces.
    package var mode: Mode
    /// libcurl silently sends a request again, up to five times, when a reused connection dies before the first
    /// response byte. With false the second sending is refused with `.resendRefused`, unless the first one provably
    /// put no byte on the wire.
    package var mayResend: Bool
    /// A body with a content coding (gzip and what else libcurl knows) is decoded; the limits hold for what comes out.
    /// False: it arrives as the server sent it.
    package var decodesContent = false
    /// TLS settings; nil for libcurl's defaults.
    package var tls: CurlTLS?
    /// URL of an HTTP proxy; nil is none (the environment is not consulted).
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

    /// As above, with a body that may be streamed.
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

    /// Why this request may not be sent at all, nil when it may.
    var refusal: String? {
        if let name = headers.invalidLine { return "header \(name.debugDescription) may not be sent" }
        if !HTTPSyntax.isToken(method) { return "method \(method.debugDescription) is no token" }
        // libcurl takes C strings: a NUL would cut the URL short instead of failing.
        if url.utf8.contains(0) { return "URL contains NUL" }
        return nil
    }
}

/// A request's body.
package enum CurlRequestBody: Sendable {
    /// Sent with `Content-Length`; the bytes are not copied.
    case bytes(ByteBuffer)
    /// Produced while it is sent; `chunked` unless the source knows its length.
    case stream(CurlBodySource)
}

/// TLS options of a request; transfers with different options never share a connection.
///
/// An object, so that a request, which is copied often, holds one reference for all of them.
package final class CurlTLS: Equatable, Sendable {
    /// PEM file of trusted authorities instead of the system's.
    package let caFile: String?
    /// PEM file of the client's certificate, and of its key (nil: in the same file).
    package let clientCert: String?
    /// Path of the client certificate's private key.
    package let clientKey: String?
    /// Verification of the certificate and the host name.
    package let verify: Bool
    /// Public keys of which the server must have one, whoever signed it: `sha256//BASE64`, several with `;` between.
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
