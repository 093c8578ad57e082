package import JSON
package import MCP

/// A request of a server to its client: in the legacy revisions a request on the stream of the call, in 2026-07-28 an
/// entry of `inputRequests` that the client answers by repeating the call.
package struct ClientQuestion: Hashable, Sendable {
    /// Name of the question among those of one call; the answer comes back under it.
    package let key: String
    /// Question.
    package let request: InputRequest

    /// Creates a question under a key.
    package init(_ key: String, _ request: InputRequest) {
        self.key = key
        self.request = request
    }

    /// Features that the client must have declared.
    var needs: ClientFeatures { ClientFeatures(request.requiredCapabilities) }

    /// Returns whether a client of that revision with those features may be asked.
    func isAllowed(_ version: MCPVersion, _ features: ClientFeatures) -> Bool {
        if needs.contains(.elicitation), !version.hasElicitation { return false }
        if needs.contains(.elicitationURL), !version.hasURLElicitation { return false }
        return features.isSuperset(of: needs)
    }
}

/// Reason why a question to a client of a legacy revision has no answer. Thrown by ``ToolContext/ask(_:state:)``; a
/// tool that passes it on fails with its text.
package enum ClientQuestionError: Error, Hashable, CustomStringConvertible {
    /// The client did not declare a feature that the question needs.
    case notSupported(String)
    /// The request came in a form without a stream on which to ask.
    case noStream
    case timedOut
    case sessionEnded

    package var description: String {
        switch self {
        case .notSupported(let what): "The client does not support \(what)"
        case .noStream: "The client cannot be asked on this request: it accepts no event stream"
        case .timedOut: "The client did not answer in time"
        case .sessionEnded: "The session ended before the client answered"
        }
    }
}

/// End of a 2026-07-28 call with `resultType: input_required`. Thrown by ``ToolContext/ask(_:state:)``; a tool passes
/// it on.
package struct InputRequired: Error {
    /// Questions that are asked now; the client has declared to support all of them.
    package let questions: [ClientQuestion]
    /// State that comes back to the tool with the answers, sealed on its way through the client.
    package let state: JSONValue?

    /// Creates the end of a call with questions, and with state to keep until their answers come.
    package init(questions: [ClientQuestion], state: JSONValue? = nil) {
        self.questions = questions
        self.state = state
    }
}
