import JSON
import MCP
import NIOCore

/// Loader of `tools/list`, page by page.
final class CatalogLoader {
    private let caller: MCPCaller
    private let credentials: ForwardedCredentials
    private let deadline: NIODeadline
    private let completion: (Result<ToolCatalog, MCPCallError>) -> Void
    private let reading: CatalogReading

    init(
        caller: MCPCaller, credentials: ForwardedCredentials, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, MCPCallError>) -> Void
    ) {
        self.caller = caller
        self.credentials = credentials
        self.deadline = deadline
        self.completion = completion
        reading = CatalogReading(caller.upstream.configuration, former: caller.upstream.listed)
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

    /// Reads a page beside the event loop.
    private func take(_ result: MCPCallResult) {
        let reading = reading
        caller.upstream.configuration.lists.run(on: caller.eventLoop) {
            reading.take(result)
        } then: { step in
            self.proceed(step)
        }
    }

    private func proceed(_ step: CatalogReading.Step) {
        switch step {
        case .next(let cursor): page(cursor: cursor)
        case .invalid: fail(MCPCallError(kind: .invalid, executed: .yes, detail: "tools/list without tools"))
        case .noRoom:
            let detail = "no room in limits.memory for the list of tools"
            fail(MCPCallError(kind: .overloaded, executed: .yes, detail: detail))
        case .end(let whole):
            caller.upstream.catalogLoaded(whole, credentials: credentials, now: .now())
            completion(.success(whole.catalog))
        }
    }

    private func fail(_ failure: MCPCallError) {
        caller.upstream.catalogFailed(now: .now())
        completion(.failure(failure))
    }
}
