import CurlTransport
import HTTPServer
import HTTPSyntax
import JSON
import MCPClient
import NIOCore
import NIOHTTP1

/// One `POST /api/chat/`: the payload is read, the tool is called, the reply is written.
final class ChatRequest: GatewayRequest {
    let chat: ChatRoutes
    var chatType: ChatType?
    private var running: (any RunningCall)?
    private var isAnswered = false
    /// Name of the question whose answer the call carries, until the outcome is known.
    var claimed: String?
    /// The call of a tool that is under way, where it may ask.
    private var inProgress: CallInProgress?
    /// True if the payload was sent to the backend unchanged, so that no tool call is reported.
    private var isPayload = false
    /// True if the response is the old backend's own.
    private var isRelayed = false
    /// Event stream of the response, once it has been started.
    private var events: ChatEventStream?
    /// Position of the upstream that is asked, in the configuration's order.
    private var upstreamPlace = 0
    /// Payload that is sent to the main target too, after the response.
    var shadowed: (rule: ShadowRule, payload: ByteBuffer)?

    /// A call of a tool that may ask its user.
    struct CallInProgress {
        let type: ChatType
        /// JSON text of the arguments.
        let arguments: ByteBuffer
        let target: ChatTarget
        /// The question that the call answers; nil for the first call.
        let previous: PendingQuestion?
    }

    init(
        _ exchange: HTTPExchange, _ worker: Worker, _ settings: RequestSettings, _ facts: RequestHeaders,
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
            whenAllowed(call.type) { [self] in check(call, at: call.type.target) }
        case .failure(let error):
            if !answers(body, after: error) { refuseBody(error) }
        }
    }

    /// Serves a payload of the built-in type `answer`; false for any other.
    ///
    /// - Parameter error: The error of a payload of no configured type.
    func answers(_ body: ByteBuffer, after error: GatewayError) -> Bool {
        guard error.label == .unknownType, let questions = chat.questions, let answer = QuestionAnswer(body) else {
            return false
        }
        serve(answer, questions)
        return true
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
        callTool(call.type, call.arguments, at: target)
    }

    /// Continues with a request whose type is within its rate limit, and has the credential that it needs; answers any
    /// other.
    func whenAllowed(_ type: ChatType, _ goOn: @escaping () -> Void) {
        withinLimits(.types(chat.limitedTypes(with: type))) { [self] in
            if let refusal = accessRefusal(to: type) { return respond(refusal) }
            goOn()
        }
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

    /// Calls a type's tool.
    ///
    /// - Parameters:
    ///   - arguments: JSON text of the arguments.
    ///   - previous: Question with whose answers the call is repeated; nil for the first call.
    func callTool(
        _ type: ChatType, _ arguments: ByteBuffer, at target: ChatTarget, continuing previous: PendingQuestion? = nil
    ) {
        let upstream = chat.upstreams[target.upstream].upstream
        beginUpstream(upstream.name)
        var request = MCPToolCall(
            tool: target.tool ?? type.tool, arguments: arguments, credentials: .anonymous,
            deadline: exchange.start + type.timeout, traceparent: traceparent(for: upstream))
        if let events = beginEvents() {
            request.onProgress = { events.send($0) }
            // For a streamed reply, the time limit starts again with each event.
            request.deadline = exchange.start + type.streamTimeout
            request.idleTimeout = type.timeout
        }
        guard let questions = chat.questions, upstream.kind == .mcp else {
            return send(.tool(request), to: target.upstream)
        }
        inProgress = CallInProgress(type: type, arguments: arguments, target: target, previous: previous)
        if let previous {
            request.input = CallInput(responses: previous.responses, state: previous.state)
            if upstream.configuration.isTrusted { request.idempotencyKey = previous.call }
        }
        let call = AskingCall(questions, type, for: ChatListener(self)) { [self] in
            var question = previous ?? question(of: type, at: upstream)
            question.tool = target.tool ?? type.tool
            if previous != nil { question.number += 1 }
            return question
        }
        if request.onProgress != nil { request.onProgress = { call.progressed($0) } }
        request.onQuestion = { call.asked($0) }
        request.questionTime = questions.time(of: type)
        send(.tool(request), to: target.upstream, asking: call)
    }

    /// Returns the event stream of the response, where the client accepts one.
    func beginEvents() -> ChatEventStream? {
        guard facts.wantsEventStream, events == nil else { return events }
        let events = ChatEventStream(exchange, keepAlive: chat.keepAlive)
        events.onOverflow = { [self] in cancel() }
        self.events = events
        return events
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

    /// - Parameter asking: Receiver of the outcome, for a call that may ask; nil: this request.
    private func send(_ call: UpstreamCall, to upstream: Int, asking: AskingCall? = nil) {
        wait(for: nil, at: upstream)
        let running = chat.upstreams[upstream].call(call, of: self, for: asking ?? self)
        asking?.started(running)
        // A call that has already been answered cannot be cancelled any more.
        if !isAnswered { self.running = asking ?? running }
    }

    /// Waits for a call, which is cancelled when the client leaves.
    func wait(for call: (any RunningCall)?, at upstream: Int) {
        upstreamPlace = upstream
        isAnswered = false
        running = call
        exchange.onDisconnect = { [self] in
            cancel()
            events?.stop()
        }
    }

    /// Stops waiting for a call, which goes on.
    func callLeft() {
        isAnswered = true
        running = nil
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
        if result.asks, let inProgress {
            do throws(GatewayError) {
                return try ask(RequiredInput(result), in: inProgress, setCookies: result.setCookies)
            } catch {
                return fail(error)
            }
        }
        guard result.message.readableBytes >= ParsingQueue.longAnswer else {
            return complete(result, ChatRoutes.reply(of: type, to: result).map { Reply($0, isEvent: events != nil) })
        }
        ParsingQueue.answers.run(on: exchange.eventLoop) { [isEvent = events != nil] in
            ChatRoutes.reply(of: type, to: result).map { Reply($0, isEvent: isEvent) }
        } then: { [self] reply in
            complete(result, reply)
        }
    }

    /// A reply as it is sent.
    private struct Reply {
        let body: ByteBuffer
        /// The event of a streamed response.
        let event: ByteBuffer?

        init(_ body: ByteBuffer, isEvent: Bool) {
            self.body = body
            event = isEvent ? ChatEventStream.event(reply: body) : nil
        }
    }

    private func complete(_ result: MCPCallResult, _ reply: Result<Reply, GatewayError>) {
        switch reply {
        case .success(let reply):
            if let event = reply.event {
                events?.finish(event)
            } else {
                respond(json: reply.body, setCookies: result.setCookies)
            }
            compare(ComparedResponse(status: 200, body: reply.body))
        case .failure(var error):
            error.setCookies = result.setCookies
            fail(error)
            compare(chat.response(to: error))
        }
    }

    private func fail(_ failure: UpstreamError) {
        if failure.kind != nil, !isPayload {
            upstream?.timings = failure.timings
            upstream?.era = chat.upstreams[upstreamPlace].upstream.era
            upstream?.sessionReused = failure.sessionReused
            upstream?.replays = failure.replays
        }
        if let inProgress, let required = RequiredInput(failure.rpcError) {
            do throws(GatewayError) {
                return try ask(required, in: inProgress, setCookies: failure.error.setCookies)
            } catch {
                return fail(error)
            }
        }
        // A cancelled call means that the client has left: no response is sent.
        if !failure.isCancelled { fail(chat.error(of: failure)) }
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
        compare(ComparedResponse(status: response.status, body: response.body))
    }

    /// Asks the main target too where the type is shadowed.
    private func compare(_ answer: ComparedResponse) {
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
        inProgress = nil
    }
}

extension ChatRequest: CallReceiver {
    /// Starts the event stream. Its head is sent only now, when the call is under way, so that earlier errors keep
    /// their HTTP status.
    func callAccepted() { events?.start(headers: headers()) }

    func callProgressed(_ progress: MCPProgress) { events?.send(progress) }

    func callEnded(_ outcome: UpstreamOutcome) {
        callLeft()
        releaseClaim(after: outcome)
        if trace != nil { upstream?.end = .now() }
        switch outcome {
        case .result(let result):
            if let chatType { complete(result, chatType) }
        case .response(let response): relay(response)
        case .failure(let failure): fail(failure)
        }
    }
}
