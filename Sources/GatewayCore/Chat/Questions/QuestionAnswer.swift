import JSON
import MCP
import NIOCore

/// Payload of the built-in type `answer`: `{"type": "answer", "id", "action", "values"}`.
struct QuestionAnswer {
    private let members: JSONObject

    /// - Returns: Nil for a payload of another type.
    init?(_ body: ByteBuffer) {
        let json = body.withUnsafeReadableBytes { try? JSONValue(parsing: $0) }
        guard let members = json?.object, members["type"]?.string == QuestionsConfiguration.answerType else {
            return nil
        }
        self.members = members
    }

    /// Values by the names of the fields.
    var values: JSONValue? { members["values"] }

    /// Returns the identifier of the question.
    ///
    /// - Throws: `missing_field`, `invalid_argument`.
    func id() throws(GatewayError) -> String { try text("id") }

    /// Returns the user's decision.
    ///
    /// - Throws: `missing_field`, `invalid_argument`.
    func action() throws(GatewayError) -> ElicitResult.Action {
        let text = try text("action")
        guard let action = ElicitResult.Action(rawValue: text) else {
            throw GatewayError(.invalidArgument, text: "action: expected accept, decline or cancel")
        }
        return action
    }

    private func text(_ name: String) throws(GatewayError) -> String {
        guard let value = members[name], !value.isNull, value != "" else {
            throw GatewayError(.missingField, text: "Missing id or action")
        }
        guard let text = value.string else {
            throw GatewayError(.invalidArgument, text: "\(name): expected string, found \(value.kind)")
        }
        return text
    }
}
