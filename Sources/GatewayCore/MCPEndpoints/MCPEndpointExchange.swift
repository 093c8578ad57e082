import HTTPServer
import MCPAggregator
import MCPServer
import MCPServerHTTP
import NIOCore
import NIOHTTP1

/// A request to an MCP endpoint that the gateway serves itself.
final class MCPEndpointExchange: GatewayExchange {
    private let service: MCPEndpointService

    init(
        _ exchange: HTTPExchange, _ worker: Worker, _ settings: RequestSettings, _ facts: RequestFacts,
        service: MCPEndpointService
    ) {
        self.service = service
        super.init(exchange, worker, settings, facts)
    }

    override var route: String { "mcp" }

    override var policy: RoutePolicy { Self.policy }
    private static let policy = RoutePolicy(methods: nil, sharedMethods: "GET, POST, DELETE", isLimited: true)

    override func serve() {
        guard exchange.head.method == .POST else { return answer(ByteBuffer()) }
        receiveBody(upTo: settings.limits.body) { [self] body in answer(body) }
    }

    private func answer(_ body: ByteBuffer) {
        let (caller, principal) = service.caller(of: self)
        let headers = headers(capacity: 10)
        exchange.serve(body: body) { [service] request, responder in
            let response = await service.respond(request, caller: caller, principal: principal)
            await MCPHTTPEndpoint.send(response, responder, adding: headers)
        }
    }
}
