/// Name of an error in metrics, in the access log and in problem documents; a bounded set.
package enum GatewayErrorLabel: String, CaseIterable, Sendable {
    case methodNotAllowed = "method_not_allowed"
    case notFound = "not_found"
    case malformedRequest = "malformed_request"
    case invalidJSON = "invalid_json"
    case unsupportedEncoding = "unsupported_encoding"
    case unknownType = "unknown_type"
    case missingField = "missing_field"
    case invalidArgument = "invalid_argument"
    case unknownQuestion = "unknown_question"
    case questionExpired = "question_expired"
    case bodyTooLarge = "body_too_large"
    case headersTooLarge = "headers_too_large"
    case requestTimeout = "request_timeout"
    case forbiddenOrigin = "forbidden_origin"
    case rateLimited = "rate_limited"
    case overloaded
    case draining
    case toolError = "tool_error"
    case questionsOff = "questions_off"
    case unauthorized
    case forbidden
    case upstreamRateLimited = "upstream_rate_limited"
    case upstreamRejected = "upstream_rejected"
    case upstreamFailed = "upstream_failed"
    case upstreamInvalid = "upstream_invalid"
    case upstreamUnreachable = "upstream_unreachable"
    case upstreamTimeout = "upstream_timeout"
    case `internal`

    /// A row of the table of errors.
    package struct Facts: Sendable {
        /// Form of the body for clients that do not ask for a problem document.
        package enum Body: Sendable {
            /// Empty body, as `text/plain`.
            case empty
            /// The text alone, as `text/plain`.
            case text
            /// `{"error": TEXT}`.
            case json
        }

        /// HTTP status.
        package let status: Int
        /// Party that caused the error.
        package let source: GatewayError.Source
        package let body: Body
        /// Text for an error that does not have its own.
        package let text: String
        /// Short, constant summary for problem documents.
        package let title: String
        /// Value of `Retry-After` in seconds, where the gateway can determine it.
        package let retryAfter: String?

        fileprivate init(
            _ status: Int, _ source: GatewayError.Source, _ text: String, body: Body = .json,
            title: String? = nil, retryAfter: String? = nil
        ) {
            self.status = status
            self.source = source
            self.body = body
            self.text = text
            self.title = title ?? text
            self.retryAfter = retryAfter
        }
    }

    /// Row of this label.
    package var facts: Facts {
        switch self {
        case .methodNotAllowed: Facts(405, .downstream, "Method not allowed", body: .empty)
        case .notFound: Facts(404, .downstream, "Not found")
        case .malformedRequest: Facts(400, .downstream, "Malformed request")
        case .invalidJSON: Facts(400, .downstream, "Invalid JSON", body: .text)
        case .unsupportedEncoding: Facts(415, .downstream, "Encoded bodies are not supported")
        case .unknownType: Facts(400, .downstream, "Unknown type", body: .text)
        case .missingField: Facts(400, .downstream, "Missing field", body: .text)
        case .invalidArgument: Facts(400, .downstream, "Invalid argument")
        case .unknownQuestion: Facts(404, .downstream, "Unknown question")
        case .questionExpired: Facts(410, .downstream, "Question expired")
        case .bodyTooLarge: Facts(413, .downstream, "Request body too large")
        case .headersTooLarge: Facts(431, .downstream, "Request headers too large")
        case .requestTimeout: Facts(408, .downstream, "Request timeout")
        case .forbiddenOrigin: Facts(403, .downstream, "Origin not allowed")
        case .rateLimited: Facts(429, .downstream, "Too many requests", retryAfter: "1")
        case .overloaded: Facts(503, .gateway, "Overloaded", retryAfter: "1")
        case .draining: Facts(503, .gateway, "Shutting down", retryAfter: "1")
        case .toolError: Facts(400, .tool, "Tool error")
        case .questionsOff:
            Facts(
                400, .gateway, "The tool has a question for its user, and this chat passes no questions on",
                title: "Questions are off")
        case .unauthorized: Facts(401, .upstream, "Unauthorized")
        case .forbidden: Facts(403, .upstream, "Forbidden")
        case .upstreamRateLimited: Facts(429, .upstream, "Too many requests")
        case .upstreamRejected: Facts(502, .upstream, "MCP error", title: "The upstream refused the call")
        case .upstreamFailed: Facts(502, .upstream, "MCP error", title: "The upstream failed")
        case .upstreamInvalid: Facts(502, .upstream, "MCP error", title: "The upstream's answer is invalid")
        case .upstreamUnreachable:
            Facts(502, .upstream, "MCP error", title: "The upstream cannot be reached")
        case .upstreamTimeout: Facts(504, .upstream, "MCP error", title: "The upstream took too long")
        case .internal: Facts(500, .gateway, "Internal error")
        }
    }
}
