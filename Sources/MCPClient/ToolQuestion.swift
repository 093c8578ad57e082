package import JSON
package import MCP
package import NIOCore

/// A question of a legacy server to its user, on the stream of a call. Until it is answered, the call's deadlines rest.
/// Confined to the event loop of the call.
package final class ToolQuestion {
    /// Answer to a question: the result of the request, or the error.
    package typealias Answer = Result<JSONValue, JSONRPCError>
    /// Closure that sends an answer.
    package typealias Reply = (Answer, _ deadline: NIODeadline, _ idleTimeout: TimeAmount?) -> Void

    /// The server's request, of the method `elicitation/create`.
    package let request: JSONRPCRequest
    /// Callback for the answer, before it is sent.
    package var onAnswer: (() -> Void)?
    private var reply: Reply?

    /// Takes a question.
    ///
    /// - Parameter reply: Sends the answer; called at most once.
    package init(_ request: JSONRPCRequest, reply: @escaping Reply) {
        self.request = request
        self.reply = reply
    }

    /// Answers the question; does nothing after the first time. When the call is over, nothing is sent.
    ///
    /// - Parameters:
    ///   - deadline: Deadline of the call from now on.
    ///   - idleTimeout: Longest silence of the upstream from now on; nil: only the deadline counts.
    package func answer(_ answer: Answer, deadline: NIODeadline, idleTimeout: TimeAmount? = nil) {
        guard let reply = self.reply else { return }
        self.reply = nil
        onAnswer?()
        onAnswer = nil
        reply(answer, deadline, idleTimeout)
    }
}
