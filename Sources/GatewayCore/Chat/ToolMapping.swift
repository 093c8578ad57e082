import JSON
import MCP
import MCPClient

/// `x-mcp-tool` in the OpenAPI document: the tool that a type calls and how its arguments are made, so that a reader
/// (such as the page) can show the MCP call.
enum ToolMapping {
    static func json(_ type: ChatTypeConfiguration, _ entry: ToolCatalog.Entry?) -> JSONValue {
        var arguments: JSONObject = [:]
        for argument in type.arguments { arguments[argument.target] = json(argument) }
        let annotations = entry?.definition.annotations
        return .object([
            "name": .string(type.tool), "upstream": .string(type.upstream),
            "readOnly": .bool(annotations?.readOnlyHint ?? false), "reply": .string(type.reply.shape.rawValue),
            "arguments": .object(arguments),
        ])
    }

    private static func json(_ argument: ChatArgumentConfiguration) -> JSONValue {
        if let constant = argument.constant { return ["value": constant] }
        var object: JSONObject = ["from": .string(argument.source)]
        if argument.trim { object["trim"] = true }
        if let value = argument.defaultValue { object["default"] = value }
        return .object(object)
    }
}
