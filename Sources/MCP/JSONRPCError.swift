package import JSON

/// The `error` member of a JSON-RPC response.
package struct JSONRPCError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Error code.
    package let code: Int
    /// One sentence about the error.
    package let message: String
    /// Details for programs.
    package let data: JSONValue?

    /// Describes an error (JSON-RPC 2.0, section 5.1).
    package init(code: Int, message: String, data: JSONValue? = nil) {
        self.code = code
        self.message = message
        self.data = data
    }

    /// Describes an error with a code that the specifications name.
    package init(_ code: Code, _ message: String, data: JSONValue? = nil) {
        self.init(code: code.rawValue, message: message, data: data)
    }

    /// Error codes that this implementation sends or interprets. No other code of -32020…-32099 is ever sent.
    package enum Code: Int, Hashable, Sendable {
        case parseError = -32700
        case invalidRequest = -32600
        case methodNotFound = -32601
        case invalidParams = -32602
        case internalError = -32603
        /// Legacy revisions; a modern server answers `invalidParams` with `data.uri`.
        case resourceNotFound = -32002
        /// 2026-07-28: a header is missing, malformed or differs from the body.
        case headerMismatch = -32020
        /// 2026-07-28: `data.requiredCapabilities` contains the capabilities that the client must declare.
        case missingClientCapability = -32021
        /// 2026-07-28: `data.supported`, `data.requested`.
        case unsupportedVersion = -32022
        /// 2025-11-25: `data.elicitations`.
        case urlElicitationRequired = -32042
        /// Answer of servers with the Python SDK to a cancelled call.
        case requestCancelled = -32800
    }

    /// Meaning of the code; nil for codes that are not listed here.
    package var knownCode: Code? { Code(rawValue: code) }

    package var description: String { "\(message) (\(code))" }

    /// Error for a message that is not JSON.
    package static let parseError = JSONRPCError(.parseError, "Parse error")
    /// Error for JSON that is not a request.
    package static let invalidRequest = JSONRPCError(.invalidRequest, "Invalid Request")
    /// Error without details, for failures that the client cannot avoid.
    package static let internalError = JSONRPCError(.internalError, "Internal error")
    /// Error for a request that was cancelled.
    package static let requestCancelled = JSONRPCError(.requestCancelled, "Request cancelled")

    /// Returns a parse error with a detail.
    package static func parseError(_ detail: String) -> JSONRPCError {
        JSONRPCError(.parseError, "Parse error: \(detail)")
    }

    /// Returns an error for JSON that is not a valid request.
    package static func invalidRequest(_ message: String, data: JSONValue? = nil) -> JSONRPCError {
        JSONRPCError(.invalidRequest, message, data: data)
    }

    /// Returns an error for an unknown method.
    package static func methodNotFound(_ method: String) -> JSONRPCError {
        JSONRPCError(.methodNotFound, "Method not found: \(method)")
    }

    /// Returns an error for invalid parameters.
    package static func invalidParams(_ message: String, data: JSONValue? = nil) -> JSONRPCError {
        JSONRPCError(.invalidParams, message, data: data)
    }

    /// Returns an internal error with a message.
    package static func internalError(_ message: String) -> JSONRPCError {
        JSONRPCError(.internalError, message)
    }

    /// Returns the error for an unknown resource in a revision (resources, error handling).
    package static func resourceNotFound(_ uri: String, for version: MCPVersion) -> JSONRPCError {
        JSONRPCError(
            version.era == .modern ? .invalidParams : .resourceNotFound, "Resource not found",
            data: ["uri": .string(uri)])
    }

    /// Returns an error for headers that differ from the body (2026-07-28, Streamable HTTP).
    package static func headerMismatch(_ message: String) -> JSONRPCError {
        JSONRPCError(.headerMismatch, message)
    }

    /// - Parameter required: The required `ClientCapabilities`, as an object.
    package static func missingClientCapability(_ required: JSONObject) -> JSONRPCError {
        JSONRPCError(
            .missingClientCapability, "Missing required client capability",
            data: ["requiredCapabilities": .object(required)])
    }

    /// Returns an error that lists the supported revisions.
    package static func unsupportedVersion(requested: String, supported: [MCPVersion]) -> JSONRPCError {
        JSONRPCError(
            .unsupportedVersion, "Unsupported protocol version",
            data: ["supported": .array(supported.map { .string($0.rawValue) }), "requested": .string(requested)])
    }

    /// JSON form: the `error` object.
    package var json: JSONValue {
        var object: JSONObject = ["code": .number(code), "message": .string(message)]
        object["data"] = data
        return .object(object)
    }

    /// Reads an `error` object. A missing message is accepted, a missing code is not.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "error")
        self.init(
            code: try reader.int("code"), message: reader.object["message"]?.string ?? "", data: reader.object["data"])
    }
}
