import JSON
import MCP
import NIOCore

/// Questions that a client without handlers answers by itself.
enum ServerQuestion {
    /// Returns the answer to a request of the server: empty for a `ping`, a decline for an elicitation, and an unknown
    /// method for everything that was not declared.
    static func answer(to method: String) -> Result<JSONValue, JSONRPCError> {
        switch method {
        case MCPMethod.ping: .success([:])
        case MCPMethod.elicitationCreate: .success(["action": "decline"])
        default: .failure(.methodNotFound(method))
        }
    }
}

/// Declines of a tool's questions in the result `input_required` (2026-07-28), as members of the repeated call.
struct DeclinedInput {
    /// JSON text of `inputResponses`; nil when there were no questions.
    private let responses: String?
    /// The server's own `requestState`, JSON text byte for byte.
    private let state: ByteBuffer?

    /// - Returns: Nil when one of the questions cannot be declined, or when the call cannot be continued.
    init?(message: ByteBuffer, result: JSONSlice) {
        let parts: (requests: JSONValue?, state: ByteBuffer?) = message.withUnsafeReadableBytes { bytes in
            let requests = JSONScanner.member("inputRequests", of: result, in: bytes).map { JSONValue($0, in: bytes) }
            let state = JSONScanner.member("requestState", of: result, in: bytes).flatMap { slice in
                slice.kind == .string ? ByteBuffer(bytes: bytes[slice.range]) : nil
            }
            return (requests, state)
        }
        var responses: JSONObject = [:]
        for (key, request) in parts.requests?.object ?? [:] {
            guard let method = request["method"]?.string, let response = Self.response(to: method) else { return nil }
            responses[key] = response
        }
        if responses.isEmpty, parts.state == nil { return nil }
        self.responses = responses.isEmpty ? nil : JSONValue.object(responses).text
        state = parts.state
    }

    /// Returns the decline; nil for sampling, whose results cannot express one.
    private static func response(to method: String) -> JSONValue? {
        switch method {
        case MCPMethod.elicitationCreate: ["action": "decline"]
        case MCPMethod.rootsList: ["roots": []]
        default: nil
        }
    }

    /// Writes the members, each after a comma.
    func write(to out: inout ByteBuffer) {
        if let responses {
            out.writeStaticString(#","inputResponses":"#)
            out.writeString(responses)
        }
        if let state {
            out.writeStaticString(#","requestState":"#)
            out.writeImmutableBuffer(state)
        }
    }
}
