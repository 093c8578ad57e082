import JSON
import MCP
package import MCPClient

/// Types that follow from an upstream's tools.
package enum ToolTypes {
    /// - Parameters:
    ///   - chat: The configuration; its own types take precedence.
    ///   - catalogs: The tools by upstream, as far as they are known.
    package static func make(_ chat: ChatConfiguration, _ catalogs: [String: ToolCatalog]) -> [ChatTypeConfiguration] {
        guard let rules = chat.tools, let catalog = catalogs[rules.upstream] else { return [] }
        let configured = Set(chat.types.map(\.name))
        let tools = catalog.entries.lazy.map(\.definition).filter {
            rules.includes($0.name) && !configured.contains($0.name) && !needsTypeField($0.inputSchema)
                && (chat.questions == nil || $0.name != QuestionsConfiguration.answerType)
        }
        return tools.prefix(rules.limit).map { tool in
            ChatTypeConfiguration(tool: tool.name, arguments: arguments(tool.inputSchema), rules)
        }
    }

    /// Returns whether a tool requires an argument named `type`. Such a tool cannot be a type, because the payload's
    /// `type` names the type.
    private static func needsTypeField(_ schema: JSONValue) -> Bool {
        schema["required"]?.array?.contains("type") == true
    }

    private static func arguments(_ schema: JSONValue) -> [ChatArgumentConfiguration] {
        let required = Set((schema["required"]?.array ?? []).compactMap(\.string))
        return (schema["properties"]?.object ?? [:]).filter { $0.key != "type" }.map { name, property in
            let isRequired = required.contains(name)
            // As with configured types, a required text must not be empty; zero and false are values like any other.
            let isText = property["type"]?.string == "string"
            return ChatArgumentConfiguration(
                field: name, isRequired: isRequired, falsyIsMissing: isRequired && isText)
        }
    }
}
