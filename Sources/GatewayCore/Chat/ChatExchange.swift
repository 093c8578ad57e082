import CurlTransport
import HTTPServer
import HTTPSyntax
import JSON
import MCPClient
import NIOCore
import NIOHTTP1

/// One `POST /api/chat/`: the payload is read, the tool is called, the reply is written.
final class ChatExchange: GatewayExchange {
    let chat: ChatRoutes
    var chatType: ChatType?
    private var running: (any RunningCall)?
    private var isAnswered = false
    /// True if the payload was sent to the backend unchanged, so that no tool call is reported.
    private var isPayload = false
    /// True if the response is the old backend's own.
    private var isRelayed = false
    /// Event stream of the response, once it has been started.
    private var events: ChatEventStream?
    /// Position of the upstream that is asked, in the configuration's order.
    private var upstreamPlace = 0
    /// Payload that is sent to the main target too, after the response.
    private var shadowed: (rule: ShadowRule, payload: ByteBuffer)?

    init(
        _ exchange: HTTPExchange, _ worker: Worker, _ settings: RequestSettings, _ facts: RequestFacts,
        chat: ChatRoutes
    ) {
        self.chat = chat
        super.init(exchange, worker, settings, facts)
    }

    override var type: TypeInstruments? { chatType?.instruments }
    override var route: String { "chat" }
    override func outcome(_ status: Int) -> String {
        isRelayed && status >= 400 && status != 499 ? "backend_error" : super.outcome(status)
    }
    override var policy: RoutePolicy { Self.policy }
    private static let policy = RoutePolicy(methods: [.POST], sharedMethods: "POST", isLimited: true)

    override func serve() {
        receiveBody(upTo: settings.limits.body) { [self] body in translate(body) }
    }

    private func translate(_ body: ByteBuffer) {
        if chat.isRouted { return route(body) }
        switch chat.translator.translate(body) {
        case .success(let call):
            chatType = call.type
            if let refusal = refusal(of: call.type) { return respond(refusal) }
            check(call, at: call.type.target)
        case .failure(let error):
            refuseBody(error)
        }
    }

    /// Responds to a body that cannot be read. Where `Content-Encoding` is the cause, the error says so (RFC 9110
    /// section 8.4).
    func refuseBody(_ error: GatewayError) {
        let codings = exchange.head.headers["Content-Encoding"].flatMap(\.listElements)
        let isEncoded = codings.contains { !HTTPSyntax.name($0, is: "identity") }
        respond(error.label == .invalidJSON && isEncoded ? GatewayError(.unsupportedEncoding) : error)
    }

    private func check(_ call: ChatTranslator.Call, at target: ChatTarget) {
        if let error = chat.violation(of: call, at: target) { return respond(error) }
        self.call(call, at: target)
    }

    /// Returns the error for a request whose type is over its rate limit or needs a credential; nil when it may go on.
    func refusal(of type: ChatType) -> GatewayError? {
        rateRefusal(of: chat.limitedTypes(with: type)) ?? accessRefusal(to: type)
    }

    /// Requires a credential where the type does. The gateway can only check its presence; the tool-server checks its
    /// validity.
    private func accessRefusal(to type: ChatType) -> GatewayError? {
        guard type.configuration.access == .authenticated, facts.isAnonymous else { return nil }
        var error = GatewayError(.unauthorized, text: "Not authenticated")
        error.challenges = ["Bearer"]
        return error
    }

    // MARK: Calling

    /// Sends a payload to one of its type's targets.
    ///
    /// - Parameter shadow: Rule for asking the main target afterwards.
    func serve(_ type: ChatType, _ body: ByteBuffer, at target: ChatTarget, shadow: ShadowRule? = nil) {
        if let shadow { shadowed = (shadow, body) }
        guard target.tool != nil else { return forward(body, to: target.upstream, timeout: type.timeout) }
        if target != type.target || type.route.other != nil { side = chat.upstreams[target.upstream].upstream.kind }
        switch chat.translator.call(type, body) {
        case .success(let call): check(call, at: target)
        case .failure(let error): respond(error)
        }
    }

    private func call(_ call: ChatTranslator.Call, at target: ChatTarget) {
        let type = call.type
        beginUpstream(chat.upstreams[target.upstream].upstream.name)
        var request = MCPToolCall(
            tool: target.tool ?? type.tool, arguments: call.arguments, credentials: .anonymous,
            deadline: exchange.start + type.timeout,
            traceparent: traceparent(for: chat.upstreams[target.upstream].upstream))
        if facts.wantsEventStream {
            let events = ChatEventStream(exchange, keepAlive: chat.keepAlive)
            events.onOverflow = { [self] in cancel() }
            self.events = events
            request.onProgress = { events.send($0) }
            // For a streamed reply, the time limit starts again with each event.
            request.deadline = exchange.start + type.streamTimeout
            request.idleTimeout = type.timeout
        }
        send(.tool(request), to: target.upstream)
    }

    /// Sends the client's own bytes to the old backend.
    func forward(_ body: ByteBuffer, to upstream: Int, timeout: TimeAmount) {
        side = .chat
        isPayload = true
        beginUpstream(chat.upstreams[upstream].upstream.name)
        // A fragment does not belong to a request (RFC 9110 section 7.1), and libcurl would cut the query there.
        let query = (exchange.query ?? "").prefix { $0 != "#" }
        let backend = chat.upstreams[upstream].upstream
        let credentials = credentials(for: backend)
        let payload = ChatPayload(
            query: query.isEmpty ? "" : "?" + query, headers: RelayedHeaders.chat(self, backend, credentials),
            body: body, deadline: exchange.start + timeout, subjectToken: credentials.subjectToken,
            forwardsCredentials: !credentials.credentials.isEmpty)
        send(.payload(payload), to: upstream)
    }

    private func send(_ call: UpstreamCall, to upstream: Int) {
        upstreamPlace = upstream
        exchange.onDisconnect = { [self] in
            cancel()
            events?.stop()
        }
        let running = chat.upstreams[upstream].call(call, of: self, for: self)
        // A call that has already been answered cannot be cancelled any more.
        if !isAnswered { self.running = running }
    }

    private func cancel() { running?.cancel() }

    // MARK: Answering

    private func complete(_ result: MCPCallResult, _ type: ChatType) {
        upstream?.timings = result.timings
        if chat.upstreams[upstreamPlace].upstream.kind == .mcp {
            upstream?.era = result.era
            upstream?.sessionReused = result.sessionReused
        }
        upstream?.replays = result.replays
        switch ChatReply.make(type, message: result.message, result: result.result) {
        case .success(let body):
            if let events { events.finish(reply: body) } else { respond(json: body, setCookies: result.setCookies) }
            compare(ComparedAnswer(status: 200, body: body))
        case .failure(var error):
            error.setCookies = result.setCookies
            fail(error)
            compare(chat.response(to: error))
        }
    }

    private func fail(_ failure: UpstreamFailure) {
        if failure.kind != nil, !isPayload {
            upstream?.timings = failure.timings
            upstream?.era = chat.upstreams[upstreamPlace].upstream.era
            upstream?.sessionReused = failure.sessionReused
            upstream?.replays = failure.replays
        }
        // A cancelled call means that the client has left: no response is sent.
        if !failure.isCancelled { fail(failure.error) }
    }

    private func fail(_ error: GatewayError) {
        guard let events, exchange.responseStarted else {
            // The stream's head has not been sent yet, so that the error keeps its HTTP status.
            self.events?.stop()
            self.events = nil
            return respond(error)
        }
        note(error)
        events.finish(error: GatewayErrorResponse.event(error, style: settings.errors))
    }

    private func relay(_ response: CurlResponse) {
        let balancer = chat.upstreams[upstreamPlace]
        upstream?.duration = response.timings.total
        isRelayed = true
        var headers = RelayedHeaders.downstream(
            response.headers, own: headers(), url: balancer.upstream.configuration.address.url,
            isPrivate: true, sharesByItself: settings.cors != nil)
        if settings.serverTiming, headers["Server-Timing"].count > 1 {
            let own = headers.first(name: "Server-Timing") ?? ""
            headers.replaceOrAdd(name: "Server-Timing", value: own)
        }
        exchange.respond(
            status: HTTPResponseStatus(statusCode: response.status), headers: headers, body: response.body)
        compare(ComparedAnswer(status: response.status, body: response.body))
    }

    /// Asks the main target too where the type is shadowed.
    private func compare(_ answer: ComparedAnswer) {
        guard let (rule, payload) = shadowed.take(), let type = chatType else { return }
        let main = chat.upstreams[type.target.upstream].upstream
        chat.shadows.ask(
            ShadowCalls.Original(
                type: type, rule: rule, payload: payload, answer: answer,
                headers: type.target.tool == nil ? RelayedHeaders.chat(self, main, credentials(for: main)) : [],
                caller: PastCaller(self), traceparent: facts.traceparent, requestID: facts.requestID), chat)
    }

    override func cleanUp() {
        events?.stop()
        events = nil
        running = nil
    }
}

extension ChatExchange: CallReceiver {
    /// Starts the event stream. Its head is sent only now, when the call is under way, so that earlier errors keep
    /// their HTTP status.
    func callAccepted() { events?.start(headers: headers()) }

    func callEnded(_ outcome: UpstreamOutcome) {
        isAnswered = true
        running = nil
        if trace != nil { upstream?.end = .now() }
        switch outcome {
        case .result(let result):
            if let chatType { complete(result, chatType) }
        case .response(let response): relay(response)
        case .failure(let failure): fail(failure)
        }
    }
}
