package import JSON
import MCP
import NIOCore

/// Members of a repeated call that answer the questions of its tool (2026-07-28, Multi Round-Trip Requests).
package struct CallInput: Sendable {
    /// JSON text of `inputResponses`; nil when there were no questions.
    private let responses: String?
    /// The server's own `requestState`, JSON text byte for byte.
    private let state: ByteBuffer?
    /// True if a question to the user is declined without the user.
    let declinesQuestions: Bool

    /// - Parameters:
    ///   - responses: Answers by the keys of the questions.
    ///   - state: The server's `requestState` as it stood in its result: a JSON string with its quotes; nil: none.
    package init(responses: JSONObject, state: String?) {
        self.responses = responses.isEmpty ? nil : JSONValue.object(responses).text
        self.state = state.map { ByteBuffer(string: $0) }
        declinesQuestions = false
    }

    /// Declines the questions of a result `input_required`.
    ///
    /// - Returns: Nil when one of the questions cannot be declined, or when the call cannot be continued.
    init?(declining result: JSONSlice, in message: ByteBuffer) {
        let parts: (requests: JSONSlice?, state: ByteBuffer?) = message.withUnsafeReadableBytes { bytes in
            let requests = JSONScanner.member("inputRequests", of: result, in: bytes)
            let state = JSONScanner.member("requestState", of: result, in: bytes).flatMap { slice in
                slice.kind == .string ? ByteBuffer(bytes: bytes[slice.range]) : nil
            }
            return (requests, state)
        }
        var requests: JSONObject = [:]
        if let slice = parts.requests {
            guard let tree = MessageScanner.tree(slice, in: message) else { return nil }
            requests = tree.object ?? [:]
        }
        var responses: JSONObject = [:]
        var declinesQuestions = false
        for (key, request) in requests {
            switch request["method"]?.string {
            case MCPMethod.elicitationCreate:
                responses[key] = ElicitResult(action: .decline).json
                declinesQuestions = true
            case MCPMethod.rootsList:
                responses[key] = ["roots": []]
            default:
                // The result of sampling cannot express a decline.
                return nil
            }
        }
        if responses.isEmpty, parts.state == nil { return nil }
        self.responses = responses.isEmpty ? nil : JSONValue.object(responses).text
        self.declinesQuestions = declinesQuestions
        state = parts.state
    }

    /// Members of a request's parameters.
    package var members: JSONObject {
        var members: JSONObject = [:]
        members["inputResponses"] = responses.flatMap { try? JSONValue(parsing: Array($0.utf8)) }
        members["requestState"] = state.flatMap { try? JSONValue(parsing: Array($0.readableBytesView)) }
        return members
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
