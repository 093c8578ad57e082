import JSON
import MCP
import NIOCore

/// Loader of `tools/list`, page by page.
final class CatalogLoader {
    private let caller: MCPCaller
    private let credentials: ForwardedCredentials
    private let deadline: NIODeadline
    private let completion: (Result<ToolCatalog, MCPCallFailure>) -> Void
    private var pages: CatalogPages

    init(
        caller: MCPCaller, credentials: ForwardedCredentials, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, MCPCallFailure>) -> Void
    ) {
        self.caller = caller
        self.credentials = credentials
        self.deadline = deadline
        self.completion = completion
        let configuration = caller.upstream.configuration
        pages = CatalogPages(.init(tools: configuration.catalogLimit, bytes: configuration.catalogBytes))
    }

    func start() { page(cursor: nil) }

    private func page(cursor: String?) {
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
        switch result.message.withUnsafeReadableBytes({ pages.take(result.result, in: $0) }) {
        case .next(let cursor): page(cursor: cursor)
        case .invalid: fail(MCPCallFailure(kind: .invalid, executed: .yes, detail: "tools/list without tools"))
        case .end:
            let catalog = ToolCatalog(
                tools: pages.tools, sources: pages.sources, era: result.era, lifetime: pages.lifetime,
                warnings: pages.warnings)
            caller.upstream.catalogLoaded(catalog, credentials: credentials, now: .now())
            completion(.success(catalog))
        }
    }

    private func fail(_ failure: MCPCallFailure) {
        caller.upstream.catalogFailed(now: .now())
        completion(.failure(failure))
    }
}
