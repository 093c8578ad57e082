import CurlTransport
import JSON
import MCP
import NIOCore

/// Driver of the server-to-client stream of one legacy session (Streamable HTTP, "Listening for Messages from the
/// Server"): opens it with GET, and resumes it after the last event whenever it breaks.
final class ListenDriver: MessageOwner {
    enum End {
        /// The session is lost; a new one must be opened, with new subscriptions.
        case sessionEnded
        /// The server offers no such stream, or refuses it.
        case refused(MCPCallError)
        case stopped
    }

    private let caller: MCPCaller
    private let credentials: ForwardedCredentials
    private let onOpen: () -> Void
    private let onNotification: (JSONRPCNotification) -> Void
    private let onRequest: OutgoingRequest.RequestAnswerer
    private var completion: ((End) -> Void)?
    private var held: UpstreamConnection?
    private var exchange: MessageExchange?
    private let questions = OpenQuestions()
    /// True once the stream's head has arrived.
    private var isOpen = false
    private var lastEventID: String?
    private var pause = ListenDriver.firstPause

    private static let firstPause = TimeAmount.milliseconds(250)
    private static let longestPause = TimeAmount.seconds(10)
    /// Shortest and longest pause that a server may request.
    private static let shortestRequestedPause = TimeAmount.milliseconds(100)
    private static let longestRequestedPause = TimeAmount.seconds(60)
    /// Lifetime of a stream, after which it is opened again.
    private static let lifetime = Duration.seconds(24 * 3600)

    private var upstream: MCPUpstream { caller.upstream }

    /// - Parameters:
    ///   - onOpen: Called when the stream is open, for the first time or again.
    ///   - onRequest: Answers requests of the server on the stream.
    init(
        caller: MCPCaller, credentials: ForwardedCredentials, onOpen: @escaping () -> Void,
        onNotification: @escaping (JSONRPCNotification) -> Void, onRequest: @escaping OutgoingRequest.RequestAnswerer,
        completion: @escaping (End) -> Void
    ) {
        self.caller = caller
        self.credentials = credentials
        self.onOpen = onOpen
        self.onNotification = onNotification
        self.onRequest = onRequest
        self.completion = completion
    }

    func start() {
        caller.connect(credentials) { [self] result in
            switch result {
            case .success(let connection): connected(connection)
            case .failure(let failure): finish(.refused(failure))
            }
        }
    }

    func stop() { finish(.stopped) }

    private func connected(_ connection: UpstreamConnection) {
        // Held while the stream is open, so that the session does not count as idle.
        held = connection
        if completion == nil { return giveBack() }
        open()
    }

    private func open() {
        guard completion != nil, let connection = held else { return }
        isOpen = false
        let exchange = MessageExchange(
            number: Self.noRequest, limit: upstream.configuration.maximumResponseBytes,
            memory: upstream.configuration.memory, owner: self)
        self.exchange = exchange
        exchange.start(
            upstream.eventStream(
                over: connection, after: lastEventID, credentials: credentials, timeout: Self.lifetime),
            by: caller)
    }

    /// Id that no request has, so that no message on the stream passes for an answer.
    private static let noRequest: Int64 = 0

    // MARK: The exchange

    func exchangeBegan(_ head: MessageResponse, isEventStream: Bool) {
        if isEventStream, 200..<300 ~= head.status {
            isOpen = true
            onOpen()
        }
    }

    func exchangeAnswered(_ answer: MessageResponse) {
        if isOpen { return reopen(after: nil) }
        if answer.status == 404 || answer.status == 400, let connection = held, connection.sessionID != nil {
            upstream.discard(credentials.partition, connection)
            return finish(.sessionEnded)
        }
        if answer.status >= 500 || answer.status == 429 { return reopen(after: nil) }
        finish(
            .refused(
                answer.failure
                    ?? MCPCallError(kind: .invalid, status: answer.status, executed: .no, detail: "no event stream")))
    }

    func exchangeReceived(_ message: JSONRPCMessage) {
        pause = Self.firstPause
        guard completion != nil, let connection = held else { return }
        switch message {
        case .notification(let notification):
            if notification.method == MCPMethod.toolsListChanged { upstream.expireCatalog() }
            onNotification(notification)
        case .request(let question):
            answer(question, over: connection)
        case .response:
            break
        }
    }

    private func answer(_ question: JSONRPCRequest, over connection: UpstreamConnection) {
        guard caller.accepts(questionOn: questions) else {
            let detail = "more than \(OpenQuestions.streamLimit) questions at once"
            return finish(.refused(MCPCallError(kind: .invalid, executed: .no, detail: detail)))
        }
        let reply: (Result<JSONValue, JSONRPCError>) -> Void = {
            [caller, questions, credentials = credentials.credentials] outcome in
            caller.reply(
                JSONRPCResponse(id: question.id, outcome: outcome), to: questions, over: connection,
                credentials: credentials)
        }
        if question.method == MCPMethod.ping { return reply(.success([:])) }
        onRequest(question, reply)
    }

    func exchangeFailed(_ failure: TransportError, resumption: StreamResumption?) {
        if failure.kind == .impossible {
            return finish(.refused(MCPCallError(kind: .unreachable, executed: .no, detail: failure.detail)))
        }
        if let resumption { lastEventID = resumption.lastEventID }
        reopen(after: resumption?.pause)
    }

    /// - Parameter asked: Pause that the server requested.
    private func reopen(after asked: TimeAmount?) {
        exchange = nil
        let wait = Self.pause(asked: asked, own: pause)
        pause = min(.nanoseconds(pause.nanoseconds * 2), Self.longestPause)
        caller.eventLoop.assumeIsolated().scheduleTask(in: wait) { self.open() }
    }

    /// Returns the time before the stream is opened again. A server cannot make it so short that the gateway does nothing
    /// else, nor so long that changes go unnoticed.
    static func pause(asked: TimeAmount?, own: TimeAmount) -> TimeAmount {
        asked.map { min(max($0, shortestRequestedPause), longestRequestedPause) } ?? own
    }

    private func giveBack() {
        guard let connection = held else { return }
        held = nil
        upstream.release(credentials.partition, connection, now: .now())
    }

    private func finish(_ end: End) {
        guard let completion else { return }
        self.completion = nil
        exchange?.abandon()
        exchange = nil
        giveBack()
        completion(end)
    }
}
