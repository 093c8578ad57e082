import HTTPServer
import NIOHTTP1

/// The routes. One for each shard, shared by its connections.
final class GatewayHandler: HTTPRequestHandler {
    // Unowned: the shard keeps this handler, and lives as long as the process serves.
    private unowned let shard: Shard

    init(_ shard: Shard) {
        self.shard = shard
    }

    func handle(_ exchange: HTTPExchange) {
        let view = shard.view
        let facts = RequestFacts(exchange.head.headers, view.snapshot.rules)
        let path = exchange.path
        if path == "/api/chat/" || path == "/api/chat" {
            ChatExchange(exchange, shard, view, facts).start()
        } else if let prefix = PassThroughPath.prefix(of: path) {
            PassThroughExchange(exchange, shard, view, facts, prefix: prefix).start()
        } else if path == "/openapi.json", exchange.head.method == .GET || exchange.head.method == .HEAD {
            OpenAPIExchange(exchange, shard, view, facts).start()
        } else if view.snapshot.configuration.page, PageExchange.owns(path) {
            PageExchange(exchange, shard, view, facts).start()
        } else {
            GatewayExchange(exchange, shard, view, facts).respond(GatewayError(.notFound))
        }
    }

    func reject(_ failure: HTTPFailure, _ exchange: HTTPExchange) {
        let view = shard.view
        let facts = RequestFacts(exchange.head.headers, view.snapshot.rules)
        GatewayExchange(exchange, shard, view, facts).respond(GatewayError(failure))
    }
}
