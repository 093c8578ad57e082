import JSON
import MCP
import NIOCore

/// Reads `tools/list` page by page.
final class CatalogLoader {
    private let caller: MCPCaller
    private let credentials: ForwardedCredentials
    private let deadline: NIODeadline
    private let completion: (Result<ToolCatalog, MCPCallFailure>) -> Void
    private var tools: [ToolDefinition] = []
    private var pages = 0
    /// Cursors that were asked for: a list whose cursor comes back would never end.
    private var asked: Set<String> = []
    private var lifetime: Duration?

    /// A server that never ends its list is cut short.
    private static let maximumPages = 200

    init(
        caller: MCPCaller, credentials: ForwardedCredentials, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, MCPCallFailure>) -> Void
    ) {
        self.caller = caller
        self.credentials = credentials
        self.deadline = deadline
        self.completion = completion
    }

    func start() { page(cursor: nil) }

    private func page(cursor: String?) {
        pages += 1
        let params: JSONObject? = cursor.map { ["cursor": .string($0)] }
        caller.perform(
            OutgoingRequest(
                body: .other(method: MCPMethod.toolsList, params: params), credentials: credentials,
                deadline: deadline, replays: caller.upstream.configuration.replays)
        ) { outcome in
            switch outcome {
            case .result(let result): self.take(result)
            case .failure(let failure): self.fail(failure)
            }
        }
    }

    private func take(_ result: MCPCallResult) {
        let document = result.message.withUnsafeReadableBytes { JSONValue(result.result, in: $0) }
        guard let list = document["tools"]?.array else {
            return fail(MCPCallFailure(kind: .invalid, executed: .yes, detail: "tools/list without tools"))
        }
        let limit = caller.upstream.configuration.catalogLimit
        for item in list where tools.count < limit {
            // One tool that makes no sense must not hide the others.
            if let tool = try? ToolDefinition(json: item) { tools.append(tool) }
        }
        if let ttl = document["ttlMs"]?.int, ttl >= 0 {
            lifetime = min(lifetime ?? .seconds(86_400), .milliseconds(ttl))
        }
        // An empty cursor is a cursor like any other (2026-07-28); absent or null ends the list.
        if let cursor = document["nextCursor"]?.string, tools.count < limit {
            if pages < Self.maximumPages, asked.insert(cursor).inserted { return page(cursor: cursor) }
            caller.upstream.notices.warn(
                .catalog, "tool list does not end",
                [
                    "pages": "\(pages)",
                    "answer": "a cursor that was sent before, or more than \(Self.maximumPages) pages",
                ])
        }
        let catalog = ToolCatalog(tools: tools, era: result.era, lifetime: lifetime)
        caller.upstream.catalogLoaded(catalog, credentials: credentials, now: .now())
        completion(.success(catalog))
    }

    private func fail(_ failure: MCPCallFailure) {
        caller.upstream.catalogFailed(now: .now())
        completion(.failure(failure))
    }
}
