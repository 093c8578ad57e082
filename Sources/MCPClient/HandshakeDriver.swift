import CurlTransport
import Logging
import MCP
import NIOCore
import Synchronization

/// Driver of one handshake, on the event loop of the first call that needed it. Independent of that call: it continues
/// when the call ends.
final class HandshakeDriver: MessageOwner {
    private let caller: MCPCaller
    private let order: HandshakeOrder
    private let deadline: NIODeadline
    private var machine: HandshakeMachine
    private var exchange: MessageExchange?
    /// Timer against a lost outcome of the transport: many calls may wait for this handshake.
    private var expiry: Scheduled<Void>?
    private let questions = OpenQuestions()
    private var upstream: MCPUpstream { caller.upstream }

    /// Largest answer of a server to a message of the handshake, in bytes.
    private static let maximumAnswerBytes = 1 << 20

    init(_ order: HandshakeOrder, caller: MCPCaller) {
        self.caller = caller
        self.order = order
        let configuration = caller.upstream.configuration
        let limit = TimeAmount(configuration.handshakeTimeout)
        deadline = .now() + limit
        machine = HandshakeMachine(
            start: order.start, url: order.url, era: configuration.era,
            legacyVersion: order.legacyVersion, isVersionFixed: configuration.isVersionFixed, deadline: deadline,
            limit: limit,
            backoff: Backoff(window: caller.upstream.retryWindow, pause: caller.upstream.retryPause))
    }

    func start() {
        expiry = caller.eventLoop.assumeIsolated().scheduleTask(deadline: deadline + CallWatch.grace) {
            self.exchange?.abandon()
            self.perform(self.machine.expired())
        }
        perform(machine.begin())
    }

    func exchangeBegan(_ head: MessageResponse, isEventStream: Bool) {
        guard machine.needsHeadOnly else { return }
        exchange?.release()
        exchange = nil
        perform(machine.answered(head))
    }

    func exchangeAnswered(_ answer: MessageResponse) {
        perform(machine.answered(answer))
    }

    /// Answers the server's requests before its answer to `initialize`; other messages do not matter to a handshake.
    func exchangeReceived(_ message: JSONRPCMessage) {
        guard case .request(let question) = message else { return }
        guard caller.accepts(questionOn: questions) else {
            exchange?.abandon()
            let detail = "more than \(OpenQuestions.streamLimit) questions at once"
            return perform(machine.failed(TransportError(kind: .garbled, sent: true, detail: detail), now: .now()))
        }
        let session = exchange?.sessionID.flatMap { HandshakeMachine.isSessionID($0) ? $0 : nil }
        let connection = UpstreamConnection(
            version: order.legacyVersion, sessionID: session, url: machine.url, generation: 0)
        caller.reply(
            JSONRPCResponse(id: question.id, outcome: ServerQuestion.answer(to: question.method)), to: questions,
            over: connection, credentials: order.credentials)
    }

    func exchangeFailed(_ failure: TransportError, resumption: StreamResumption?) {
        perform(machine.failed(failure, now: .now()))
    }

    private func perform(_ action: HandshakeMachine.Action) {
        switch action {
        case .none:
            break
        case .send(let message, let url):
            send(message, url: url)
        case .wait(let until):
            caller.eventLoop.assumeIsolated().scheduleTask(deadline: until) {
                self.perform(NIODeadline.now() < self.deadline ? self.machine.resume() : self.machine.expired())
            }
        case .connected(let established):
            let connection = UpstreamConnection(
                version: established.version, sessionID: established.sessionID, url: established.url,
                generation: upstream.nextGeneration(), description: upstream.shared(established.description),
                requested: established.requested)
            if let complaint = established.complaint {
                upstream.notices.warn(
                    .notification, "upstream refused a notification",
                    ["method": "\(MCPMethod.initialized)", "answer": "\(complaint)"])
            }
            upstream.logger.debug(
                "upstream connected",
                metadata: ["upstream": "\(upstream.configuration.name)", "version": "\(established.version)"])
            finish(.connected(connection))
        case .failed(let failure):
            upstream.notices.warn(
                .handshake, "upstream handshake failed",
                [
                    "answer": "\(failure.failure.detail)", "kind": "\(failure.failure.kind)",
                    "key": "\(failure.failure.helpfulKey(for: upstream.configuration.name))",
                ])
            finish(.failed(failure))
        }
    }

    private func finish(_ outcome: HandshakeOutcome) {
        expiry?.cancel()
        expiry = nil
        exchange = nil
        caller.end(upstream.finish(order, outcome))
    }

    private func send(_ message: HandshakeMachine.Message, url: String) {
        let number = RequestNumber.next()
        var headers = UpstreamConnection.plainHeaders
        let body: ByteBuffer
        switch message {
        case .discover(let version):
            headers.append(name: MCPHeader.protocolVersion, value: version.rawValue)
            headers.append(name: MCPHeader.method, value: MCPMethod.serverDiscover)
            body = upstream.envelope.request(
                number: number, method: MCPMethod.serverDiscover, params: nil,
                meta: RequestEnvelope.Meta(version: version, progress: false))
        case .initialize(let version):
            body = upstream.envelope.initialize(number: number, version: version)
        case .initialized(let version, let sessionID):
            headers.append(name: MCPHeader.protocolVersion, value: version.rawValue)
            if let sessionID { headers.append(name: MCPHeader.sessionID, value: sessionID) }
            body = upstream.envelope.notification(method: MCPMethod.initialized)
        }
        for header in order.credentials { headers.append(header) }
        // Streamed, because servers may keep an event stream open after the answer. All messages of a handshake can be
        // repeated.
        let now = NIODeadline.now()
        var request = upstream.post(
            body, url: url, headers: headers, timeout: machine.messageDeadline(now: now).remaining(from: now),
            mode: .streaming, mayResend: true)
        // What a server says of itself is read on the event loop, and is never large.
        let limit = min(upstream.configuration.maximumResponseBytes, Self.maximumAnswerBytes)
        request.maximumResponseBytes = limit
        let exchange = MessageExchange(
            number: number, limit: limit,
            memory: upstream.configuration.memory, owner: self)
        self.exchange = exchange
        exchange.start(request, by: caller)
    }
}
