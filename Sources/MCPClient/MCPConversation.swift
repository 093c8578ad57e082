package import JSON
package import MCP

/// A conversation with one MCP server over any transport: `MCPClient` over HTTP, `StdioMCPClient` over a pipe.
///
/// Failures are thrown as `MCPCallError`; a JSON-RPC error is its `rpcError`. Cancelling the task cancels the request.
package protocol MCPConversation: Sendable {
    /// Opens a connection if there is none, and returns the server's description.
    @discardableResult
    func connect() async throws -> MCPServerDescription

    /// Sends any request and returns its complete result; questions of the server are answered meanwhile.
    func request(
        _ method: String, params: JSONObject?, onProgress: (@Sendable (MCPProgress) -> Void)?
    ) async throws -> JSONObject

    /// Lists the tools, all pages.
    func listTools() async throws -> [ToolDefinition]

    /// Passes notifications outside of any request to the handlers, until the task is cancelled (`CancellationError`)
    /// or the server ends the stream. Throws `MCPCallError` when the server offers no such stream.
    /// - Parameter onOpen: Called when the stream is open, for the first time or again.
    func listen(to filter: SubscriptionFilter, onOpen: @escaping @Sendable () -> Void) async throws

    func close() async
}

/// The protocol's requests, one method each.
extension MCPConversation {
    /// Listens without a callback for the opening.
    /// - Throws: `CancellationError`, ``MCPCallError``.
    package func listen(to filter: SubscriptionFilter) async throws { try await listen(to: filter, onOpen: {}) }

    private static var maximumPages: Int { 200 }

    /// Sends a request without listening for progress.
    /// - Throws: ``MCPCallError``.
    package func request(_ method: String, params: JSONObject? = nil) async throws -> JSONObject {
        try await request(method, params: params, onProgress: nil)
    }

    /// Calls a tool. Questions that the server asks meanwhile are passed to the handlers.
    /// - Throws: ``MCPCallError``.
    package func callTool(
        _ name: String, arguments: JSONObject? = nil, meta: JSONObject = [:],
        onProgress: (@Sendable (MCPProgress) -> Void)? = nil
    ) async throws -> CallToolResult {
        var params: JSONObject = ["name": .string(name)]
        if let arguments { params["arguments"] = .object(arguments) }
        if !meta.isEmpty { params["_meta"] = .object(meta) }
        return try CallToolResult(
            json: .object(try await request(MCPMethod.toolsCall, params: params, onProgress: onProgress)))
    }

    /// Sends `ping`, or `server/discover` in the revision without it; returns when the server answers.
    /// - Throws: ``MCPCallError``.
    package func ping() async throws {
        let description = try await connect()
        let method = description.version.era == .modern ? MCPMethod.serverDiscover : MCPMethod.ping
        _ = try await request(method)
    }

    /// Lists the prompts, all pages (Prompts, "Listing Prompts").
    /// - Throws: ``MCPCallError``.
    package func listPrompts() async throws -> [Prompt] {
        try await list(MCPMethod.promptsList, "prompts") { try Prompt(json: $0) }
    }

    /// Returns the messages of a prompt (Prompts, "Getting a Prompt").
    /// - Throws: ``MCPCallError``.
    package func getPrompt(_ name: String, arguments: [String: String] = [:]) async throws -> GetPromptResult {
        var params: JSONObject = ["name": .string(name)]
        if !arguments.isEmpty {
            params["arguments"] = .object(
                JSONObject(arguments.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.string($0.value)) }))
        }
        return try GetPromptResult(json: .object(try await request(MCPMethod.promptsGet, params: params)))
    }

    /// Lists the resources, all pages (Resources, "Listing Resources").
    /// - Throws: ``MCPCallError``.
    package func listResources() async throws -> [Resource] {
        try await list(MCPMethod.resourcesList, "resources") { try Resource(json: $0) }
    }

    /// Lists the resource templates, all pages (Resources, "Resource Templates").
    /// - Throws: ``MCPCallError``.
    package func listResourceTemplates() async throws -> [ResourceTemplate] {
        try await list(MCPMethod.resourcesTemplatesList, "resourceTemplates") { try ResourceTemplate(json: $0) }
    }

    /// Returns the contents of a resource (Resources, "Reading Resources").
    /// - Throws: ``MCPCallError``.
    package func readResource(_ uri: String) async throws -> ReadResourceResult {
        try ReadResourceResult(
            json: .object(try await request(MCPMethod.resourcesRead, params: ["uri": .string(uri)])))
    }

    /// Returns completions of an argument (Completion).
    /// - Throws: ``MCPCallError``.
    package func complete(_ parameters: CompleteParameters) async throws -> CompleteResult {
        let version = try await connect().version
        return try CompleteResult(
            json: .object(try await request(MCPMethod.completionComplete, params: parameters.params(for: version))))
    }

    func list<Item>(
        _ method: String, _ key: String, _ decode: (JSONValue) throws -> Item
    ) async throws -> [Item] {
        var items: [Item] = []
        var params: JSONObject?
        var asked: Set<String> = []
        for _ in 0..<Self.maximumPages {
            let result = try await request(method, params: params)
            items += try (result[key]?.array ?? []).map(decode)
            // Cursors are opaque: an empty one continues the list too. A repeated one would never end.
            guard let cursor = result["nextCursor"]?.string, asked.insert(cursor).inserted else { break }
            params = ["cursor": .string(cursor)]
        }
        return items
    }
}

/// Rounds of questions within one modern request.
struct InputRounds {
    /// Largest number of rounds of one request.
    private static let maximum = 16

    private let original: JSONObject?
    private var count = 0
    /// Parameters of the next round.
    private(set) var params: JSONObject?

    init(_ params: JSONObject?) {
        original = params
        self.params = params
    }

    /// Answers the questions in `result`; false when there are none and it is the final result.
    /// - Throws: `MCPCallError` for a question that cannot be answered, or after too many rounds.
    mutating func answer(_ result: JSONObject, _ handlers: MCPClientHandlers) async throws -> Bool {
        guard ResultType(of: result) == .inputRequired else { return false }
        count += 1
        guard count < Self.maximum else {
            throw MCPCallError(
                kind: .rejected, executed: .unknown, detail: "the server asked more than its limit of questions")
        }
        let required = try InputRequiredResult(json: .object(result))
        var params = original ?? [:]
        var responses: JSONObject = [:]
        for (key, question) in required.inputRequests {
            switch await handlers.answer(question, version: .latestModern) {
            case .success(let response):
                responses[key] = response
            case .failure(let error):
                throw MCPCallError(
                    kind: .rejected, rpcError: error, executed: .unknown,
                    detail: "the tool asks for input that this client cannot give (\(question.method))")
            }
        }
        if !required.inputRequests.isEmpty { params["inputResponses"] = .object(responses) }
        // The state is returned byte for byte.
        if let state = required.requestState { params["requestState"] = .string(state) }
        self.params = params
        return true
    }
}
