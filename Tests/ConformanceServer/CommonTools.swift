import JSON
import MCP
import MCPServer

/// Tools of every revision.
enum CommonTools {
    static let all: [FixtureTool] = [
        FixtureTool("test_simple_text", "Answers with text") { _, _ in
            .text("This is a simple text response for testing.")
        },
        FixtureTool("test_image_content", "Answers with an image") { _, _ in
            CallToolResult(content: [.image(data: FixtureData.png, mimeType: "image/png")])
        },
        FixtureTool(
            "test_audio_content", "Answers with audio", in: MCPVersion.v2025_03_26...MCPVersion.latestModern
        ) { _, _ in
            CallToolResult(content: [.audio(data: FixtureData.wav, mimeType: "audio/wav")])
        },
        FixtureTool("test_embedded_resource", "Answers with an embedded resource") { _, _ in
            CallToolResult(content: [
                .resource(
                    ResourceContents(
                        uri: "test://embedded-resource", mimeType: "text/plain",
                        text: "This is an embedded resource content."))
            ])
        },
        FixtureTool("test_multiple_content_types", "Answers with text, image and resource") { _, _ in
            CallToolResult(content: [
                .text("Multiple content types test:"), .image(data: FixtureData.png, mimeType: "image/png"),
                .resource(
                    ResourceContents(
                        uri: "test://mixed-content-resource", mimeType: "application/json",
                        text: #"{"test":"data","value":123}"#)),
            ])
        },
        FixtureTool("test_error_handling", "Fails") { _, _ in
            throw ToolError("This tool intentionally returns an error for testing")
        },
        FixtureTool("test_tool_with_progress", "Reports progress") { _, context in
            for step in [0, 50, 100] {
                if step > 0 { try await Task.sleep(for: .milliseconds(50)) }
                await context.progress(Double(step), total: 100, message: "Completed step \(step) of 100")
            }
            return .text("Progress finished")
        },
        FixtureTool("json_schema_2020_12_tool", "Shows JSON Schema 2020-12", input: schema) { _, _ in .text("ok") },
    ]

    static let schema: JSONValue = [
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": [
            "address": [
                "$anchor": "addressDef", "type": "object",
                "properties": ["street": ["type": "string"], "city": ["type": "string"]],
            ]
        ],
        "properties": [
            "name": ["type": "string"], "address": ["$ref": "#/$defs/address"],
            "contactMethod": ["type": "string", "enum": ["phone", "email"]], "phone": ["type": "string"],
            "email": ["type": "string"],
        ],
        "allOf": [["anyOf": [["required": ["phone"]], ["required": ["email"]]]]],
        "anyOf": [["required": ["name"]], ["required": ["address"]]],
        "if": ["properties": ["contactMethod": ["const": "phone"]], "required": ["contactMethod"]],
        "then": ["required": ["phone"]],
        "else": ["required": ["email"]],
        "additionalProperties": false,
    ]
}
