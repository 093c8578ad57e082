import JSON
import MCP
import MCPServer

/// Tools of the revisions with a handshake.
enum LegacyTools {
    private static let withElicitation = MCPVersion.v2025_06_18...MCPVersion.latestLegacy
    private static let latest = MCPVersion.latestLegacy...MCPVersion.latestLegacy

    static let all: [FixtureTool] = [
        FixtureTool("test_tool_with_logging", "Logs while it runs", in: FixtureTool.legacy) { _, context in
            await context.log(.info, data: "Tool execution started")
            try await Task.sleep(for: .milliseconds(50))
            await context.log(.info, data: "Tool processing data")
            try await Task.sleep(for: .milliseconds(50))
            await context.log(.info, data: "Tool execution completed")
            return .text("Logging finished")
        },
        FixtureTool(
            "test_sampling", "Asks the client's model", input: FixtureTool.string("prompt"), in: FixtureTool.legacy
        ) { arguments, context in
            let prompt = SamplingMessage(role: .user, content: [.text(arguments["prompt"]?.string ?? "")])
            let answer = try await context.sample(CreateMessageParameters(messages: [prompt], maxTokens: 100))
            return .text("LLM response: \(answer.text)")
        },
        FixtureTool(
            "test_elicitation", "Asks the user", input: FixtureTool.string("message"), in: withElicitation
        ) { arguments, context in
            try await elicit(
                context, arguments["message"]?.string ?? "", "User response",
                [
                    "username": ["type": "string", "description": "User's response"],
                    "email": ["type": "string", "description": "User's email address"],
                ], required: ["username", "email"])
        },
        FixtureTool("test_elicitation_sep1034_defaults", "Asks with defaults", in: latest) { _, context in
            try await elicit(
                context, "Please review and update the form fields with defaults", "Elicitation completed",
                [
                    "name": ["type": "string", "default": "John Doe"], "age": ["type": "integer", "default": 30],
                    "score": ["type": "number", "default": 95.5],
                    "status": [
                        "type": "string", "enum": ["active", "inactive", "pending"], "default": "active",
                    ],
                    "verified": ["type": "boolean", "default": true],
                ])
        },
        FixtureTool("test_elicitation_sep1330_enums", "Asks with every kind of choice", in: latest) { _, context in
            try await elicit(context, "Please select options", "Elicitation completed", enums)
        },
        FixtureTool("test_reconnection", "Sends its client away and back", in: latest) { _, context in
            context.releaseConnection()
            try await Task.sleep(for: .milliseconds(100))
            return .text("Reconnection test completed successfully")
        },
    ]

    private static let enums: JSONObject = [
        "untitledSingle": ["type": "string", "enum": ["option1", "option2", "option3"]],
        "titledSingle": ["type": "string", "oneOf": titled],
        "legacyEnum": [
            "type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        ],
        "untitledMulti": ["type": "array", "items": ["type": "string", "enum": ["option1", "option2", "option3"]]],
        "titledMulti": ["type": "array", "items": ["anyOf": titled]],
    ]

    private static let titled: JSONValue = [
        ["const": "value1", "title": "First Option"], ["const": "value2", "title": "Second Option"],
        ["const": "value3", "title": "Third Option"],
    ]

    private static func elicit(
        _ context: ToolContext, _ message: String, _ label: String, _ properties: JSONObject,
        required: JSONValue? = nil
    ) async throws -> CallToolResult {
        var schema: JSONObject = ["type": "object", "properties": .object(properties)]
        schema["required"] = required
        let answer = try await context.elicit(message, schema: schema)
        let content = JSONValue.object(answer.content ?? [:]).text
        return .text("\(label): action=\(answer.action.rawValue), content=\(content)")
    }
}
