import Foundation
import JSON
import JSONSchema
import MCP
import MCPServer
import Observability
import ProcessMemory
import Store

/// Tool `get_user_info`: returns the caller's own account.
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

    /// The same with what the caller's own credential says besides, for a gateway whose tools send it on.
    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        var result = CallToolResult.structured(try JSONValue(encoding: await call(NoArguments(), context: context)))
        if let principal = context.principal {
            var facts: JSONObject = [:]
            if !principal.scopes.isEmpty { facts["scopes"] = .array(principal.scopes.sorted().map { .string($0) }) }
            if !principal.claims.isEmpty { facts["claims"] = .object(principal.claims) }
            if !facts.isEmpty { result.meta[MCPMeta.caller] = .object(facts) }
        }
        return result
    }
}

/// Tool `chat_history`: returns the caller's own stored messages.
struct ChatHistoryTool: TypedTool {
    struct Exchange: Codable, Sendable {
        let message: String
        let response: String
        let at: String
        /// True if a text was too long for one response and ends with a notice that says so; absent otherwise.
        let truncated: Bool?

        init(_ stored: StoredMessage) {
            let whole = stored.storedBytes
            message = Self.text(stored.message, of: whole?.message)
            response = Self.text(stored.response, of: whole?.response)
            at = stored.at.timestamp
            truncated = whole == nil ? nil : true
        }

        private static func text(_ read: String, of bytes: Int?) -> String {
            guard let bytes, read.utf8.count < bytes else { return read }
            return read + "\n… [cut: \(bytes) bytes in all]"
        }
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
        + "the latest 50 unless limit says otherwise, and fewer where they are long: nextCursor goes on. "
        + "An exchange too long for one answer is cut and has truncated."
    static let annotations = ToolAnnotations.lookUp

    private static let standardLimit = 50

    let messages: any MessageStore
    /// Largest size of the messages in one response, in bytes.
    let maximumBytes: Int
    /// Budget of the process, from which a page draws.
    var memory = MemoryBudget.unlimited

    func call(_ arguments: Arguments, context: ToolContext) async throws -> PagedResults<Exchange> {
        guard let principal = context.principal else { throw ToolError.notAuthenticated }
        let cursors = PageCursor([Self.name, principal.id])
        let position = try cursors.position(arguments.cursor)
        let page = try await ToolError.translating(context) {
            try await messages.messages(
                userID: principal.id,
                within: MessagePageBounds(rows: arguments.limit ?? Self.standardLimit, bytes: maximumBytes),
                after: position)
        }
        var reservation: MemoryReservation?
        defer { withExtendedLifetime(reservation) {} }
        let bytes = page.messages.reduce(0) { $0 + $1.message.utf8.count + $1.response.utf8.count }
        guard memory.hold(bytes, in: &reservation) else { throw ToolError.overloaded }
        return PagedResults(
            page.messages.map(Exchange.init), next: page.next, cursors: cursors, arguments: arguments)
    }
}
