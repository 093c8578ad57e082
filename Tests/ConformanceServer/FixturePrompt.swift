import JSON
import MCP
import MCPServer

/// A prompt of the fixture.
struct FixturePrompt: PromptProvider {
    let definition: Prompt
    var versions = MCPVersion.v2024_11_05...MCPVersion.latestModern
    let body: @Sendable ([String: String], ToolContext) async throws -> [ContentBlock]

    func isAvailable(in version: MCPVersion) -> Bool { versions.contains(version) }

    func render(_ arguments: [String: String], context: ToolContext) async throws -> GetPromptResult {
        GetPromptResult(messages: try await body(arguments, context).map { PromptMessage(role: .user, content: $0) })
    }

    private static func argument(_ name: String) -> PromptArgument {
        PromptArgument(name: name, description: "Test argument \(name)", required: true)
    }

    static let all: [FixturePrompt] = [
        FixturePrompt(definition: Prompt(name: "test_simple_prompt", description: "A prompt without arguments")) {
            _, _ in [.text("This is a simple prompt for testing.")]
        },
        FixturePrompt(
            definition: Prompt(
                name: "test_prompt_with_arguments", description: "A prompt with two arguments",
                arguments: [argument("arg1"), argument("arg2")])
        ) { arguments, _ in
            [.text("Prompt with arguments: arg1='\(arguments["arg1"] ?? "")', arg2='\(arguments["arg2"] ?? "")'")]
        },
        FixturePrompt(
            definition: Prompt(
                name: "test_prompt_with_embedded_resource", description: "A prompt with a resource",
                arguments: [argument("resourceUri")])
        ) { arguments, _ in
            [
                .resource(
                    ResourceContents(
                        uri: arguments["resourceUri"] ?? "", mimeType: "text/plain",
                        text: "Embedded resource content for testing.")),
                .text("Please process the embedded resource above."),
            ]
        },
        FixturePrompt(definition: Prompt(name: "test_prompt_with_image", description: "A prompt with an image")) {
            _, _ in
            [.image(data: FixtureData.png, mimeType: "image/png"), .text("Please analyze the image above.")]
        },
        FixturePrompt(
            definition: Prompt(name: "test_input_required_result_prompt", description: "A prompt that asks first"),
            versions: FixtureTool.modern
        ) { _, context in
            let answer = try await context.ask([
                ClientQuestion(
                    "user_context",
                    .elicitation(
                        ElicitParameters(
                            message: "What context should the prompt use?",
                            requestedSchema: [
                                "type": "object", "properties": ["context": ["type": "string"]],
                                "required": ["context"],
                            ])))
            ])["user_context"]
            return [.text("Use this context: \(answer?["content"]?["context"]?.string ?? "")")]
        },
    ]
}
