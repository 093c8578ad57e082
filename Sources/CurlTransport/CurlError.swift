import CCurl

/// Failure of a transfer.
package struct CurlError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Cause of the failure.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case couldNotResolve
        /// Refused, unreachable, or the proxy would not connect.
        case couldNotConnect
        case tlsFailed
        /// The connect, idle or total time limit has passed.
        case timedOut
        /// The response's body is longer than `maximumResponseBytes`, or its head longer than 64 KiB.
        case tooLarge
        /// The process's memory budget has no room for the response's body.
        case overloaded
        case cancelled
        /// A reused connection broke after (part of) the request was sent, and the request must not be repeated.
        case resendRefused
        /// The peer closed or reset the connection before the response was complete.
        case closedEarly
        /// The response is not HTTP/1.
        case invalidResponse
        /// The request is invalid: bad URL, method or header.
        case invalidRequest
        /// The engine was shut down.
        case shutdown
        case other

        /// Words for people; libcurl's own text follows them.
        package var words: String {
            switch self {
            case .couldNotResolve: "unknown host name"
            case .couldNotConnect: "no connection"
            case .tlsFailed: "TLS failed"
            case .timedOut: "time limit passed"
            case .tooLarge: "response too large"
            case .overloaded: "memory budget used up"
            case .cancelled: "cancelled"
            case .resendRefused: "connection broke, and the request must not be repeated"
            case .closedEarly: "connection closed before the response was complete"
            case .invalidResponse: "response is not HTTP/1.1"
            case .invalidRequest: "invalid request"
            case .shutdown: "process is stopping"
            case .other: "transfer failed"
            }
        }
    }

    /// Cause of the failure.
    package var kind: Kind
    /// libcurl's code; 0 when the error does not come from libcurl.
    package var curlCode: Int32
    /// Description for logs.
    package var message: String
    /// False only when it is certain that no byte of the request was sent: the server cannot have acted on it.
    package var requestSent: Bool

    /// Describes a failed transfer.
    package init(kind: Kind, curlCode: Int32 = 0, message: String, requestSent: Bool) {
        self.kind = kind
        self.curlCode = curlCode
        self.message = message
        self.requestSent = requestSent
    }

    package var description: String {
        "\(kind.words): \(message)\(requestSent ? "" : " (nothing was sent)")"
    }
}

extension CurlError.Kind {
    /// - Parameters:
    ///   - message: libcurl's own text: some codes cover two kinds.
    ///   - connected: True if the transfer had begun to send.
    init(_ code: CURLcode, message: String, connected: Bool) {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
            self = .couldNotResolve
        case CURLE_COULDNT_CONNECT, CURLE_PROXY, CURLE_INTERFACE_FAILED:
            self = .couldNotConnect
        case CURLE_OPERATION_TIMEDOUT:
            self = .timedOut
        case CURLE_FILESIZE_EXCEEDED:
            self = .tooLarge
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_PEER_FAILED_VERIFICATION, CURLE_USE_SSL_FAILED, CURLE_SSL_ENGINE_INITFAILED,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_PINNEDPUBKEYNOTMATCH,
            CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT:
            self = .tlsFailed
        case CURLE_RECV_ERROR where message.contains("chunk"):
            self = .invalidResponse
        case CURLE_RECV_ERROR where !connected:
            // A proxy that closes the connection during CONNECT, or a TLS handshake that is cut off.
            self = .couldNotConnect
        case CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_PARTIAL_FILE, CURLE_SEND_FAIL_REWIND,
            CURLE_SSL_SHUTDOWN_FAILED:
            self = .closedEarly
        case CURLE_UNSUPPORTED_PROTOCOL:
            // Either the URL's scheme, or a response without a status line ("HTTP/0.9").
            self = connected ? .invalidResponse : .invalidRequest
        case CURLE_URL_MALFORMAT:
            self = .invalidRequest
        case CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING, CURLE_HTTP2, CURLE_HTTP3:
            self = .invalidResponse
        case CURLE_BAD_FUNCTION_ARGUMENT where connected:
            // A header line that libcurl cannot take apart, such as a folded one before any other.
            self = .invalidResponse
        default:
            self = .other
        }
    }
}
