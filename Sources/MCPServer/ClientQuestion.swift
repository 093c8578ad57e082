package import JSON
package import MCP

/// Something a server asks its client: in the legacy revisions a request on the stream of the call, in 2026-07-28 an
/// entry of `inputRequests` that the client answers by repeating the call.
package struct ClientQuestion: Hashable, Sendable {
    /// Names the question among those of one call; the answer comes back under it.
    package let key: String
    /// Question.
    package let request: InputRequest

    /// Asks under a key.
    package init(_ key: String, _ request: InputRequest) {
        self.key = key
        self.request = request
    }

    /// What the client must have declared to be asked.
    var needs: ClientFeatures { ClientFeatures(request.requiredCapabilities) }

    /// Whether a client of that revision with those features may be asked.
    func isAllowed(_ version: MCPVersion, _ features: ClientFeatures) -> Bool {
        if needs.contains(.elicitation), !version.hasElicitation { return false }
        if needs.contains(.elicitationURL), !version.hasURLElicitation { return false }
        return features.isSuperset(of: needs)
    }
}

/// Why a question to a client of a legacy revision has no answer. Thrown by ``ToolContext/ask(_:state:)``; a tool that
/// lets it through fails with its text.
package enum ClientQuestionError: Error, Hashable, CustomStringConvertible {
    /// The client did not declare what the question needs.
    case notSupported(String)
    /// The request came in a way that leaves no stream to ask on.
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

/// Ends a 2026-07-28 call with `resultType: input_required`. Thrown by ``ToolContext/ask(_:state:)``; a tool lets it
/// through.
package struct InputRequired: Error {
    /// Asked now; each of them the client has declared to support.
    package let questions: [ClientQuestion]
    /// State that comes back to the tool with the answers, sealed on its way through the client.
    package let state: JSONValue?

    /// Asks several questions, and keeps a state until their answers come.
    package init(questions: [ClientQuestion], state: JSONValue? = nil) {
        self.questions = questions
        self.state = state
    }
}
