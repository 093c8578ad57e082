import Foundation
import JSON
import JSONSchema
import MCP
import Synchronization

/// Checks messages against the official schemas, where those are at hand (beside the checkout, never inside it).
enum SchemaCheck {
    private static let directory = URL(filePath: #filePath).appending(path: "../../../../shared/mcp-schema")
    private static let documents = Mutex<[MCPVersion: JSONValue]>([:])
    private static let schemas = Mutex<[String: JSONSchema]>([:])

    static var isAvailable: Bool { FileManager.default.fileExists(atPath: directory.standardized.path) }

    private static func schema(_ name: String, _ version: MCPVersion) throws -> JSONSchema? {
        let key = "\(version)#\(name)"
        if let known = schemas.withLock({ $0[key] }) { return known }
        let file = directory.standardized.appending(path: "\(version.rawValue).json")
        guard let data = try? Data(contentsOf: file) else { return nil }
        let document = try documents.withLock { documents in
            if let known = documents[version] { return known }
            let parsed = try JSONValue(parsing: Array(data))
            documents[version] = parsed
            return parsed
        }
        let root = document["$defs"] == nil ? "definitions" : "$defs"
        guard document[root]?[name] != nil else { throw TestFailure("no \(name) in \(version)") }
        let schema = try JSONSchema(document, at: "#/\(root)/\(name)")
        schemas.withLock { $0[key] = schema }
        return schema
    }

    private static let results = [
        "initialize": "InitializeResult", "tools/list": "ListToolsResult", "tools/call": "CallToolResult",
        "prompts/list": "ListPromptsResult", "prompts/get": "GetPromptResult",
        "resources/list": "ListResourcesResult", "resources/templates/list": "ListResourceTemplatesResult",
        "resources/read": "ReadResourceResult", "completion/complete": "CompleteResult",
        "server/discover": "DiscoverResult", "ping": "EmptyResult", "logging/setLevel": "EmptyResult",
        "resources/subscribe": "EmptyResult", "resources/unsubscribe": "EmptyResult",
        "subscriptions/listen": "SubscriptionsListenResult",
    ]

    private static let calls = [
        "notifications/progress": "ProgressNotification", "notifications/message": "LoggingMessageNotification",
        "notifications/tools/list_changed": "ToolListChangedNotification",
        "notifications/prompts/list_changed": "PromptListChangedNotification",
        "notifications/resources/list_changed": "ResourceListChangedNotification",
        "notifications/resources/updated": "ResourceUpdatedNotification",
        "notifications/subscriptions/acknowledged": "SubscriptionsAcknowledgedNotification",
        "sampling/createMessage": "CreateMessageRequest", "elicitation/create": "ElicitRequest",
        "roots/list": "ListRootsRequest",
    ]

    static func check(_ message: JSONValue, answering method: String, _ version: MCPVersion) throws {
        if let batch = message.array {
            for element in batch { try check(element, answering: method, version) }
            return
        }
        var name: String?
        var subject = message
        if let result = message["result"] {
            name = result["resultType"] == "input_required" ? "InputRequiredResult" : results[method]
            subject = result
        } else if let call = message["method"]?.string {
            name = calls[call]
        } else if message["id"] != nil {
            name = version >= .v2025_11_25 ? "JSONRPCErrorResponse" : "JSONRPCError"
        }
        guard let name, let schema = try schema(name, version) else { return }
        let violations = schema.validate(subject)
        if !violations.isEmpty {
            throw TestFailure("\(version) \(name): \(violations.map { "\($0.pointer) \($0)" }) in \(message.text)")
        }
    }
}
