import JSON
import Testing

@testable import MCP

@Suite("Rendered messages obey the official schema of their revision", .needsOfficialSchemas)
struct RenderingTests {
    struct Sample: CustomTestStringConvertible, Sendable {
        let definition: String
        let render: @Sendable (MCPVersion) -> JSONValue
        var testDescription: String { definition }
    }

    static let icon = Icon(source: "https://example.com/i.png", mimeType: "image/png", sizes: ["48x48"], theme: "dark")
    static let annotations = Annotations(
        audience: [.user, .assistant], priority: 0.5, lastModified: "2026-01-01T00:00:00Z")
    static let info = Implementation(
        name: "gateway", version: "1.0", title: "Gateway", description: "d", websiteURL: "https://example.com",
        icons: [icon])
    static let contents = ResourceContents(uri: "doc:1", mimeType: "text/plain", body: .text("x"), meta: ["a.b/c": 1])
    static let blob = ResourceContents(uri: "doc:2", mimeType: "image/png", bytes: [1, 2, 3])
    static let resource = Resource(
        uri: "doc:1", name: "one", title: "One", description: "d", mimeType: "text/plain", size: 3,
        annotations: annotations, icons: [icon], meta: ["a.b/c": 1])
    static let blocks: [ContentBlock] = [
        .text("x", annotations: annotations, meta: ["a.b/c": true]), .image(data: "AAAA", mimeType: "image/png"),
        .audio(data: "AAAA", mimeType: "audio/wav"), .resource(contents), .resource(blob), .resourceLink(resource),
    ]
    static let tool = ToolDefinition(
        name: "search", title: "Search", description: "d",
        inputSchema: ["type": "object", "properties": ["q": ["type": "string"]], "required": ["q"]],
        outputSchema: ["type": "object", "properties": ["results": ["type": "array"]]],
        annotations: ToolAnnotations(
            title: "S", readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false),
        icons: [icon], meta: ["a.b/c": 1])
    static let prompt = Prompt(
        name: "p", title: "P", description: "d",
        arguments: [.init(name: "a", title: "A", description: "d", required: true)],
        icons: [icon], meta: ["a.b/c": 1])
    static let server = ServerCapabilities(
        tools: .init(listChanged: true), prompts: .init(listChanged: true),
        resources: .init(listChanged: true, subscribe: true), completions: true, logging: true, experimental: ["x": [:]]
    )
    static let client = ClientCapabilities(
        sampling: true, elicitation: true, elicitationURL: true, roots: true, rootsListChanged: true)
    static let sampling = CreateMessageParameters(
        messages: [
            .init(role: .user, content: [.text("hi")]), .init(role: .assistant, content: [.text("a"), .text("b")]),
        ],
        systemPrompt: "s", maxTokens: 100, temperature: 0.5, stopSequences: ["x"], tools: [tool],
        others: ["modelPreferences": ["hints": [["name": "m"]], "costPriority": 0.1], "toolChoice": ["mode": "auto"]])
    static let form = ElicitParameters(
        message: "Who?", requestedSchema: ["type": "object", "properties": ["name": ["type": "string"]]])

    static func request(_ method: String, _ params: @escaping @Sendable (MCPVersion) -> JSONObject?)
        -> @Sendable (
            MCPVersion
        ) -> JSONValue
    {
        { version in
            var params = params(version)
            if version.era == .modern {
                let metadata = RequestMetadata(
                    protocolVersion: version.rawValue, clientCapabilities: client, clientInfo: info, logLevel: .info,
                    progressToken: "t")
                params = (params ?? [:]).merging(["_meta": .object(metadata.json)])
            }
            return JSONRPCRequest(id: 1, method: method, params: params).json
        }
    }

    static let samples: [Sample] = [
        Sample(definition: "Implementation") { info.json(for: $0) },
        Sample(definition: "ServerCapabilities") { server.json(for: $0) },
        Sample(definition: "ClientCapabilities") { client.json(for: $0) },
        Sample(definition: "Tool") { tool.json(for: $0) },
        Sample(definition: "Resource") { resource.json(for: $0) },
        Sample(definition: "ResourceTemplate") {
            ResourceTemplate(
                uriTemplate: "doc:{id}", name: "n", title: "t", description: "d", mimeType: "text/plain",
                annotations: annotations, icons: [icon], meta: ["a.b/c": 1]
            ).json(for: $0)
        },
        Sample(definition: "Prompt") { prompt.json(for: $0) },
        Sample(definition: "CallToolResult") {
            CallToolResult(content: blocks, structuredContent: ["a": 1], isError: true, meta: ["a.b/c": 1]).json(
                for: $0)
        },
        Sample(definition: "CallToolResult") { CallToolResult.structured([1, 2]).json(for: $0) },
        Sample(definition: "CallToolResult") { CallToolResult.error("no", status: 404).json(for: $0) },
        Sample(definition: "ListToolsResult") {
            ListToolsResult([tool], nextCursor: "c", cache: .init(ttlMilliseconds: 5, scope: .public)).json(for: $0)
        },
        Sample(definition: "ListPromptsResult") { ListPromptsResult([prompt]).json(for: $0) },
        Sample(definition: "ListResourcesResult") { ListResourcesResult([resource]).json(for: $0) },
        Sample(definition: "ListResourceTemplatesResult") {
            ListResourceTemplatesResult([.init(uriTemplate: "doc:{id}", name: "n")]).json(for: $0)
        },
        Sample(definition: "ReadResourceResult") { ReadResourceResult(contents: [contents, blob]).json(for: $0) },
        Sample(definition: "GetPromptResult") {
            GetPromptResult(
                description: "d", messages: blocks.map { .init(role: .user, content: $0) }, meta: ["a.b/c": 1]
            )
            .json(for: $0)
        },
        Sample(definition: "CompleteResult") {
            CompleteResult(values: (0..<150).map { "v\($0)" }).json(for: $0)
        },
        Sample(definition: "InitializeResult") {
            InitializeResult(
                protocolVersion: $0.rawValue, capabilities: server, serverInfo: info, instructions: "i"
            ).json(for: $0)
        },
        Sample(definition: "DiscoverResult") {
            DiscoverResult(
                supportedVersions: ["2026-07-28"], capabilities: server, instructions: "i", serverInfo: info
            ).json(for: $0)
        },
        Sample(definition: "EmptyResult") { .object(MCPResult.empty(for: $0)) },
        Sample(definition: "InputRequiredResult") { _ in
            InputRequiredResult(
                inputRequests: [("a", .elicitation(form)), ("b", .sampling(sampling)), ("c", .roots)],
                requestState: "s"
            ).json
        },
        Sample(definition: "SubscriptionsListenResult") { _ in .object(SubscriptionFilter.result(subscriptionID: 7)) },
        Sample(definition: "InitializeRequest") { version in
            let parameters = InitializeParameters(
                protocolVersion: version.rawValue, capabilities: client, clientInfo: info)
            return JSONRPCRequest(id: 1, method: MCPMethod.initialize, params: parameters.params(for: version)).json
        },
        Sample(definition: "DiscoverRequest", render: request(MCPMethod.serverDiscover) { _ in nil }),
        Sample(
            definition: "CallToolRequest",
            render: request(MCPMethod.toolsCall) { _ in ["name": "search", "arguments": ["q": "x"]] }),
        Sample(definition: "ListToolsRequest", render: request(MCPMethod.toolsList) { _ in ["cursor": "c"] }),
        Sample(definition: "ReadResourceRequest", render: request(MCPMethod.resourcesRead) { _ in ["uri": "doc:1"] }),
        Sample(
            definition: "CompleteRequest",
            render: request(MCPMethod.completionComplete) {
                CompleteParameters(
                    reference: .prompt(name: "p"), argumentName: "a", argumentValue: "v", context: ["b": "c"]
                ).params(for: $0)
            }),
        Sample(
            definition: "SubscriptionsListenRequest",
            render: request(MCPMethod.subscriptionsListen) { _ in
                ["notifications": SubscriptionFilter(toolsListChanged: true, resourceSubscriptions: ["doc:1"]).json]
            }),
        Sample(definition: "CreateMessageRequest") { version in
            JSONRPCRequest(id: 1, method: MCPMethod.samplingCreateMessage, params: sampling.params(for: version)).json
        },
        Sample(definition: "CreateMessageResult") {
            CreateMessageResult(content: [.text("a"), .text("b")], model: "m", stopReason: "endTurn").json(for: $0)
        },
        Sample(definition: "ElicitRequest") {
            JSONRPCRequest(id: 1, method: MCPMethod.elicitationCreate, params: form.params(for: $0)).json
        },
        Sample(definition: "ElicitResult") { _ in ElicitResult(action: .accept, content: ["name": "x"]).json },
        Sample(definition: "ListRootsResult") { _ in Root.json([Root(uri: "file:///a", name: "a")]) },
        Sample(definition: "ProgressNotification") {
            ProgressNotification(token: 3, progress: 0.5, total: 1, message: "m").notification(for: $0).json
        },
        Sample(definition: "CancelledNotification") { _ in
            CancelledNotification(requestID: "r", reason: "left").notification.json
        },
        Sample(definition: "LoggingMessageNotification") { _ in
            LoggingMessageNotification(level: .warning, logger: "l", data: ["a": 1]).notification.json
        },
        Sample(definition: "ResourceUpdatedNotification") { _ in
            ResourceUpdatedNotification(uri: "doc:1").notification.tagged(subscriptionID: 4).json
        },
        Sample(definition: "ToolListChangedNotification") { _ in
            JSONRPCNotification(method: MCPMethod.toolsListChanged).json
        },
        Sample(definition: "SubscriptionsAcknowledgedNotification") { _ in
            SubscriptionFilter(toolsListChanged: true).acknowledgement(subscriptionID: "s").json
        },
        Sample(definition: "HeaderMismatchError") { _ in JSONRPCResponse(id: 1, error: .headerMismatch("h")).json },
        Sample(definition: "MissingRequiredClientCapabilityError") { _ in
            JSONRPCResponse(id: 1, error: .missingClientCapability(["sampling": [:]])).json
        },
        Sample(definition: "UnsupportedProtocolVersionError") { _ in
            JSONRPCResponse(id: nil, error: .unsupportedVersion(requested: "2030-01-01", supported: MCPVersion.modern))
                .json
        },
        Sample(definition: "JSONRPCErrorResponse") { _ in JSONRPCResponse(id: nil, error: .parseError).json },
        Sample(definition: "JSONRPCError") { _ in JSONRPCResponse(id: 1, error: .invalidParams("x")).json },
        Sample(definition: "JSONRPCMessage") { _ in JSONRPCNotification(method: "m", params: ["a": 1]).json },
        Sample(definition: "JSONRPCMessage") {
            JSONRPCResponse(id: "x", result: .object(MCPResult.empty(for: $0))).json
        },
    ]

    @Test("in every revision that defines them", arguments: samples)
    func valid(sample: Sample) throws {
        var checked = 0
        for version in MCPVersion.allCases where OfficialSchemas.defines(sample.definition, in: version) {
            let value = sample.render(version)
            let violations = try OfficialSchemas.violations(value, as: sample.definition, in: version)
            #expect(violations.isEmpty, "\(version): \(value) – \(violations)")
            checked += 1
        }
        #expect(checked > 0, "no revision defines \(sample.definition)")
    }

    @Test("and the check itself can fail")
    func invalid() throws {
        #expect(try !OfficialSchemas.violations(["name": 1], as: "Tool", in: .v2025_11_25).isEmpty)
        #expect(
            try !OfficialSchemas.violations(
                CallToolResult.text("x").json(for: .v2025_11_25), as: "CallToolResult", in: .v2026_07_28
            ).isEmpty, "resultType is required there")
        #expect(
            try !OfficialSchemas.violations(
                ["content": [["type": "audio", "data": "", "mimeType": "a/b"]]], as: "CallToolResult", in: .v2024_11_05
            ).isEmpty, "audio is unknown there")
    }
}

@Suite("Each revision gets only what it knows")
struct RevisionTests {
    private func keys(_ value: JSONValue?) -> Set<String> { Set(value?.object?.keys ?? []) }

    @Test("tools")
    func tools() {
        let all: [MCPVersion: Set<String>] = [
            .v2024_11_05: ["name", "description", "inputSchema"],
            .v2025_03_26: ["name", "description", "inputSchema", "annotations"],
            .v2025_06_18: ["name", "title", "description", "inputSchema", "outputSchema", "annotations", "_meta"],
            .v2025_11_25: [
                "name", "title", "description", "icons", "inputSchema", "outputSchema", "annotations", "_meta",
            ],
            .v2026_07_28: [
                "name", "title", "description", "icons", "inputSchema", "outputSchema", "annotations", "_meta",
            ],
        ]
        for (version, expected) in all {
            #expect(keys(RenderingTests.tool.json(for: version)) == expected, "\(version)")
        }
        let list = ToolDefinition(name: "t", outputSchema: ["type": "array"])
        #expect(list.json(for: .v2025_11_25)["outputSchema"] == nil)
        #expect(list.json(for: .v2026_07_28)["outputSchema"] == ["type": "array"])
    }

    @Test("results")
    func results() {
        let result = CallToolResult.structured(["a": 1])
        #expect(result.json(for: .v2025_03_26)["structuredContent"] == nil)
        #expect(result.json(for: .v2025_06_18)["structuredContent"] == ["a": 1])
        #expect(result.json(for: .v2025_11_25)["resultType"] == nil)
        #expect(result.json(for: .v2026_07_28)["resultType"] == "complete")
        #expect(result.content == [.text(#"{"a":1}"#)])
        let list = CallToolResult.structured([1])
        #expect(list.json(for: .v2025_11_25)["structuredContent"] == nil)
        #expect(list.json(for: .v2026_07_28)["structuredContent"] == [1])
        #expect(result.json(for: .v2025_11_25)["isError"] == nil)
    }

    @Test("content that a revision has no block for becomes text")
    func content() {
        let audio = ContentBlock.audio(data: "AA==", mimeType: "audio/wav").json(for: .v2024_11_05)
        #expect(audio["type"] == "text")
        let link = ContentBlock.resourceLink(RenderingTests.resource)
        #expect(link.json(for: .v2025_03_26)["text"] == "[One](doc:1)")
        #expect(link.json(for: .v2025_06_18)["type"] == "resource_link")
        let text = ContentBlock.text("x", annotations: RenderingTests.annotations, meta: ["k": 1])
        #expect(keys(text.json(for: .v2025_03_26)) == ["type", "text", "annotations"])
        #expect(text.json(for: .v2025_03_26)["annotations"]?["lastModified"] == nil)
        #expect(keys(text.json(for: .v2025_06_18)) == ["type", "text", "annotations", "_meta"])
    }

    @Test("names and capabilities")
    func names() {
        #expect(keys(RenderingTests.info.json(for: .v2025_03_26)) == ["name", "version"])
        #expect(keys(RenderingTests.info.json(for: .v2025_06_18)) == ["name", "title", "version"])
        #expect(RenderingTests.server.json(for: .v2024_11_05)["completions"] == nil)
        #expect(RenderingTests.client.json(for: .v2025_03_26)["elicitation"] == nil)
        #expect(RenderingTests.client.json(for: .v2025_06_18)["elicitation"] == [:])
        #expect(RenderingTests.client.json(for: .v2026_07_28)["roots"] == [:])
    }

    @Test("progress messages, completion context, elicitation modes")
    func others() {
        let progress = ProgressNotification(token: 1, progress: 1, message: "m")
        #expect(progress.notification(for: .v2024_11_05).params?["message"] == nil)
        #expect(progress.notification(for: .v2025_03_26).params?["message"] == "m")
        let complete = CompleteParameters(
            reference: .resource(uri: "u"), argumentName: "a", argumentValue: "", context: ["b": "c"])
        #expect(complete.params(for: .v2025_03_26)["context"] == nil)
        #expect(complete.params(for: .v2025_06_18)["context"]?["arguments"]?["b"] == "c")
        #expect(RenderingTests.form.params(for: .v2025_06_18)["mode"] == nil)
        #expect(RenderingTests.form.params(for: .v2025_11_25)["mode"] == "form")
    }

    @Test("cache hints, result types and server names only in the modern era")
    func modern() {
        let hint = CacheHint(ttlMilliseconds: 1000, scope: .public)
        let legacy = MCPResult.complete(["a": 1], for: .v2025_11_25, serverInfo: RenderingTests.info, cache: hint)
        #expect(legacy == ["a": 1])
        let modern = MCPResult.complete(
            ["_meta": ["k": 1]], for: .v2026_07_28, serverInfo: .init(name: "n", version: "v"), cache: hint)
        #expect(
            modern == [
                "_meta": ["k": 1, MCPMeta.serverInfo: ["name": "n", "version": "v"]], "resultType": "complete",
                "ttlMs": 1000, "cacheScope": "public",
            ])
        #expect(CacheHint(ttlMilliseconds: -1, scope: .public).ttlMilliseconds == 0)
    }
}
