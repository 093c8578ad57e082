import HTTPServer
import HTTPSyntax
import MCPAggregator
import MCPServer
import MCPServerHTTP
import NIOCore
import NIOHTTP1

/// A request to an MCP endpoint that the gateway serves itself.
final class MCPEndpointRequest: GatewayRequest {
    private let service: MCPEndpointService
    private let limitedTools: LimitedTools
    /// True once a request that is served without a task has come to its end, or needs a task after all.
    private var isEnded = false

    init(
        _ exchange: HTTPExchange, _ worker: Worker, _ settings: RequestSettings, _ facts: RequestHeaders,
        service: MCPEndpointService, limitedTools: LimitedTools
    ) {
        self.service = service
        self.limitedTools = limitedTools
        super.init(exchange, worker, settings, facts)
    }

    override var route: String { "mcp" }

    override var policy: RoutePolicy { Self.policy }
    private static let policy = RoutePolicy(methods: nil, sharedMethods: "GET, POST, DELETE", isLimited: true)

    override func serve() {
        guard exchange.head.method == .POST else { return answer(ByteBuffer()) }
        receiveBody(upTo: settings.limits.body) { [self] body in
            guard settings.limiter != nil else { return answer(body) }
            withinLimits(calls(in: body)) { [self] in answer(body) }
        }
    }

    /// Returns the messages of a batch, and the calls of types' tools, for their limits.
    private func calls(in body: ByteBuffer) -> RateLimiter.Calls {
        let toolsInPath = service.tools(inPath: exchange.path)
        let finding = body.withUnsafeReadableBytes { ToolCallInspection.look($0, isEndpoint: toolsInPath.isEmpty) }
        let requests = finding?.requests ?? []
        let calls = toolsInPath.isEmpty ? requests.map(\.tools) : [toolsInPath]
        let types = limitedTools.types(ofCalls: calls.map { $0.flatMap(service.tools(named:)) })
        return .messages(max(1, requests.count), types: types)
    }

    private func answer(_ body: ByteBuffer) {
        let (caller, principal) = service.caller(of: self)
        if exchange.head.method == .POST, service.isEndpoint(exchange.path), let fields = directFields,
            serveDirectly(body, fields, caller, principal)
        {
            return
        }
        serve(body, MCPEndpointService.Asker(principal: principal, attachment: caller))
    }

    /// Serves a request in a task.
    private func serve(_ body: ByteBuffer, _ asker: MCPEndpointService.Asker) {
        let headers = headers(capacity: 10)
        let executor = worker.executor
        exchange.serve(body: body, on: executor) { [service] request, responder in
            let response = await service.respond(request, on: executor, asker)
            await MCPHTTPEndpoint.send(response, responder, adding: headers)
        }
    }

    // MARK: Without a task

    /// Serves a request without a task, where that is possible; false: nothing was done.
    private func serveDirectly(
        _ body: ByteBuffer, _ fields: DirectFields, _ caller: EndpointCaller, _ principal: Principal?
    ) -> Bool {
        let eventLoop = worker.eventLoop
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let onEnd = { @Sendable (end: DirectEnd) in
            if eventLoop.inEventLoop { return bound.value.end(end, body, principal) }
            eventLoop.execute { bound.value.end(end, body, principal) }
        }
        let direct = body.withUnsafeReadableBytes { bytes in
            service.streamable.serveDirectly(
                bytes, fields, principal: principal, attachment: caller, executor: worker.executor,
                reservation: exchange.reservation, onEnd: onEnd)
        }
        guard let direct else { return false }
        if !isEnded { exchange.onDisconnect = { direct.clientLeft() } }
        return true
    }

    private func end(_ end: DirectEnd, _ body: ByteBuffer, _ principal: Principal?) {
        isEnded = true
        switch end {
        case .response(let document):
            var headers = headers()
            headers.add(name: "Content-Type", value: "application/json")
            exchange.respond(status: .ok, headers: headers, body: ByteBuffer(bytes: document))
        case .other(let call, let started):
            serve(body, MCPEndpointService.Asker(principal: principal, attachment: call, started: started))
        }
    }

    /// The header fields that decide about the request; nil where one of them comes twice.
    private var directFields: DirectFields? {
        var fields = DirectFields()
        var areSingle = true
        func note(_ field: inout String?, _ value: String) {
            areSingle = areSingle && field == nil
            field = value
        }
        for (name, value) in exchange.head.headers {
            switch name.utf8.count {
            case 6 where HTTPSyntax.name(name, is: "accept"): note(&fields.accept, value)
            case 8 where HTTPSyntax.name(name, is: "mcp-name"): note(&fields.name, value)
            case 10 where HTTPSyntax.name(name, is: "mcp-method"): note(&fields.method, value)
            case 11 where HTTPSyntax.name(name, is: "traceparent"): note(&fields.traceparent, value)
            case 14 where HTTPSyntax.name(name, is: "mcp-session-id"): note(&fields.sessionID, value)
            case 20 where HTTPSyntax.name(name, is: "mcp-protocol-version"): note(&fields.protocolVersion, value)
            default: continue
            }
        }
        return areSingle ? fields : nil
    }
}
