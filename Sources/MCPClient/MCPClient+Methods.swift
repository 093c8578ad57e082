import JSON
package import MCP

/// The rest of the protocol's requests, one method each.
extension MCPClient {
    private static let maximumPages = 200

    /// `ping`, or `server/discover` where there is none: answers when the server does.
    package func ping() async throws {
        let description = try await connect()
        let method = description.version.era == .modern ? MCPMethod.serverDiscover : MCPMethod.ping
        _ = try await request(method)
    }

    package func listPrompts() async throws -> [Prompt] {
        try await list(MCPMethod.promptsList, "prompts") { try Prompt(json: $0) }
    }

    package func getPrompt(_ name: String, arguments: [String: String] = [:]) async throws -> GetPromptResult {
        var params: JSONObject = ["name": .string(name)]
        if !arguments.isEmpty {
            params["arguments"] = .object(
                JSONObject(arguments.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.string($0.value)) }))
        }
        return try GetPromptResult(json: .object(try await request(MCPMethod.promptsGet, params: params)))
    }

    package func listResources() async throws -> [Resource] {
        try await list(MCPMethod.resourcesList, "resources") { try Resource(json: $0) }
    }

    package func listResourceTemplates() async throws -> [ResourceTemplate] {
        try await list(MCPMethod.resourcesTemplatesList, "resourceTemplates") { try ResourceTemplate(json: $0) }
    }

    package func readResource(_ uri: String) async throws -> ReadResourceResult {
        try ReadResourceResult(
            json: .object(try await request(MCPMethod.resourcesRead, params: ["uri": .string(uri)])))
    }

    package func complete(_ parameters: CompleteParameters) async throws -> CompleteResult {
        let version = try await connect().version
        return try CompleteResult(
            json: .object(try await request(MCPMethod.completionComplete, params: parameters.params(for: version))))
    }

    private func list<Item>(
        _ method: String, _ key: String, _ decode: (JSONValue) throws -> Item
    ) async throws -> [Item] {
        var items: [Item] = []
        var params: JSONObject?
        for _ in 0..<Self.maximumPages {
            let result = try await request(method, params: params)
            items += try (result[key]?.array ?? []).map(decode)
            // Cursors are opaque: an empty one goes on too.
            guard let cursor = result["nextCursor"]?.string else { break }
            params = ["cursor": .string(cursor)]
        }
        return items
    }
}
