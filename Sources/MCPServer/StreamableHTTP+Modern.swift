import JSON
import MCP

/// 2026-07-28: requests are independent of each other; closing its stream cancels a request.
extension StreamableHTTP {
    func modern(_ call: JSONRPCRequest, _ request: MCPHTTPRequest) async -> MCPHTTPResponse {
        let form = Self.form(of: request.headers)
        let exchange = PostResponder(session: nil, store: pools[request.principal?.id].store, form: form) { _ in }
        let context: ToolContext
        do throws(JSONRPCError) {
            try Self.checkVersion(call, request.headers)
            let metadata = try server.metadata(of: call)
            try Self.checkMirrors(call, request.headers)
            try server.checkMethod(call, in: .latestModern)
            if call.method == MCPMethod.toolsCall,
                let mismatch = server.mirrorMismatch(call, request.headers, principal: request.principal)
            {
                throw JSONRPCError.headerMismatch("Header mismatch: " + mismatch)
            }
            if let refused = refused(call, request) { return refused }
            if call.method == MCPMethod.subscriptionsListen { return try openSubscription(call, form) }
            context = try server.context(
                of: call, metadata: metadata, principal: request.principal, attachment: request.attachment,
                traceparent: request.headers[MCPMeta.traceparent], channel: exchange, executor: request.executor)
        } catch {
            return .error(error, id: call.id, status: Self.status(of: error, default: 400))
        }
        guard server.mayRunLong(call.method) else {
            let (document, status) = await answer(call, context)
            return Self.deliver(document ?? [], form, status: status)
        }
        let token = exchanges.add(exchange, started: request.started ?? clock.now)
        return await exchange.response {
            // Runs on this thread until it suspends: a call that never suspends needs no switch of threads.
            let task = Task.immediate(executorPreference: request.executor) {
                let (document, status) = await self.answer(call, context)
                self.exchanges.remove(token)
                exchange.finish(document, cancelled: Self.cancelled(call.id), status: status)
                withExtendedLifetime(request.reservation) {}
            }
            return [task]
        }
    }

    private func answer(_ call: JSONRPCRequest, _ context: ToolContext) async -> ([UInt8]?, Int) {
        switch await server.answer(call, context) {
        case .result(let response): (response, 200)
        case .error(let error): (Envelope.error(call.id, error), Self.status(of: error, default: 200))
        case .cancelled: (nil, 200)
        }
    }

    static func cancelled(_ id: RequestID) -> [UInt8] { Envelope.error(id, .requestCancelled) }

    /// Returns the status that the revision prescribes for an error; `other` for errors without one.
    static func status(of error: JSONRPCError, default other: Int) -> Int {
        switch error.knownCode {
        case .methodNotFound: 404
        case .headerMismatch, .missingClientCapability, .unsupportedVersion: 400
        default: other
        }
    }

    private static func checkVersion(_ call: JSONRPCRequest, _ headers: MCPHTTPHeaders) throws(JSONRPCError) {
        let field = headers.single(MCPHeader.protocolVersion).value
        guard let declared = call.meta[MCPMeta.protocolVersion] else {
            // Without metadata only the header shows that the revision is not supported here.
            if let header = field.flatMap(MCPHeader.decodeValue), MCPVersion(rawValue: header)?.era != .modern,
                isModern(header)
            {
                throw .unsupportedVersion(requested: header, supported: MCPServer.supportedVersions)
            }
            throw .invalidParams("Missing _meta[\"\(MCPMeta.protocolVersion)\"]")
        }
        guard let version = declared.string else {
            throw .invalidParams("_meta[\"\(MCPMeta.protocolVersion)\"]: expected a string")
        }
        guard let header = field.flatMap(MCPHeader.decodeValue) else {
            throw .headerMismatch("Header mismatch: \(MCPHeader.protocolVersion) is missing or malformed")
        }
        guard header == version else {
            throw .headerMismatch("Header mismatch: \(MCPHeader.protocolVersion) does not match _meta")
        }
    }

    private static func checkMirrors(_ call: JSONRPCRequest, _ headers: MCPHTTPHeaders) throws(JSONRPCError) {
        try check(MCPHeader.method, is: call.method, headers)
        guard let key = MCPMethod.nameParameter(of: call.method), let name = call.params?[key]?.string else { return }
        try check(MCPHeader.name, is: name, headers)
    }

    private static func check(
        _ header: String, is value: String, _ headers: MCPHTTPHeaders
    ) throws(JSONRPCError) {
        guard let field = headers.single(header).value, let text = MCPHeader.decodeValue(field) else {
            throw .headerMismatch("Header mismatch: \(header) is missing or malformed")
        }
        guard text == value else { throw .headerMismatch("Header mismatch: \(header) does not match the body") }
    }

    private func openSubscription(_ call: JSONRPCRequest, _ form: PostResponder.Form) throws(JSONRPCError)
        -> MCPHTTPResponse
    {
        let filter = try SubscriptionFilter.requested(by: call, served: server.capabilities)
        if let forwarder = server.forwarder, !filter.resourceSubscriptions.isEmpty {
            Task { await forwarder.watch(filter.resourceSubscriptions) }
        }
        guard form.acceptsStream else {
            throw .invalidRequest("subscriptions/listen needs Accept: text/event-stream")
        }
        let connection = MCPResponseStream(memory: server.configuration.memory)
        let token = subscriptions.open(
            call.id, filter, send: { connection.push(SSEWriter.event(data: $0, event: "message")) },
            close: { connection.close() })
        let exchange = exchanges.add(ListeningResponse(connection), started: clock.now)
        connection.whenAbandoned { [subscriptions, exchanges] in
            subscriptions.remove(token)
            exchanges.remove(exchange)
        }
        return .eventStream(connection)
    }
}

/// The stream of `subscriptions/listen`, which streams from its beginning.
private final class ListeningResponse: OpenResponse {
    private let connection: MCPResponseStream

    init(_ connection: MCPResponseStream) { self.connection = connection }

    func promote() {}

    func keepAlive() { connection.push(SSEWriter.comment("keep-alive")) }
}
