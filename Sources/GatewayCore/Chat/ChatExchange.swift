import HTTPServer
import JSON
import MCPClient
import NIOCore
import NIOHTTP1

/// One `POST /api/chat/`: payload in, tool call, reply out.
final class ChatExchange: GatewayExchange {
    var chatType: ChatType?
    var handle: Handle?
    var isAnswered = false
    /// The answer is the old backend's own.
    var isRelayed = false
    /// Present once an event stream has been started.
    private var events: ChatEventStream?

    /// What is under way.
    enum Handle {
        case tool(UpstreamGate<MCPCaller>.Handle)
        case backend(UpstreamGate<ChatBackendCaller>.Handle)
    }

    override var type: ChatType? { chatType }
    override var route: String { "chat" }
    override func outcome(_ status: Int) -> String {
        isRelayed && status >= 400 && status != 499 ? "backend_error" : super.outcome(status)
    }
    override var isShared: Bool { true }

    func start() {
        guard exchange.head.method == .POST else {
            if answersPreflight("POST") { return }
            return respond(GatewayError(.methodNotAllowed))
        }
        if facts.hasCookie, isForeign { return respond(GatewayError(.forbiddenOrigin)) }
        if let refusal = rateRefusal() { return respond(refusal) }
        exchange.collectBody(upTo: view.snapshot.configuration.limits.body) { [self] body in
            switch body {
            case .success(let body): if admit() { translate(body) }
            case .failure(.disconnected): break
            case .failure(let failure): respond(GatewayError(failure))
            }
        }
    }

    private func translate(_ body: ByteBuffer) {
        if view.snapshot.isRouted { return route(body) }
        switch view.translator.translate(body) {
        case .success(let call):
            chatType = call.type
            if let refusal = refusal(of: call.type) { return respond(refusal) }
            check(call)
        case .failure(let error):
            respond(error)
        }
    }

    func check(_ call: ChatTranslator.Call) {
        if let error = view.violation(of: call) { return respond(error) }
        self.call(call)
    }

    func cancel() {
        switch handle {
        case .tool(let handle): handle.cancel()
        case .backend(let handle): handle.cancel()
        case nil: break
        }
    }

    /// Why a request of that type is not served at all, however its type is answered.
    func refusal(of type: ChatType) -> GatewayError? {
        rateRefusal(of: type) ?? accessRefusal(to: type)
    }

    /// Presence is all that the gateway can tell; the tool-server checks the credential itself.
    private func accessRefusal(to type: ChatType) -> GatewayError? {
        guard type.configuration.access == .authenticated, facts.isAnonymous else { return nil }
        var error = GatewayError(.unauthorized, text: "Not authenticated")
        error.challenges = ["Bearer"]
        return error
    }

    private func call(_ call: ChatTranslator.Call) {
        let type = call.type
        beginUpstream(view.snapshot.upstreams[type.upstream].name)
        var request = MCPToolCall(
            tool: type.tool, arguments: call.arguments, credentials: facts.credentials(&shard.partitions),
            deadline: exchange.start + type.timeout, traceparent: outgoingTraceparent)
        if facts.wantsEventStream {
            let events = ChatEventStream(exchange, keepAlive: view.snapshot.configuration.limits.keepAlive)
            events.onOverflow = { [self] in cancel() }
            self.events = events
            request.onProgress = { events.send($0) }
            // Who sees the answer grow waits for its end as long as it grows.
            request.deadline = exchange.start + type.streamTimeout
            request.idleTimeout = type.timeout
        }
        exchange.onDisconnect = { [self] in
            cancel()
            events?.stop()
        }
        // The stream's head goes out only when the call is under way: errors known before keep their status.
        let accepted = events.map { events in { [self] in events.start(headers: headers()) } }
        let started = view.gates[type.upstream].call(request, accepted: accepted) { [self] outcome in
            switch outcome {
            case .answered(let outcome): complete(outcome, type)
            case .refused(let error): refuse(error)
            }
        }
        // A call that was already answered has nothing left to cancel.
        if !isAnswered { handle = started.map { .tool($0) } }
    }

    /// Nothing was sent upstream.
    private func refuse(_ error: GatewayError) {
        isAnswered = true
        handle = nil
        if let events, !exchange.responseStarted {
            events.stop()
            self.events = nil
        }
        fail(error)
    }

    private func complete(_ outcome: MCPCallOutcome, _ type: ChatType) {
        isAnswered = true
        handle = nil
        if trace != nil { upstream?.end = .now() }
        switch outcome {
        case .result(let result):
            upstream?.timings = result.timings
            upstream?.era = result.era
            upstream?.sessionReused = result.sessionReused
            upstream?.replays = result.replays
            switch ChatReply.make(type, message: result.message, result: result.result) {
            case .success(let body):
                if let events { events.finish(reply: body) } else { respond(json: body, setCookies: result.setCookies) }
            case .failure(var error):
                error.setCookies = result.setCookies
                fail(error)
            }
        case .failure(let failure):
            upstream?.timings = failure.timings
            upstream?.era = view.snapshot.upstreams[type.upstream].client.era
            upstream?.sessionReused = failure.sessionReused
            upstream?.replays = failure.replays
            // Cancelled means that the client left: there is nobody to answer.
            guard failure.kind != .cancelled else { return }
            fail(GatewayError(failure))
        }
    }

    private func fail(_ error: GatewayError) {
        guard let events else { return respond(error) }
        note(error)
        events.finish(error: GatewayErrorResponse.event(error, style: view.snapshot.configuration.errors))
    }

    override func cleanUp() {
        events?.stop()
        events = nil
        handle = nil
    }
}
