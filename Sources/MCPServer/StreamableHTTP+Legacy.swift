import HTTPSyntax
import JSON
import MCP
import ProcessMemory

/// Revisions with a handshake: sessions, streams that outlive their connections, GET and DELETE.
extension StreamableHTTP {
    func initialize(_ call: JSONRPCRequest, _ request: MCPHTTPRequest) -> MCPHTTPResponse {
        do {
            // A session id on `initialize` is an old one: the client starts anew, as it must after 404.
            let (result, version, features) = try server.initialize(call)
            let facts = SessionMetadata(version: version, features: features, owner: request.principal?.id)
            guard let session = newSession(facts) else { return Self.noRoom(id: call.id) }
            let response = Self.deliver(Envelope.result(call.id, result), Self.form(of: request.headers))
            return response.adding((MCPHeader.sessionID, session.id))
        } catch {
            return Self.deliver(Envelope.error(call.id, error), Self.form(of: request.headers))
        }
    }

    /// Returns the session that a request names, and its revision; or the refusal.
    private func resolve(
        _ request: MCPHTTPRequest, id: RequestID?
    ) async -> Result<(session: Session, version: MCPVersion), ErrorResponse> {
        guard let sessionID = request.headers.single(MCPHeader.sessionID).value else {
            return .failure(.init(.error(.invalidRequest("Bad Request: Missing session ID"), id: id, status: 400)))
        }
        let session: Session
        switch await self.session(sessionID, principal: request.principal) {
        case .found(let known): session = known
        case .unknown: return .failure(.init(.error(.invalidRequest("Session not found"), id: id, status: 404)))
        case .noRoom: return .failure(.init(Self.noRoom(id: id)))
        }
        let field = request.headers.single(MCPHeader.protocolVersion)
        if field.count == 0 { return .success((session, session.facts.version)) }
        guard let text = field.value.flatMap(MCPHeader.decodeValue), let version = MCPVersion(rawValue: text),
            version.era == .legacy
        else {
            let error = JSONRPCError.invalidRequest("Bad Request: Unsupported protocol version")
            return .failure(.init(.error(error, id: id, status: 400)))
        }
        return .success((session, version))
    }

    /// Returns the response to a caller for whose session there is no room, because all that could be ended are busy.
    static func noRoom(id: RequestID?) -> MCPHTTPResponse {
        .error(
            .internalError("Server overloaded: every session has a call under way"), id: id, status: 503,
            headers: [("Retry-After", "2")])
    }

    private struct ErrorResponse: Error {
        let response: MCPHTTPResponse
        init(_ response: MCPHTTPResponse) { self.response = response }
    }

    func legacy(_ message: JSONRPCMessage, _ request: MCPHTTPRequest) async -> MCPHTTPResponse {
        var id: RequestID?
        if case .request(let call) = message { id = call.id }
        switch await resolve(request, id: id) {
        case .failure(let refusal):
            return refusal.response
        case .success(let (session, version)):
            switch message {
            case .request(let call):
                if let refused = refused(call, request) { return refused }
                return await run([.success(call)], isBatch: false, request, session, version)
            case .notification(let notification):
                server.note(notification, session: session)
                return .accepted()
            case .response(let response):
                session.settle(response)
                return .accepted()
            }
        }
    }

    /// Answers a batch, an array body: only in 2025-03-26.
    func batch(_ elements: [JSONRPCBody.Element], _ request: MCPHTTPRequest) async -> MCPHTTPResponse {
        if Self.isModern(request.headers[MCPHeader.protocolVersion]) {
            return .error(.invalidRequest("Batches are not part of this revision"), status: 400)
        }
        switch await resolve(request, id: nil) {
        case .failure(let refusal):
            return refusal.response
        case .success(let (session, version)):
            guard version.hasBatches else {
                return .error(.invalidRequest("Batches are not part of this revision"), status: 400)
            }
            guard !elements.isEmpty, elements.count <= configuration.batchLimit else {
                return .error(
                    .invalidRequest("A batch has 1 to \(configuration.batchLimit) messages"), status: 400)
            }
            var calls: [Result<JSONRPCRequest, BadElement>] = []
            for element in elements {
                do throws(JSONRPCError) {
                    switch try JSONRPCMessage(element) {
                    case .request(let call):
                        guard !RequestMetadata.isModern(call.meta), call.method != MCPMethod.initialize else {
                            throw JSONRPCError.invalidRequest("Not allowed in a batch: \(call.method)")
                        }
                        calls.append(.success(call))
                    case .notification(let notification): server.note(notification, session: session)
                    case .response(let response): session.settle(response)
                    }
                } catch {
                    calls.append(.failure(BadElement(id: JSONRPCMessage.requestID(of: element.value), error: error)))
                }
            }
            if calls.isEmpty { return .accepted() }
            return await run(calls, isBatch: true, request, session, version)
        }
    }

    private struct BadElement: Error {
        let id: RequestID?
        let error: JSONRPCError
    }

    private func run(
        _ calls: [Result<JSONRPCRequest, BadElement>], isBatch: Bool, _ request: MCPHTTPRequest, _ session: Session,
        _ version: MCPVersion
    ) async -> MCPHTTPResponse {
        let form = Self.form(
            of: request.headers, priming: version.hasPrimingEvents ? configuration.retryMilliseconds : nil)
        let pool = pools[session.facts.owner]
        let exchange = PostResponder(
            session: session, store: pool.store, form: form, requests: calls.count, isBatch: isBatch
        ) { [clock] stream in
            pool.lingering.add(stream, of: session, now: clock.now)
        }
        let traceparent = request.headers[MCPMeta.traceparent]
        let token = exchanges.add(exchange, started: request.started ?? clock.now)
        exchange.whenOver { [exchanges] in exchanges.remove(token) }
        return await exchange.response {
            calls.compactMap { call in
                switch call {
                case .success(let call):
                    let context = server.context(
                        of: call, version: version, session: session, principal: request.principal,
                        attachment: request.attachment, traceparent: traceparent, channel: exchange,
                        executor: request.executor)
                    return launch(call, context, session, exchange, request)
                case .failure(let bad):
                    exchange.finish(Envelope.error(bad.id, bad.error), cancelled: [])
                    return nil
                }
            }
        }
    }

    /// Starts a request in a task of its own: it outlives the connection on which it came.
    private func launch(
        _ call: JSONRPCRequest, _ context: ToolContext, _ session: Session, _ exchange: PostResponder,
        _ request: MCPHTTPRequest
    ) -> Task<Void, Never>? {
        let handle = CancellationHandle()
        let token: UInt64
        do {
            token = try session.begin(call.id) { handle.cancel() }
        } catch {
            let text = error == .duplicate ? "Request id is already in use" : "Session not found"
            let status = error == .duplicate ? 400 : 404
            exchange.finish(Envelope.error(call.id, .invalidRequest(text)), cancelled: [], status: status)
            return nil
        }
        // Runs on this thread until it suspends: a call that never suspends needs no switch of threads.
        let task = Task.immediate(executorPreference: request.executor) {
            let document: [UInt8]? =
                switch await server.answer(call, context) {
                case .result(let response): response
                case .error(let error): Envelope.error(call.id, error)
                case .cancelled: nil
                }
            // The id is released before the client gets the answer.
            session.finish(call.id, token)
            exchange.finish(document, cancelled: Self.cancelled(call.id))
            withExtendedLifetime(request.reservation) {}
        }
        handle.bind([task])
        return task
    }

    // MARK: GET and DELETE

    func listen(_ request: MCPHTTPRequest) async -> MCPHTTPResponse {
        if Self.isModern(request.headers[MCPHeader.protocolVersion]) {
            return .error(.invalidRequest("Method Not Allowed"), status: 405, headers: [("Allow", "POST")])
        }
        guard AcceptField.accepts("text/event-stream", in: request.headers.all("Accept")) else {
            return .error(.invalidRequest("Not Acceptable: GET needs Accept: text/event-stream"), status: 406)
        }
        switch await resolve(request, id: nil) {
        case .failure(let refusal):
            return refusal.response
        case .success(let (session, version)):
            let connection = MCPResponseStream(memory: server.configuration.memory)
            if let last = request.headers[MCPHeader.lastEventID] {
                guard let event = EventID(last), let stream = session.stream(event.stream) else {
                    return .error(.invalidRequest("Unknown event id"), status: 400)
                }
                attach(connection, to: stream)
                stream.connect(connection, after: event.number)
            } else {
                guard let stream = session.openStream(store: pools[session.facts.owner].store, listening: true) else {
                    return .error(.invalidRequest("Session not found"), status: 404)
                }
                attach(connection, to: stream)
                stream.connect(
                    connection, priming: version.hasPrimingEvents ? configuration.retryMilliseconds : nil)
                if !version.hasPrimingEvents { connection.push(SSEWriter.comment("keep-alive")) }
            }
            return .eventStream(connection)
        }
    }

    private func attach(_ connection: MCPResponseStream, to stream: EventStream) {
        connection.whenAbandoned { [weak connection] in
            if let connection { stream.disconnected(connection) }
        }
    }

    func delete(_ request: MCPHTTPRequest) async -> MCPHTTPResponse {
        if Self.isModern(request.headers[MCPHeader.protocolVersion]) {
            return .error(.invalidRequest("Method Not Allowed"), status: 405, headers: [("Allow", "POST")])
        }
        switch await resolve(request, id: nil) {
        case .failure(let refusal):
            return refusal.response
        case .success(let (session, _)):
            end(session)
            return .whole(status: 204, headers: [], body: [])
        }
    }
}

extension MCPHTTPResponse {
    func adding(_ header: (String, String)) -> MCPHTTPResponse {
        switch self {
        case .whole(let status, let headers, let body): .whole(status: status, headers: headers + [header], body: body)
        case .stream(let status, let headers, let body):
            .stream(status: status, headers: headers + [header], body: body)
        }
    }
}
