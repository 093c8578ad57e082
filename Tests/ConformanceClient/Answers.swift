import JSON
import MCP
import MCPClient
import Synchronization

/// What the server has told outside of answers.
final class NotificationLog: Sendable {
    private let notifications = Mutex<[JSONRPCNotification]>([])

    func add(_ notification: JSONRPCNotification) { notifications.withLock { $0.append(notification) } }

    /// All of them so far; the log is empty then.
    func take() -> [JSONRPCNotification] {
        notifications.withLock { notifications in
            defer { notifications = [] }
            return notifications
        }
    }

    var count: Int { notifications.withLock { $0.count } }
}

/// A user who accepts everything, a model with one answer, and one root.
enum Answers {
    static func handlers(_ notifications: NotificationLog) -> MCPClientHandlers {
        MCPClientHandlers(
            elicit: { parameters in
                guard case .form(let schema) = parameters.mode else { return ElicitResult(action: .decline) }
                return ElicitResult(action: .accept, content: fill(schema))
            },
            sample: { _ in
                CreateMessageResult(role: .assistant, content: [.text("Paris")], model: "test-model")
            },
            roots: { [Root(uri: "file:///workspace", name: "workspace")] },
            onNotification: { notifications.add($0) })
    }

    /// The form's defaults (SEP-1034), and something that fits for what is required and has none.
    private static func fill(_ schema: JSONObject) -> JSONObject {
        let required = (schema["required"]?.array ?? []).compactMap(\.string)
        var content: JSONObject = [:]
        for (name, property) in schema["properties"]?.object ?? [:] {
            if let value = property["default"] {
                content[name] = value
            } else if required.contains(name) {
                content[name] = value(for: property)
            }
        }
        return content
    }

    private static func value(for property: JSONValue) -> JSONValue {
        if let choice = property["enum"]?[0] ?? property["oneOf"]?[0]?["const"] { return choice }
        switch property["type"]?.string {
        case "boolean": return true
        case "integer", "number": return property["minimum"] ?? 1
        case "array": return [property["items"]?["enum"]?[0] ?? property["items"]?["anyOf"]?[0]?["const"] ?? ""]
        default: return "text"
        }
    }
}
