import HTTPServer
import NIOCore
import NIOHTTP1

/// Routes of one worker, shared by its connections. Confined to the worker's event loop.
final class GatewayHandler: HTTPRequestHandler {
    let worker: Worker
    private var routes: Routes
    private var endpoints: [MCPEndpointService] = []

    /// A snapshot with the objects that a worker has made of it.
    private struct Routes {
        let snapshot: GatewaySnapshot
        /// Load balancers in the order of the snapshot's upstreams.
        let upstreams: [LoadBalancer]
        let chat: ChatRoutes

        init(_ snapshot: GatewaySnapshot, previous: Routes?, worker: Worker) {
            self.snapshot = snapshot
            let balancers = snapshot.upstreams.map { upstream in
                if let known = previous?.upstreams.first(where: { $0.upstream === upstream }) { return known }
                let endpoints = upstream.servers.indices.map {
                    upstream.makeEndpoint(server: $0, engine: worker.engine, eventLoop: worker.eventLoop)
                }
                return LoadBalancer(
                    upstream, endpoints: endpoints, eventLoop: worker.eventLoop,
                    workers: snapshot.configuration.workers, engine: worker.engine)
            }
            upstreams = balancers
            if let caller = snapshot.configuration.caller {
                let names = Set(balancers.flatMap { $0.upstream.tools.values.flatMap(\.callerFacts) })
                let known = previous?.upstreams.lazy.compactMap(\.callers).first { directory in
                    directory.configuration == caller && directory.names == names
                        && balancers.contains { $0 === directory.balancer }
                }
                let asked = balancers.first { $0.upstream.name == caller.upstream }
                let directory = known ?? asked.map { CallerDirectory(caller, $0, names: names) }
                for balancer in balancers where balancer.upstream.tools.values.contains(where: \.needsCaller) {
                    balancer.callers = directory
                }
            }
            chat = ChatRoutes(
                snapshot.configuration.chat, types: snapshot.types, upstreams: upstreams, settings: snapshot.settings,
                questions: snapshot.questions, workers: snapshot.configuration.workers, worker: worker,
                previous: previous?.chat)
        }
    }

    init(_ worker: Worker, _ snapshot: GatewaySnapshot) {
        self.worker = worker
        routes = Routes(snapshot, previous: nil, worker: worker)
    }

    /// Puts a configuration with its MCP endpoints in force for the requests that come from now on.
    func install(_ snapshot: GatewaySnapshot, _ endpoints: [MCPEndpointService]) {
        if snapshot !== routes.snapshot { routes = Routes(snapshot, previous: routes, worker: worker) }
        self.endpoints = endpoints
    }

    /// Returns the load balancer of an upstream; a new one when a reload has removed the upstream.
    func balancer(of upstream: Upstream) -> LoadBalancer {
        routes.upstreams.first { $0.upstream === upstream }
            ?? LoadBalancer(
                upstream,
                endpoints: upstream.servers.indices.map {
                    upstream.makeEndpoint(server: $0, engine: worker.engine, eventLoop: worker.eventLoop)
                }, eventLoop: worker.eventLoop, workers: routes.snapshot.configuration.workers)
    }

    /// Checks arguments against the upstreams' present tools from now on.
    func takeCatalogs() { routes.chat.takeCatalogs() }

    /// Returns the endpoint of a server; a new one when a reload has removed the upstream.
    func endpoint(of upstream: Upstream, server: Int) -> any Endpoint {
        if let balancer = routes.upstreams.first(where: { $0.upstream === upstream }) {
            return balancer.endpoints[server]
        }
        return upstream.makeEndpoint(server: server, engine: worker.engine, eventLoop: worker.eventLoop)
    }

    func handle(_ exchange: HTTPExchange) {
        let snapshot = routes.snapshot
        let settings = snapshot.settings
        let facts = RequestHeaders(exchange.head.headers, settings.rules)
        let path = exchange.path
        if path == "/api/chat/" || path == "/api/chat" {
            ChatRequest(exchange, worker, settings, facts, chat: routes.chat).start()
        } else if let endpoint = endpoints.first(where: { $0.configuration.serves(path) }) {
            MCPEndpointRequest(
                exchange, worker, settings, facts, service: endpoint, limitedTools: routes.chat.limitedTools
            ).start()
        } else if let prefix = PassThroughPath.prefix(of: path) {
            PassThroughRequest(
                exchange, worker, settings, facts, prefix: prefix, target: snapshot.passThrough,
                limitedTools: routes.chat.limitedTools
            ).start()
        } else if path == "/openapi.json", exchange.head.method == .GET || exchange.head.method == .HEAD {
            OpenAPIRequest(exchange, worker, settings, facts, chat: routes.chat).start()
        } else if snapshot.configuration.page, PageRequest.owns(path) {
            PageRequest(exchange, worker, settings, facts, document: snapshot.pageDocument).start()
        } else {
            GatewayRequest(exchange, worker, settings, facts).start()
        }
    }

    func reject(_ failure: HTTPError, _ exchange: HTTPExchange) {
        let settings = routes.snapshot.settings
        let facts = RequestHeaders(exchange.head.headers, settings.rules)
        GatewayRequest(exchange, worker, settings, facts).respond(GatewayError(failure))
    }
}
