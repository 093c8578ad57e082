import JSON
import MCP
import MCPServer
import Synchronization

/// Confirmation by the user before a tool changes something.
final class Confirmations: Sendable {
    private static let remembered = 10_000

    /// Tickets of confirmations that were used, oldest first.
    private let used = Mutex<(set: Set<String>, order: [String])>(([], []))

    /// Decision of the user on a call.
    enum Decision: Sendable {
        case allowed
        case refused(String)
    }

    static let cannotAsk = "refused: this tool changes data, and the user cannot be asked here to confirm it"

    /// Asks about all calls at once.
    /// - Throws: `InputRequired`, to be passed on; `CancellationError`.
    func ask(
        _ calls: [(call: ToolInvocation, arguments: JSONObject)], _ progress: AgentProgress, _ context: ToolContext
    ) async throws -> [Decision] {
        guard context.clientFeatures.contains(.elicitation) else {
            return calls.map { _ in .refused(Self.cannotAsk) }
        }
        let questions = calls.enumerated().map { number, entry in
            ClientQuestion("confirm-\(progress.steps)-\(number)", Self.question(entry.call.name, entry.arguments))
        }
        let answers: [String: JSONValue]
        do {
            answers = try await context.ask(questions, state: progress.json)
        } catch is ClientQuestionError {
            return calls.map { _ in .refused(Self.cannotAsk) }
        } catch is JSONRPCError {
            return calls.map { _ in .refused("refused: the user could not be asked to confirm it") }
        }
        return questions.map { question in
            let answer = answers[question.key]
            let isYes = answer?["action"]?.string == "accept" && answer?["content"]?["confirm"]?.bool == true
            return isYes ? .allowed : .refused("refused: the user did not allow it")
        }
    }

    /// Returns whether a ticket is used for the first time, and records the use.
    func redeem(_ ticket: String) -> Bool {
        used.withLock { used in
            guard used.set.insert(ticket).inserted else { return false }
            used.order.append(ticket)
            if used.order.count > Self.remembered { used.set.remove(used.order.removeFirst()) }
            return true
        }
    }

    private static func question(_ tool: String, _ arguments: JSONObject) -> InputRequest {
        .elicitation(
            ElicitParameters(
                message: "The assistant wants to run \(tool) with \(shown(arguments)). Allow it?",
                requestedSchema: [
                    "type": "object",
                    "properties": [
                        "confirm": ["type": "boolean", "title": "Allow", "description": "Run it with these values."]
                    ],
                    "required": ["confirm"],
                ]))
    }

    private static func shown(_ arguments: JSONObject) -> String {
        let text = JSONValue.object(arguments).text
        return text.count > 1000 ? text.prefix(1000) + "… (\(text.count) characters)" : text
    }
}
