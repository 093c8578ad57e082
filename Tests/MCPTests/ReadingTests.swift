import JSON
import Testing

@testable import MCP

@Suite("Received messages")
struct ReadingTests {
    @Test("definitions and results survive a round trip in the newest revision")
    func roundTrips() throws {
        let version = MCPVersion.latestModern
        #expect(try ToolDefinition(json: RenderingTests.tool.json(for: version)) == RenderingTests.tool)
        #expect(try Prompt(json: RenderingTests.prompt.json(for: version)) == RenderingTests.prompt)
        #expect(try Resource(json: RenderingTests.resource.json(for: version)) == RenderingTests.resource)
        #expect(try Implementation(json: RenderingTests.info.json(for: version)) == RenderingTests.info)
        for block in RenderingTests.blocks { #expect(try ContentBlock(json: block.json(for: version)) == block) }
        let result = CallToolResult(
            content: RenderingTests.blocks, structuredContent: [1], isError: true, meta: ["k": 1])
        #expect(try CallToolResult(json: result.json(for: version)) == result)
        let list = ListToolsResult(
            [RenderingTests.tool], nextCursor: "", cache: .init(ttlMilliseconds: 3, scope: .public))
        let read = try ListToolsResult(json: list.json(for: version))
        #expect(read.elements == list.elements)
        #expect(read.nextCursor == "")
        #expect(read.cache == list.cache)
        let input = InputRequiredResult(
            inputRequests: [("a", .elicitation(RenderingTests.form)), ("b", .roots)], requestState: "s")
        #expect(try InputRequiredResult(json: input.json) == input)
        let discover = DiscoverResult(
            supportedVersions: ["2026-07-28", "2099-01-01"], capabilities: RenderingTests.server, instructions: "i",
            serverInfo: RenderingTests.info, cache: .init(ttlMilliseconds: 9, scope: .private))
        #expect(try DiscoverResult(json: discover.json()) == discover)
    }

    @Test("schemas pass verbatim, unknown blocks whole")
    func verbatim() throws {
        let text = #"{"name":"t","inputSchema":{"$schema":"x","type":"object","$defs":{"a":{"$anchor":"b"}},"n":1.50}}"#
        let tool = try ToolDefinition(json: JSONValue(parsing: text))
        #expect(tool.json(for: .v2025_11_25).text == text)
        let block: JSONValue = ["type": "tool_use", "id": "1", "name": "n", "input": ["x": 1]]
        #expect(try ContentBlock(json: block).json(for: .v2024_11_05) == block)
    }

    @Test(
        "what is malformed is named",
        arguments: [
            (
                #"{"tools":[{"name":"a","inputSchema":{}},{"inputSchema":{}}]}"#,
                "result.tools[1]: tool.name: expected string, found nothing"
            ),
            (#"{"tools":{}}"#, "result.tools: expected array, found object"),
            (#"{"tools":[{"name":"a"}]}"#, "result.tools[0]: tool.inputSchema: expected object, found nothing"),
            (#"{"tools":[],"nextCursor":1}"#, "result.nextCursor: expected string, found number"),
            ("[]", "result: expected object, found array"),
        ])
    func lists(text: String, message: String) throws {
        let value = try JSONValue(parsing: text)
        #expect(throws: MCPDecodingError(message)) { try ListToolsResult(json: value) }
    }

    @Test("results of tools: content may be missing only beside structured content")
    func results() throws {
        #expect(throws: MCPDecodingError.self) { try CallToolResult(json: [:]) }
        #expect(try CallToolResult(json: ["structuredContent": ["a": 1]]).content.isEmpty)
        #expect(throws: MCPDecodingError.self) { try CallToolResult(json: ["content": [["type": "text"]]]) }
        #expect(throws: MCPDecodingError.self) { try CallToolResult(json: ["content": [], "isError": "yes"]) }
        let result = try CallToolResult(json: [
            "content": [["type": "text", "text": "a"], ["type": "text", "text": "b"]]
        ])
        #expect(result.text == "a\nb")
    }

    @Test(
        "a declared status counts from 400 to 499 only",
        arguments: [(404, 404), (399, nil), (500, nil)] as [(Int, Int?)])
    func status(declared: Int, expected: Int?) {
        #expect(CallToolResult.error("x", status: declared).status == expected)
        let foreign = CallToolResult(content: [], isError: true, meta: [MCPMeta.status: .number(declared)])
        #expect(foreign.status == expected)
    }

    @Test("result types: absent is complete, unknown is invalid")
    func resultTypes() {
        #expect(ResultType(of: [:]) == .complete)
        #expect(ResultType(of: ["resultType": "input_required"]) == .inputRequired)
        #expect(ResultType(of: ["resultType": "later"]) == nil)
        #expect(ResultType(of: ["resultType": 1]) == nil)
        #expect(CacheHint(result: ["ttlMs": -1]) == nil)
        #expect(CacheHint(result: ["ttlMs": 5])?.scope == .private)
    }

    @Test("an input_required result needs requests or a state")
    func inputRequired() {
        #expect(throws: MCPDecodingError.self) { try InputRequiredResult(json: ["resultType": "input_required"]) }
        #expect(throws: MCPDecodingError.self) {
            try InputRequiredResult(json: ["inputRequests": ["a": ["method": "tools/call"]]])
        }
    }

    @Test("request metadata of 2026-07-28")
    func metadata() throws {
        let metadata = RequestMetadata(
            protocolVersion: "2026-07-28", clientCapabilities: RenderingTests.client, clientInfo: RenderingTests.info,
            logLevel: .error, progressToken: 7)
        var read = try RequestMetadata(meta: metadata.json)
        // Roots have no listChanged there.
        read.clientCapabilities = metadata.clientCapabilities
        #expect(read == metadata)
        #expect(RequestMetadata.isModern(metadata.json))
        #expect(!RequestMetadata.isModern(["progressToken": 1]))
        for key in [MCPMeta.protocolVersion, MCPMeta.clientCapabilities] {
            var broken = metadata.json
            broken[key] = nil
            #expect(throws: MCPDecodingError.self) { try RequestMetadata(meta: broken) }
        }
        for (key, value) in [MCPMeta.logLevel: "loud", MCPMeta.progressToken: 1.5] as [String: JSONValue] {
            #expect(throws: MCPDecodingError.self) { try RequestMetadata(meta: metadata.json.merging([key: value])) }
        }
    }

    @Test("capabilities decide what may be asked")
    func capabilities() {
        let none = ClientCapabilities()
        let form = ClientCapabilities(["elicitation": [:]])
        let url = ClientCapabilities(["elicitation": ["url": [:]]])
        let elicitation = InputRequest.elicitation(RenderingTests.form)
        #expect(!elicitation.isAllowed(by: none))
        #expect(elicitation.isAllowed(by: form))
        #expect(!elicitation.isAllowed(by: url))
        let page = InputRequest.elicitation(.init(message: "m", mode: .url("https://example.com", elicitationID: nil)))
        #expect(page.isAllowed(by: url))
        #expect(!page.isAllowed(by: form))
        #expect(!InputRequest.sampling(RenderingTests.sampling).isAllowed(by: ClientCapabilities(sampling: true)))
    }

    @Test("completion values end at a hundred, and the rest is told")
    func completion() throws {
        let result = CompleteResult(values: (0..<101).map { "\($0)" })
        #expect(result.values.count == 100)
        #expect(result.total == 101)
        #expect(result.hasMore == true)
        #expect(CompleteResult(values: ["a"]).hasMore == nil)
        let params: JSONObject = [
            "ref": ["type": "ref/resource", "uri": "u"], "argument": ["name": "a", "value": "v"],
            "context": ["arguments": ["b": "c"]],
        ]
        #expect(try CompleteParameters(params: params).params(for: .v2025_06_18) == params)
        #expect(throws: MCPDecodingError.self) {
            try CompleteParameters(params: params.merging(["ref": ["type": "ref/other"]]))
        }
    }

    @Test("a subscription filter lets through only what was asked for")
    func subscriptions() throws {
        let filter = SubscriptionFilter(promptsListChanged: true, resourceSubscriptions: ["doc:1"])
        #expect(try SubscriptionFilter(json: filter.json) == filter)
        #expect(filter.wants(JSONRPCNotification(method: MCPMethod.promptsListChanged)))
        #expect(!filter.wants(JSONRPCNotification(method: MCPMethod.toolsListChanged)))
        #expect(filter.wants(ResourceUpdatedNotification(uri: "doc:1").notification))
        #expect(!filter.wants(ResourceUpdatedNotification(uri: "doc:2").notification))
        #expect(!filter.wants(JSONRPCNotification(method: MCPMethod.message)))
    }

    @Test("logging levels are ordered by severity")
    func levels() {
        #expect(LoggingLevel.allCases == LoggingLevel.allCases.sorted())
        #expect(LoggingLevel.debug < .emergency)
    }
}
