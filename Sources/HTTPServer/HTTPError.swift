package import NIOHTTP1

/// Reason why a request could not be read, or its response not be delivered.
package enum HTTPError: Error, Hashable, CustomStringConvertible {
    /// The request line and headers together exceed the configured bytes or count (431, RFC 6585 section 5).
    case headersTooLarge
    /// The head or the next part of the body did not arrive in time (408, RFC 9110 section 15.5.9).
    case requestTimeout
    /// The request is not HTTP/1.1 as RFC 9112 defines it, or its framing is ambiguous (400). The text says why; it
    /// never quotes the client.
    case malformed(String)
    /// The body is longer than `limit` bytes (413).
    case bodyTooLarge(limit: Int)
    /// The client left before the request or its response was complete (499, never sent).
    case disconnected
    /// The server already holds the largest number of connections (503).
    case tooManyConnections
    /// The process's memory budget has no room for the body (503).
    case overloaded

    /// Status of the response to this failure; 499 for `disconnected`, which appears only in logs.
    package var status: HTTPResponseStatus {
        switch self {
        case .headersTooLarge: .requestHeaderFieldsTooLarge
        case .requestTimeout: .requestTimeout
        case .malformed: .badRequest
        case .bodyTooLarge: .payloadTooLarge
        case .disconnected: .custom(code: 499, reasonPhrase: "Client Closed Request")
        case .tooManyConnections, .overloaded: .serviceUnavailable
        }
    }

    /// One line for people, without anything that the client sent.
    package var description: String {
        switch self {
        case .headersTooLarge: "Request headers too large"
        case .requestTimeout: "Request timeout"
        case .malformed(let reason): "Bad request: \(reason)"
        case .bodyTooLarge(let limit): "Request body larger than \(limit) bytes"
        case .disconnected: "Client closed the connection"
        case .tooManyConnections: "Too many connections"
        case .overloaded: "Overloaded"
        }
    }
}
