import CurlTransport
import JSON
import MCP
import NIOCore
import Synchronization

/// Driver that carries out the actions of a `CallMachine`, on one event loop: one object for each call, no task, no
/// actor.
final class CallDriver: MessageOwner {
    private let caller: MCPCaller
    private var request: OutgoingRequest
    private var machine: CallMachine
    private var completion: ((MCPCallOutcome) -> Void)?
    /// Connection borrowed from the pool, returned exactly once.
    private var held: UpstreamConnection?
    private var exchange: MessageExchange?
    private var number: Int64 = 0
    private var expiry: Scheduled<Void>?
    /// Failure to report when the stream cannot be resumed.
    private var broken: TransportError?
    private var resumptions = 0
    private let questions = OpenQuestions()
    /// Place of this call in `CallWatch`; nil: it is not there.
    var watchIndex: Int?

    private static let maximumResumptions = 8
    private static let defaultResumptionPause = TimeAmount.milliseconds(250)

    private var upstream: MCPUpstream { caller.upstream }

    init(_ request: OutgoingRequest, caller: MCPCaller, completion: @escaping (MCPCallOutcome) -> Void) {
        self.caller = caller
        self.request = request
        self.completion = completion
        let upstream = caller.upstream
        machine = CallMachine(
            policy: CallMachine.Policy(
                deadline: request.deadline, idleTimeout: request.idleTimeout, replays: request.replays,
                replaysLeft: request.replaysLeft ?? request.replays,
                mirrorsArguments: request.method == MCPMethod.toolsCall,
                takesInputRequests: request.takesInputRequests,
                backoff: Backoff(window: upstream.retryWindow, pause: upstream.retryPause)))
    }

    func start() { perform(machine.start(now: .now())) }

    func cancel() { perform(machine.cancelled(now: .now())) }

    var deadline: NIODeadline { request.deadline }

    /// True if the call has a timer of its own: its limit of silence is short, or rests while its user is asked.
    private var isTimed: Bool {
        request.onQuestion != nil || request.idleTimeout.map { $0 < CallWatch.shortestSilence } == true
    }

    /// Returns whether the server of a call without a timer has been silent for too long.
    func isSilent(at now: NIODeadline) -> Bool {
        request.idleTimeout != nil && !isTimed && now >= machine.expiry && machine.expiry < request.deadline
    }

    /// Ends a call whose server has been silent for too long.
    func fellSilent(at now: NIODeadline) { perform(machine.expired(now: now)) }

    /// Ends a call whose exchange the transport should have ended by now.
    func overdue() {
        upstream.notices.warn(.transport, "transport lost a call", ["id": "\(number)"])
        perform(machine.expired(now: .now()))
    }

    // MARK: Actions

    private func perform(_ first: CallMachine.Action) {
        var action = first
        while true {
            switch action {
            case .none:
                return
            case .acquire(let stale):
                guard let connection = acquire(discarding: stale) else { return scheduleExpiry() }
                action = machine.connected(connection, waited: false, now: .now())
            case .send(let connection):
                return send(connection)
            case .follow(let connection):
                upstream.moved(request.credentials.partition, connection)
                return send(connection)
            case .relist:
                return relist()
            case .verify(let connection):
                return verify(connection)
            case .decline(_, let message, let result):
                request.input = CallInput(declining: result, in: message)
                if request.input?.declinesQuestions == true { machine.noteDecline() }
                action = machine.declined(request.input != nil, now: .now())
            case .wait(let until):
                caller.eventLoop.assumeIsolated().scheduleTask(deadline: until) {
                    self.perform(self.machine.resumed(now: .now()))
                }
                return
            case .finish(let outcome, let abandoned):
                return finish(outcome, abandoned: abandoned)
            }
        }
    }

    private func acquire(discarding stale: UpstreamConnection?) -> UpstreamConnection? {
        if let stale {
            // An event stream may still be open after the answer that proved the connection stale.
            leaveExchange()
            upstream.discard(request.credentials.partition, stale)
        }
        giveBack()
        switch caller.acquire(request.credentials, waiter: { self.waiter }) {
        case .ready(let connection):
            held = connection
            return connection
        case .handshake(let order):
            caller.run(order)
            return nil
        case .wait:
            return nil
        }
    }

    private func relist() {
        scheduleExpiry()
        caller.refreshCatalog(
            credentials: upstream.catalogCredentials ?? request.credentials, deadline: machine.expiry
        ) { result in
            let former = self.request.mirrored
            if case .success(let catalog) = result, let tool = self.request.name {
                self.request.mirrored = catalog[tool]?.mirrored ?? .none
            }
            self.perform(self.machine.relisted(changed: self.request.mirrored != former, now: .now()))
        }
    }

    private func verify(_ connection: UpstreamConnection) {
        scheduleExpiry()
        SessionCheck(connection, credentials: request.credentials, caller: caller) { isKnown in
            self.perform(self.machine.verified(isKnown: isKnown, now: .now()))
        }.start(within: request.deadline)
    }

    private var waiter: PoolWaiter {
        let driver = NIOLoopBound(self, eventLoop: caller.eventLoop)
        return PoolWaiter(eventLoop: caller.eventLoop) { driver.value.woken($0) }
    }

    private func woken(_ wake: PoolWake) {
        switch wake {
        case .handshake(let order):
            // Carried out even if this call has ended meanwhile: it is still queued, and others may wait behind it.
            caller.run(order)
        case .ready(let connection):
            // The pool counts this call as a user of the connection, even if it has ended meanwhile.
            held = connection
            if machine.isFinished { return giveBack() }
            perform(machine.connected(connection, waited: true, now: .now()))
        case .failed(let failure):
            perform(machine.connectionFailed(failure, now: .now()))
        }
    }

    private func giveBack() {
        guard let connection = held else { return }
        held = nil
        upstream.release(request.credentials.partition, connection, now: .now())
    }

    private func send(_ connection: UpstreamConnection) {
        let now = NIODeadline.now()
        number = RequestNumber.next()
        broken = nil
        var meta = RequestEnvelope.Meta(
            version: connection.version, progress: request.onProgress != nil, traceparent: request.traceparent)
        meta.idempotencyKey = request.idempotencyKey
        // `tracestate` and `baggage` are forwarded with `traceparent` as headers and here; without it they have no
        // meaning.
        if meta.traceparent != nil, !request.credentials.perRequest.isEmpty {
            meta.tracestate = request.forwarded("tracestate")
            meta.baggage = request.forwarded("baggage")
        }
        let body: ByteBuffer
        switch request.body {
        case .toolCall(let tool, let arguments):
            body = upstream.envelope.toolCall(
                number: number, tool: tool, arguments: arguments, input: request.input, meta: meta)
        case .other(let method, let params, let arguments):
            body = upstream.envelope.request(
                number: number, method: method, params: params, arguments: arguments, meta: meta)
        }
        let post = upstream.post(
            body, url: connection.url, headers: headers(connection), timeout: transferTime(from: now),
            mayResend: request.method != MCPMethod.toolsCall)
        begin(post)
        if isTimed {
            // The time of waiting for a connection does not count as silence of the server.
            rescheduleExpiry()
        } else if expiry == nil {
            caller.watch.add(self)
        }
    }

    /// Returns the longest time of a transfer: the rest of the deadline, and the time in which the deadline may rest.
    private func transferTime(from now: NIODeadline) -> Duration {
        request.deadline.remaining(from: now) + .nanoseconds(request.questionTime.nanoseconds)
    }

    private func begin(_ curlRequest: CurlRequest) {
        let exchange = MessageExchange(
            number: number, limit: upstream.configuration.maximumResponseBytes,
            memory: upstream.configuration.memory, owner: self)
        self.exchange = exchange
        exchange.start(curlRequest, by: caller)
    }

    private func headers(_ connection: UpstreamConnection) -> CurlHeaders {
        var headers = connection.headers
        if connection.era == .modern {
            headers.append(name: MCPHeader.method, value: request.method)
            if let name = request.name { headers.append(name: MCPHeader.name, value: MCPHeader.encodeValue(name)) }
            for header in request.mirroredHeaders { headers.append(header) }
        }
        for header in request.credentials.credentials { headers.append(header) }
        for header in request.credentials.perRequest { headers.append(header) }
        if let traceparent = request.traceparent, !headers.contains(name: "traceparent") {
            headers.append(name: "traceparent", value: traceparent)
        }
        return headers
    }

    private func scheduleExpiry() {
        guard expiry == nil else { return }
        expiry = caller.eventLoop.assumeIsolated().scheduleTask(deadline: machine.expiry) {
            self.expiry = nil
            self.perform(self.machine.expired(now: .now()))
            if !self.machine.isFinished { self.scheduleExpiry() }
        }
    }

    private func rescheduleExpiry() {
        expiry?.cancel()
        expiry = nil
        scheduleExpiry()
    }

    private func finish(_ outcome: MCPCallOutcome, abandoned: UpstreamConnection?) {
        expiry?.cancel()
        expiry = nil
        caller.watch.remove(self)
        if let abandoned {
            // Closing the stream cancels the request in the modern era; in the legacy era it does not.
            if abandoned.era == .legacy {
                caller.notifyCancelled(number, over: abandoned, credentials: request.credentials)
            }
            leaveExchange()
        } else {
            exchange = nil
        }
        if let stale = machine.stale { upstream.discard(request.credentials.partition, stale) }
        giveBack()
        upstream.note(outcome, of: request.method)
        let completion = self.completion
        self.completion = nil
        request.onProgress = nil
        request.onNotification = nil
        request.onRequest = nil
        request.onQuestion = nil
        completion?(outcome)
    }

    private func leaveExchange() {
        exchange?.abandon()
        exchange = nil
    }

    // MARK: The exchange

    func exchangeAnswered(_ answer: MessageResponse) {
        // Only the answer itself counts on the resumed stream; any other failure of the GET is not the call's.
        if let broken, answer.failure != nil, answer.rpcError == nil {
            return perform(machine.failed(broken, now: .now()))
        }
        perform(machine.answered(answer, now: .now()))
    }

    func exchangeFailed(_ failure: TransportError, resumption: StreamResumption?) {
        if let resumption, failure.kind == .broken || failure.kind == .garbled, held?.era == .legacy,
            resumptions < Self.maximumResumptions
        {
            resumptions += 1
            broken = broken ?? failure
            // A pause longer than the call's own deadline would only keep the call in memory.
            let pause = min(resumption.pause ?? Self.defaultResumptionPause, request.deadline - .now())
            scheduleExpiry()
            caller.eventLoop.assumeIsolated().scheduleTask(in: pause) { self.resume(after: resumption.lastEventID) }
            return
        }
        perform(machine.failed(broken ?? failure, now: .now()))
    }

    private func resume(after lastEventID: String) {
        guard !machine.isFinished, let connection = held else { return }
        begin(
            upstream.eventStream(
                over: connection, after: lastEventID, credentials: request.credentials,
                timeout: transferTime(from: .now())))
    }

    func exchangeReceived(_ message: JSONRPCMessage) {
        guard !machine.isFinished else { return }
        machine.progressed(now: .now())
        switch message {
        case .notification(let notification):
            receive(notification)
        case .request(let question):
            answer(question)
        case .response:
            break
        }
    }

    private func receive(_ notification: JSONRPCNotification) {
        guard notification.method == MCPMethod.progress else {
            if notification.method == MCPMethod.toolsListChanged { upstream.expireCatalog() }
            request.onNotification?(notification)
            return
        }
        // Some servers return the token as a string; it is a number that no other request has.
        guard let params = notification.params, let token = params[MCPMeta.progressToken],
            token.int == Int(number) || token.string == String(number), let progress = params["progress"]?.double
        else { return }
        request.onProgress?(
            MCPProgress(
                progress: progress, total: params["total"]?.double, message: params["message"]?.string,
                tool: params["_meta"]?[MCPMeta.tool]?.string))
    }

    /// Answers a request of the server: at once where that is possible, else when the caller has the answer.
    private func answer(_ question: JSONRPCRequest) {
        guard let connection = held else { return }
        guard caller.accepts(questionOn: questions) else {
            return perform(machine.violated("more than \(OpenQuestions.streamLimit) questions at once", now: .now()))
        }
        if question.method == MCPMethod.elicitationCreate, let onQuestion = request.onQuestion {
            machine.asked(now: .now())
            rescheduleExpiry()
            return onQuestion(
                ToolQuestion(question) { [self] answer, deadline, idleTimeout in
                    send(answer, to: question, over: connection, deadline: deadline, idleTimeout: idleTimeout)
                })
        }
        let reply: (Result<JSONValue, JSONRPCError>) -> Void = {
            [caller, questions, credentials = request.credentials.credentials] outcome in
            caller.reply(
                JSONRPCResponse(id: question.id, outcome: outcome), to: questions, over: connection,
                credentials: credentials)
        }
        if let onRequest = request.onRequest, question.method != MCPMethod.ping {
            onRequest(question, reply)
        } else {
            if question.method == MCPMethod.elicitationCreate { machine.noteDecline() }
            reply(ServerQuestion.answer(to: question.method, hasUser: request.onQuestion != nil))
        }
    }

    /// Answers a question of the tool to its user, and lets the deadlines run again.
    private func send(
        _ answer: ToolQuestion.Answer, to question: JSONRPCRequest, over connection: UpstreamConnection,
        deadline: NIODeadline, idleTimeout: TimeAmount?
    ) {
        guard !machine.isFinished else { return caller.forget(questionOn: questions) }
        request.deadline = deadline
        machine.questionAnswered(now: .now(), deadline: deadline, idleTimeout: idleTimeout)
        rescheduleExpiry()
        caller.reply(
            JSONRPCResponse(id: question.id, outcome: answer), to: questions, over: connection,
            credentials: request.credentials.credentials)
    }
}
