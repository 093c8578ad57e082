import Foundation
import JSON
import MCP
import MCPServer
import Observability
import Store

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

    struct Arguments: PagingArguments, Decodable, Sendable, JSONSchemaDocumented {
        let limit: Int?
        let cursor: String?

        static let schemaDocumentation = pagingDocumentation(standardLimit: standardLimit)
    }

    static let name = "chat_history"
    static let title = "Chat history"
    static let description =
        "Returns the logged-in caller's messages with their answers, newest first, "
        + "the latest 50 unless limit says otherwise."
    static let annotations = ToolAnnotations.lookUp

    private static let standardLimit = 50

    let messages: any MessageStore

    func call(_ arguments: Arguments, context: ToolContext) async throws -> PagedResults<Exchange> {
        guard let principal = context.principal else { throw ToolError.notAuthenticated }
        let cursors = PageCursor([Self.name, principal.id])
        let position = try cursors.position(arguments.cursor)
        let page = try await ToolError.translating(context) {
            try await messages.messages(
                userID: principal.id, limit: arguments.limit ?? Self.standardLimit, after: position)
        }
        let exchanges = page.messages.map {
            Exchange(message: $0.message, response: $0.response, at: $0.at.timestamp)
        }
        return PagedResults(exchanges, next: page.next, cursors: cursors, arguments: arguments)
    }
}
