package import JSON
package import NIOCore
package import NIOHTTP1

/// HTTP response for an error. Error responses are made only here.
package struct GatewayErrorResponse {
    /// HTTP status.
    package let status: HTTPResponseStatus
    /// Headers of the response.
    package var headers: HTTPHeaders
    package let body: ByteBuffer

    /// - Parameters:
    ///   - wantsProblem: True if the client accepts `application/problem+json` (RFC 9457).
    ///   - requestID: Identifier of the occurrence in the problem document.
    package init(_ error: GatewayError, style: GatewayErrorStyle, wantsProblem: Bool, requestID: String) {
        let code = error.status(style)
        status = HTTPResponseStatus(statusCode: code)
        headers = HTTPHeaders()
        if wantsProblem {
            headers.add(name: "Content-Type", value: "application/problem+json")
            body = ByteBuffer(bytes: Self.problem(error, status: code, requestID: requestID).serialized)
        } else {
            switch error.label.facts.body {
            case .empty, .text:
                headers.add(name: "Content-Type", value: "text/plain; charset=utf-8")
                body = error.label.facts.body == .empty ? ByteBuffer() : ByteBuffer(string: error.message)
            case .json:
                headers.add(name: "Content-Type", value: "application/json")
                body = ByteBuffer(bytes: JSONValue.object(["error": .string(error.message)]).serialized)
            }
        }
        // The text may reflect the request: it must not be rendered as a page, framed or cached.
        SecurityHeaders.addStrict(to: &headers)
        if error.label == .methodNotAllowed { headers.add(name: "Allow", value: "POST") }
        if error.label == .unsupportedEncoding { headers.add(name: "Accept-Encoding", value: "identity") }
        if let retryAfter = error.retryAfter { headers.add(name: "Retry-After", value: retryAfter) }
        for challenge in error.challenges { headers.add(name: "WWW-Authenticate", value: challenge) }
        for cookie in error.setCookies { headers.add(name: "Set-Cookie", value: cookie) }
    }

    /// Creates the response to a JSON-RPC body whose requests all get the same error: one error for each id.
    ///
    /// - Parameter ids: The JSON texts of the ids.
    init(_ text: String, code: Int, status: Int, to ids: [[UInt8]], isBatch: Bool) {
        self.status = HTTPResponseStatus(statusCode: status)
        headers = ["Content-Type": "application/json"]
        SecurityHeaders.addStrict(to: &headers)
        let message = JSONText.quoted(text)
        var body = ByteBuffer()
        if isBatch { body.writeString("[") }
        for (index, id) in ids.enumerated() {
            if index > 0 { body.writeString(",") }
            body.writeString(#"{"jsonrpc":"2.0","id":"#)
            body.writeBytes(id)
            body.writeString(#","error":{"code":\#(code),"message":"#)
            body.writeBytes(message)
            body.writeString("}}")
        }
        if isBatch { body.writeString("]") }
        self.body = body
    }

    private static func problem(_ error: GatewayError, status: Int, requestID: String) -> JSONValue {
        let label = error.label.rawValue
        return .object([
            "type": .string("urn:chat-gateway:error:\(label)"), "title": .string(error.label.facts.title),
            "status": .number(JSONNumber(status)), "detail": .string(error.message),
            "instance": .string("urn:chat-gateway:request:\(requestID)"), "label": .string(label),
            "executed": .string(error.executed.rawValue),
        ])
    }

    /// Returns the data of an `error` event on an event stream.
    package static func event(_ error: GatewayError, style: GatewayErrorStyle) -> JSONValue {
        .object([
            "status": .number(JSONNumber(error.status(style))), "error": .string(error.message),
            "label": .string(error.label.rawValue),
        ])
    }
}
