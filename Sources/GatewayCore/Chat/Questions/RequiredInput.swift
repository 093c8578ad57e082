import JSON
import MCP
import MCPClient

/// Questions with which a call ended: a result `input_required` (2026-07-28, Multi Round-Trip Requests), or the error
/// -32042 (2025-11-25, Elicitation, "URL Elicitation Required Error").
struct RequiredInput {
    /// Questions to the user, in the tool's order.
    private(set) var parts: [PendingQuestion.Part] = []
    /// Answers of the gateway: no roots.
    private(set) var responses: JSONObject = [:]
    /// The server's `requestState`, JSON text byte for byte.
    let state: String?
    /// True if the call is repeated without the answers, once the user has accepted.
    let repeats: Bool

    /// - Throws: `upstream_invalid` for a result that cannot be read or continued; `upstream_rejected` where the tool asks
    ///   for what a chat does not have.
    init(_ result: MCPCallResult) throws(GatewayError) {
        let state = result.message.withUnsafeReadableBytes { bytes in
            JSONScanner.member("requestState", of: result.result, in: bytes).map { JSONText.source($0, in: bytes) }
        }
        let json = MessageScanner.tree(result.result, in: result.message)
        guard let json, let required = try? InputRequiredResult(json: json) else {
            throw GatewayError(
                .upstreamInvalid, executed: .unknown, detail: "the tool asks in a form that is not valid")
        }
        self.state = required.requestState == nil ? nil : state
        repeats = false
        for (key, request) in required.inputRequests {
            switch request {
            case .elicitation(let parameters): parts.append(PendingQuestion.Part(key: key, parameters: parameters))
            case .roots: responses[key] = ["roots": []]
            case .sampling:
                throw GatewayError(
                    .upstreamRejected, executed: .unknown, detail: "the tool asks for a model, which a chat has not")
            }
        }
    }

    /// Reads the pages that a legacy server's error asks the user to visit; nil for any other error.
    init?(_ error: JSONRPCError?) {
        guard error?.knownCode == .urlElicitationRequired, let pages = error?.data?["elicitations"]?.array else {
            return nil
        }
        for (number, page) in pages.enumerated() {
            guard let parameters = page.object.flatMap({ try? ElicitParameters(params: $0) }),
                case .url = parameters.mode
            else { return nil }
            parts.append(PendingQuestion.Part(key: "page-\(number)", parameters: parameters))
        }
        if parts.isEmpty { return nil }
        state = nil
        repeats = true
    }
}
