import CurlTransport
import HTTPServer
import HTTPSyntax
import MCPClient
import NIOCore
import NIOHTTP1

/// A request that is sent to the upstream unchanged, and whose response is returned unchanged; both are streamed with
/// backpressure.
final class PassThroughRequest: GatewayRequest {
    /// Largest body, in bytes, that is read before it is sent: one write instead of a stream.
    static let wholeBodyLimit = 65_536

    let prefix: PassThroughPath.Prefix
    /// Upstream and rules; nil: requests are not passed through.
    let target: PassThroughTarget?
    /// The tools whose calls count against the limit of a type.
    let limitedTools: LimitedTools
    /// True if the request asks for a list of tools.
    var listsTools = false
    /// Filter that removes hidden tools from the lists in the response; nil where no tool is hidden.
    var listFilter: ToolListFilter?
    /// Head of a document, until the filter has decided whether it may pass: an error can still have its own.
    var heldHead: (status: HTTPResponseStatus, headers: HTTPHeaders)?
    /// Pieces that arrive while a long event is filtered beside the event loop.
    var pieces = HeldPieces()
    var transfer: CurlTransfer?
    private var source: CurlBodySource?
    /// True once the transfer with the upstream is over, with or without success.
    var isDone = false
    var sentAt = NIODeadline.now()
    /// Position of the server that is asked, in the upstream's order.
    var server = 0
    var request: CurlRequest?
    /// The gateway's own credentials that were sent.
    private var own: UpstreamCredentials.Own?
    /// Refusal of the gateway's own credentials by the upstream, whose response is not sent to the client.
    var refusal: Refusal?
    /// True once the request has been sent again with new credentials.
    private var isRenewed = false
    /// True once the request has been sent again with a token for more scopes.
    private var isSteppedUp = false
    private var backoff: Backoff?
    /// True once a redirect of the endpoint has been followed; only one is.
    var isRedirected = false
    /// URL that is asked when the redirected transfer has ended.
    var redirect: String?

    init(
        _ exchange: HTTPExchange, _ worker: Worker, _ settings: RequestSettings, _ facts: RequestHeaders,
        prefix: PassThroughPath.Prefix, target: PassThroughTarget?, limitedTools: LimitedTools
    ) {
        self.prefix = prefix
        self.target = target
        self.limitedTools = limitedTools
        super.init(exchange, worker, settings, facts)
    }

    override var route: String { prefix.rawValue }
    override var policy: RoutePolicy { prefix == .mcp ? Self.endpointPolicy : Self.policy }
    private static let endpointPolicy = RoutePolicy(sharedMethods: "GET, POST, DELETE", isLimited: true)
    private static let policy = RoutePolicy(sharedMethods: "GET, POST", isLimited: true)

    override var isLogin: Bool {
        prefix == .auth && exchange.head.method != .GET && exchange.head.method != .HEAD
    }

    override var targetRefusal: GatewayError? {
        if target == nil { return GatewayError(.notFound) }
        guard PassThroughPath.isSafe(exchange.path), !(exchange.query ?? "").utf8.contains(UInt8(ascii: "#")) else {
            return GatewayError(.notFound, detail: "unsafe path")
        }
        return nil
    }

    /// True for an event stream that the client opened to listen: it may stay silent indefinitely.
    private var isListening: Bool { exchange.head.method == .GET && facts.wantsEventStream }

    override func serve() {
        guard let target else { return }
        exchange.onDisconnect = { [self] in stop() }
        let limit = settings.limits.body
        let length = exchange.head.headers.first(name: "Content-Length").flatMap { Int($0) }
        let isChunked = exchange.head.headers.contains(name: "Transfer-Encoding")
        if let length, length > limit { return respond(GatewayError(.bodyTooLarge)) }
        if inspectsBody {
            return inspect(hasBody: isChunked || (length ?? 0) > 0, limit: limit) { [self] body in
                send(body.map { .bytes($0) } ?? (length == 0 ? .bytes(ByteBuffer()) : nil), to: target)
            }
        }
        if isChunked || (length ?? 0) > Self.wholeBodyLimit {
            let source = CurlBodySource(length: isChunked ? nil : length)
            self.source = source
            guard send(.stream(source), to: target) else { return }
            upload(to: source, limit: limit)
        } else if let length, length > 0 {
            exchange.collectBody(upTo: limit) { [self] body in
                switch body {
                case .success(let body): send(.bytes(body), to: target)
                case .failure(.disconnected): break
                case .failure(let failure): respond(GatewayError(failure))
                }
            }
        } else {
            send(length == 0 ? .bytes(ByteBuffer()) : nil, to: target)
        }
    }

    /// Starts the request. False, and answered, when it is not admitted.
    @discardableResult
    private func send(_ body: CurlRequestBody?, to target: PassThroughTarget) -> Bool {
        if isListening {
            guard !worker.isClosed else {
                respond(GatewayError(.draining))
                return false
            }
        } else {
            guard source == nil ? admit() : admitUpload() else { return false }
        }
        beginUpstream(target.upstream.name)
        server = target.upstream.firstReachable
        let address = target.upstream.servers[server].address
        var request = CurlRequest(
            method: exchange.head.method.rawValue, url: url(at: target.upstream.servers[server]),
            unixSocketPath: address.socketPath, headers: RelayedHeaders.upstream(self, target.upstream),
            timeout: .zero,
            connectTimeout: target.upstream.configuration.connectTimeout,
            idleTimeout: isListening ? .zero : target.configuration.timeout,
            maximumResponseBytes: 0, mode: .streaming, tls: target.upstream.tls)
        request.body = body
        sentAt = .now()
        authorize(request)
        return true
    }

    private func url(at server: UpstreamServer) -> String {
        let query = exchange.query.map { "?" + $0 } ?? ""
        // Where the endpoint has redirected the gateway's own calls, it would redirect this one too.
        if prefix == .mcp, PassThroughPath.isEndpoint(exchange.path) {
            return (server.client?.endpoint ?? server.address.url) + query
        }
        let path = PassThroughPath.upstreamPath(exchange.path, prefix, endpoint: server.address.endpoint)
        return server.address.origin + path + query
    }

    /// Returns the URL to which the endpoint redirects, the first time: the client would come back to the same path.
    func redirectTarget(_ status: Int, _ headers: CurlHeaders) -> String? {
        guard status == 307 || status == 308, !isRedirected, source == nil, prefix == .mcp,
            PassThroughPath.isEndpoint(exchange.path), let request, let location = headers.first(name: "Location")
        else { return nil }
        return Redirect.target(location, from: request.url)
    }

    /// Starts a request with the gateway's own credentials, where the upstream has any.
    private func authorize(_ request: CurlRequest) {
        guard let upstream = target?.upstream, let credentials = upstream.credentials else { return start(request) }
        let bearer = self.credentials(for: upstream).subjectToken
        credentials.obtain(bearer: bearer, engine: worker.engine, on: exchange.eventLoop) { [self] result in
            guard !isDone else { return }
            switch result {
            case .failure(let error): refuse(error)
            case .success(let own):
                self.own = own
                var request = request
                for (name, value) in own.headers { request.headers.set(name: name, value: value) }
                start(request)
            }
        }
    }

    /// A refusal of the gateway's own credentials: the challenge of a 401, or of a 403 for want of a scope, and the error
    /// for the client, which must not be told to log in.
    struct Refusal {
        let status: Int
        let challenge: [String]
        let error: GatewayError
    }

    /// Returns the refusal of the gateway's own credentials that a response is, if it is one.
    func refusal(_ status: Int, _ headers: CurlHeaders) -> Refusal? {
        guard status == 401 || status == 403, own != nil, let upstream = target?.upstream,
            let credentials = upstream.credentials
        else { return nil }
        let challenge = headers.all(name: "WWW-Authenticate")
        if status == 403 {
            return credentials.insufficientScope(challenge).map {
                Refusal(status: status, challenge: challenge, error: $0)
            }
        }
        guard credentials.isAnswerable(forwarded: !self.credentials(for: upstream).credentials.isEmpty) else {
            return nil
        }
        let error = GatewayError(.upstreamRejected, detail: "the upstream refuses the gateway's own credentials")
        return Refusal(status: status, challenge: challenge, error: error)
    }

    /// Sends the request once more with new credentials after a refusal, unless the body was streamed.
    func `continue`(after refusal: Refusal) {
        transfer = nil
        guard let upstream = target?.upstream, let credentials = upstream.credentials, let own, let request,
            source == nil
        else { return refuse(refusal.error) }
        let bearer = self.credentials(for: upstream).subjectToken
        if refusal.status == 401, !isRenewed {
            isRenewed = true
            credentials.renew(after: own, bearer: bearer, challenge: refusal.challenge)
        } else if refusal.status == 403, !isSteppedUp,
            credentials.stepUp(after: own, bearer: bearer, challenge: refusal.challenge)
        {
            isSteppedUp = true
        } else {
            return refuse(refusal.error)
        }
        authorize(request)
    }

    func start(_ request: CurlRequest) {
        self.request = request
        transfer = worker.engine.start(request, on: exchange.eventLoop, receiver: self)
    }

    /// Sends the request again after a refused connection, to the same server or the next one, after a pause: a server
    /// that refused the connection has not seen the request. False when the body was streamed or the retry window is
    /// over.
    func startsAgain(after failure: CurlError) -> Bool {
        guard let upstream = target?.upstream, var request, source == nil, failure.kind == .couldNotConnect,
            !failure.requestSent
        else { return false }
        var backoff =
            self.backoff
            ?? Backoff(window: TimeAmount(upstream.configuration.retryWindow), pause: .milliseconds(25))
        guard let at = backoff.next(now: .now(), deadline: .distantFuture) else { return false }
        self.backoff = backoff
        server = (server + 1) % upstream.servers.count
        let address = upstream.servers[server].address
        request.url = url(at: upstream.servers[server])
        request.unixSocketPath = address.socketPath
        exchange.eventLoop.assumeIsolated().scheduleTask(deadline: at) { [self] in
            if !isDone { start(request) }
        }
        return true
    }

    /// Streams the client's body piece by piece: the next piece is read when the upstream has taken the last.
    private func upload(to source: CurlBodySource, limit: Int) {
        var total = 0
        exchange.streamBody { [weak self] bytes, consumed in
            guard let self, !isDone else { return }
            total += bytes.readableBytes
            guard total <= limit else { return refuse(GatewayError(.bodyTooLarge, executed: .unknown)) }
            source.write(bytes, consumed: consumed)
        } onEnd: { [weak self] result in
            guard let self, !isDone else { return }
            switch result {
            case .success:
                uploadEnded()
                source.finish()
            case .failure(.disconnected): stop()
            case .failure(let failure): refuse(GatewayError(failure))
            }
        }
    }

    /// Ends a request that turned out to be invalid while it was being sent.
    func refuse(_ error: GatewayError) {
        stop()
        if exchange.responseStarted {
            note(error)
            exchange.abort()
        } else {
            respond(error)
        }
    }

    /// Stops the transfer with the upstream.
    private func stop() {
        guard !isDone else { return }
        isDone = true
        source?.fail()
        transfer?.cancel()
    }

    override func cleanUp() {
        stop()
        transfer = nil
        source = nil
        request = nil
    }
}
