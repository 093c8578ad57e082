import Foundation
import JSON
import MCP
import MCPServer
import Observability

/// Tells callers who they are.
struct UserInfoTool: TypedTool {
    struct User: Codable, Sendable {
        let username: String
        let alias: String
    }

    static let name = "get_user_info"
    static let title = "Who am I"
    static let description = "Returns the user name and alias of the logged-in caller."
    static let annotations = ToolAnnotations.lookUp

    func call(_ arguments: NoArguments, context: ToolContext) async throws -> Results<User> {
        guard let principal = context.principal else { throw ToolError.notAuthenticated }
        return Results(User(username: principal.name, alias: principal.attributes["alias"] ?? ""))
    }
}

/// The caller's own stored messages.
struct ChatHistoryTool: TypedTool {
    struct Exchange: Codable, Sendable {
        let message: String
        let response: String
        let at: String
    }

    static let name = "chat_history"
    static let title = "Chat history"
    static let description =
        "Returns the logged-in caller's latest messages with their answers, newest first, at most 50."
    static let annotations = ToolAnnotations.lookUp

    private static let maximumMessages = 50

    let messages: any MessageStore

    func call(_ arguments: NoArguments, context: ToolContext) async throws -> Results<[Exchange]> {
        guard let principal = context.principal else { throw ToolError.notAuthenticated }
        let stored = try await ToolError.translating(context) {
            try await messages.messages(userID: principal.id, limit: Self.maximumMessages)
        }
        return Results(
            stored.map { Exchange(message: $0.message, response: $0.response, at: $0.at.timestamp) })
    }
}

extension Date {
    /// RFC 3339 in UTC with milliseconds.
    var timestamp: String {
        let (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        return rest < 0
            ? Timestamp.string(seconds: Int(seconds) - 1, milliseconds: Int(rest) + 1000)
            : Timestamp.string(seconds: Int(seconds), milliseconds: Int(rest))
    }
}
