import HTTPSyntax
import JSON
import MCP
package import ProcessMemory
import Synchronization

/// The header fields that decide about a request, of one that has each of them at most once.
package struct DirectFields: Sendable {
    /// `Accept`
    package var accept: String?
    /// `MCP-Protocol-Version`
    package var protocolVersion: String?
    /// `Mcp-Method`
    package var method: String?
    /// `Mcp-Name`
    package var name: String?
    /// `Mcp-Session-Id`
    package var sessionID: String?
    /// `traceparent`, of a caller whose trace is continued.
    package var traceparent: String?

    /// Fields of a request that has none of them.
    package init() {}
}

/// End of a request that was served without a task.
package enum DirectEnd: Sendable {
    /// The JSON document of the response, whose status is 200.
    case response([UInt8])
    /// More comes than a result: ``StreamableHTTP/handle(_:foreignBody:)`` serves the same request to its end, with this as
    /// its attachment, begun at that time.
    case other(any BegunCall, started: ContinuousClock.Instant)
}

extension StreamableHTTP {
    /// Serves a request without a task, where nothing has to be waited for but the result of a call, and nothing is wrong
    /// with it. Every other request is one for ``handle(_:foreignBody:)``, as is this one if more comes than a result.
    ///
    /// - Parameters:
    ///   - reservation: Memory that the body has drawn, kept until the end.
    ///   - onEnd: Takes the end, once, on any thread, perhaps before this returns; not called once the client has left.
    /// - Returns: The request under way; nil: nothing was done.
    package func serveDirectly(
        _ body: UnsafeRawBufferPointer, _ fields: DirectFields, principal: Principal?, attachment: (any Sendable)?,
        executor: (any TaskExecutor)?, reservation: MemoryReservation?,
        onEnd: @escaping @Sendable (DirectEnd) -> Void
    ) -> DirectExchange? {
        guard let forwarder = server.forwarder, let metas, fields.accept == nil || fields.accept == AcceptField.both,
            let request = DirectRequest(body, metas)
        else { return nil }
        let (session, version): (Session?, MCPVersion)
        if RequestMetadata.isModern(request.meta) {
            guard Self.agree(request, fields) else { return nil }
            (session, version) = (nil, .latestModern)
        } else {
            guard let found = legacySession(fields, principal) else { return nil }
            (session, version) = found
        }
        guard forwarder.capabilities.tools != nil else { return nil }
        let context = ToolContext(
            principal: principal, attachment: attachment, requestID: request.id, version: version, meta: request.meta,
            traceparent: fields.traceparent,
            clientFeatures: session?.facts.features
                ?? request.metadata.map { ClientFeatures($0.clientCapabilities.declared) } ?? [],
            logger: server.logger, logLevel: session == nil ? request.metadata?.logLevel : session?.logLevel ?? .info,
            executor: executor)
        let exchange = DirectExchange(self, request, session, version, reservation, onEnd)
        if request.method == MCPMethod.toolsList {
            guard let result = forwarder.resultAtHand(of: request, context: context) else { return nil }
            exchange.answer(result)
            return exchange
        }
        return exchange.begin(forwarder, context) ? exchange : nil
    }

    /// Returns whether the headers of a request of 2026-07-28 are there and say what its body says.
    private static func agree(_ request: DirectRequest, _ fields: DirectFields) -> Bool {
        guard let metadata = request.metadata, metadata.protocolVersion == MCPVersion.latestModern.rawValue,
            fields.protocolVersion == metadata.protocolVersion, fields.method == request.method
        else { return false }
        return request.method == MCPMethod.toolsList || fields.name == request.name
    }

    /// Returns the session of a legacy request, and its revision.
    private func legacySession(_ fields: DirectFields, _ principal: Principal?) -> (Session, MCPVersion)? {
        guard let id = fields.sessionID, let session = find(id, principal) else { return nil }
        guard let text = fields.protocolVersion else { return (session, session.facts.version) }
        guard let version = MCPVersion(rawValue: text), version.era == .legacy else { return nil }
        return (session, version)
    }
}

/// A request that is served without a task, until it ends or turns out to need one.
package final class DirectExchange: OpenResponse {
    private struct State {
        var call: (any BegunCall)?
        /// Nil once the end has been taken, or the client has left.
        var onEnd: (@Sendable (DirectEnd) -> Void)?
        /// True if something else than the result came first while the call was still being begun.
        var isEarly = false
        /// True if the client cancelled the request while it was still being begun.
        var isCancelled = false
        /// Token of the session's list of requests.
        var token: UInt64 = 0
        /// Token of the list of open responses.
        var place: UInt64?
    }

    private let streamable: StreamableHTTP
    private let request: DirectRequest
    private let session: Session?
    private let version: MCPVersion
    private let reservation: MemoryReservation?
    private let started: ContinuousClock.Instant
    private let state: Mutex<State>

    fileprivate init(
        _ streamable: StreamableHTTP, _ request: DirectRequest, _ session: Session?, _ version: MCPVersion,
        _ reservation: MemoryReservation?, _ onEnd: @escaping @Sendable (DirectEnd) -> Void
    ) {
        self.streamable = streamable
        self.request = request
        self.session = session
        self.version = version
        self.reservation = reservation
        started = streamable.clock.now
        state = Mutex(State(onEnd: onEnd))
    }

    /// Begins the call. False: nothing has begun.
    fileprivate func begin(_ forwarder: any RequestForwarder, _ context: ToolContext) -> Bool {
        if let session {
            guard let token = try? session.begin(request.id, cancel: { [weak self] in self?.cancel() }) else {
                return false
            }
            state.withLock { $0.token = token }
        }
        guard let call = forwarder.begin(request, context: context, onFirst: { [self] in take($0) }) else {
            release()
            return false
        }
        let (isEarly, isCancelled) = state.withLock { state in
            state.call = call
            return (state.isEarly, state.isCancelled)
        }
        if isCancelled { call.cancel() }
        // A result may be there already.
        if isEarly {
            goOn(call)
        } else if state.withLock({ $0.onEnd != nil }) {
            let place = streamable.exchanges.add(self, started: started)
            let isOver = state.withLock { state in
                state.place = place
                return state.onEnd == nil
            }
            if isOver { streamable.exchanges.remove(place) }
        }
        return true
    }

    private func take(_ first: FirstOfCall) {
        switch first {
        case .result(let result): answer(result)
        case .cancelled: end { .response(StreamableHTTP.cancelled(request.id)) }
        case .other:
            let call = state.withLock { state in
                state.isEarly = state.call == nil
                return state.call
            }
            if let call { goOn(call) }
        }
    }

    fileprivate func answer(_ result: JSONObjectText) {
        let complete = MCPResult.complete(result, for: version, meta: streamable.server.resultMeta)
        end { .response(Envelope.result(request.id, complete)) }
    }

    /// Leaves the rest to a task.
    private func goOn(_ call: any BegunCall) { end { .other(call, started: started) } }

    private func end(_ end: () -> DirectEnd) {
        // The id is released before the client gets the answer.
        release()
        state.withLock { $0.onEnd.take() }?(end())
    }

    private func release() {
        let (token, place) = state.withLock { state in
            defer { state.place = nil }
            return (state.token, state.place)
        }
        if let place { streamable.exchanges.remove(place) }
        session?.finish(request.id, token)
    }

    private func cancel() {
        let call = state.withLock { state in
            state.isCancelled = true
            return state.call
        }
        call?.cancel()
    }

    /// Notes that the client has left: this cancels the request in 2026-07-28, and nothing in the legacy revisions.
    package func clientLeft() {
        guard session == nil else { return }
        state.withLock { $0.onEnd = nil }
        cancel()
    }

    // MARK: Long calls

    func promote() {
        guard let call = state.withLock({ $0.onEnd == nil ? nil : $0.call }), call.leaveFirst() else { return }
        goOn(call)
    }

    func keepAlive() {}
}
