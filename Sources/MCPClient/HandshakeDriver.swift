import CurlTransport
import Logging
import MCP
import NIOCore
import Synchronization

/// Runs one handshake on the loop of whoever was first to need it. Bound to no call: it goes on when that call ends.
final class HandshakeDriver: ExchangeOwner {
    private let caller: MCPCaller
    private let order: HandshakeOrder
    private let deadline: NIODeadline
    private var machine: HandshakeMachine
    private var exchange: Exchange?
    /// For an exchange whose outcome the transport loses: many calls may wait for this handshake.
    private var expiry: Scheduled<Void>?
    private var upstream: MCPUpstream { caller.upstream }

    init(_ order: HandshakeOrder, caller: MCPCaller) {
        self.caller = caller
        self.order = order
        let configuration = caller.upstream.configuration
        deadline = .now() + TimeAmount(configuration.handshakeTimeout)
        machine = HandshakeMachine(
            start: order.start, url: order.url, era: configuration.era,
            legacyVersion: configuration.legacyVersion, deadline: deadline,
            backoff: Backoff(window: caller.upstream.retryWindow, pause: caller.upstream.retryPause))
    }

    func start() {
        expiry = caller.eventLoop.assumeIsolated().scheduleTask(deadline: deadline + CallWatch.grace) {
            self.exchange?.abandon()
            self.perform(self.machine.expired())
        }
        perform(machine.begin())
    }

    func exchangeAnswered(_ answer: ExchangeAnswer) {
        if answer.isStreamed { upstream.streams.store(true, ordering: .relaxed) }
        perform(machine.answered(answer))
    }

    func exchangeReceived(_ message: JSONRPCMessage) {
        // Nothing that a server may say before its answer concerns a handshake.
    }

    func exchangeFailed(_ failure: TransportFailure, resumption: StreamResumption?) {
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
                generation: upstream.nextGeneration(), description: established.description)
            upstream.logger.debug(
                "upstream connected",
                metadata: ["upstream": "\(upstream.configuration.name)", "version": "\(established.version)"])
            finish(.connected(connection))
        case .failed(let failure):
            upstream.logger.warning(
                "upstream handshake failed",
                metadata: [
                    "upstream": "\(upstream.configuration.name)", "reason": "\(failure.failure.detail)",
                    "kind": "\(failure.failure.kind)",
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
        // Streamed, because servers may keep an event stream open after the answer. All of it can be sent twice.
        let request = upstream.post(
            body, url: url, headers: headers, timeout: deadline.remaining(from: .now()), streaming: true,
            mayResend: true)
        let exchange = Exchange(
            number: number, streaming: true, limit: upstream.configuration.maximumResponseBytes, owner: self)
        self.exchange = exchange
        exchange.start(request, over: caller.transport, eventLoop: caller.eventLoop)
    }
}
