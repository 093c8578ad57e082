import CurlTransport
import HTTPServer
import HTTPSyntax
import MCPClient
import NIOCore
import NIOHTTP1

/// One request that goes to the upstream as it is, and whose response comes back as it is; both are streamed, and each
/// side waits for the other.
final class PassThroughExchange: GatewayExchange {
    /// Bodies up to this size are read before they are sent: one write instead of a stream.
    static let wholeBodyLimit = 65_536

    let prefix: PassThroughPath.Prefix
    /// Nil: nothing is passed through.
    let target: PassThroughTarget?
    /// The tools whose calls count in the limit of a type.
    let limitedTools: LimitedTools
    /// Whether the request asks for a list of tools.
    var listsTools = false
    /// Takes hidden tools out of the answer's lists; nil where there are none.
    private var listFilter: ToolListFilter?
    private var transfer: CurlTransfer?
    private var source: CurlBodySource?
    /// The upstream's part is over, in whatever way.
    private var isDone = false
    private var headArrived = false
    private var sentAt = NIODeadline.now()
    /// Which of the upstream's servers is asked.
    private var server = 0
    private var request: CurlRequest?
    /// The gateway's own credentials that went along.
    private var own: UpstreamCredentials.Own?
    /// Whether the response says that they are refused, so that it does not go to the client.
    private var isRefused = false
    /// Whether the request has been sent with new ones.
    private var isRenewed = false
    private var backoff: Backoff?
    /// The endpoint's redirect is followed once.
    private var isRedirected = false
    /// URL to ask when the transfer that was redirected has ended.
    private var redirect: String?

    init(
        _ exchange: HTTPExchange, _ worker: Worker, _ settings: RequestSettings, _ facts: RequestFacts,
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

    /// An event stream that the client opened to listen: it may stay silent for ever.
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

    /// False, and answered, when the request is not admitted.
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

    /// Returns the URL to which the endpoint itself redirects, the first time: the client would come back to the same path.
    private func redirectTarget(_ status: Int, _ headers: CurlHeaders) -> String? {
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

    /// Whether a response says that the gateway's own credentials are refused: the client is not told to log in.
    private func refusesGateway(_ status: Int) -> Bool {
        guard status == 401, own != nil, let upstream = target?.upstream else { return false }
        let isForwarded = !credentials(for: upstream).credentials.isEmpty
        return upstream.credentials?.isAnswerable(forwarded: isForwarded) ?? false
    }

    /// Goes on after such a response: once more with new credentials, unless the body was streamed.
    private func goOnRefused() {
        isRefused = false
        transfer = nil
        guard let upstream = target?.upstream, let own, let request, source == nil, !isRenewed else {
            return refuse(
                GatewayError(.upstreamRejected, detail: "the upstream refuses the gateway's own credentials"))
        }
        isRenewed = true
        upstream.credentials?.renew(after: own, bearer: credentials(for: upstream).subjectToken)
        authorize(request)
    }

    private func start(_ request: CurlRequest) {
        self.request = request
        transfer = worker.engine.start(request, on: exchange.eventLoop, receiver: self)
    }

    /// A server that refused the connection has seen nothing of the request: it is sent again, there or to the next one,
    /// a little later, unless it was streamed. False when the window for that is over.
    private func startsAgain(after failure: CurlError) -> Bool {
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

    /// The client's body, a piece at a time: the next one is read when the upstream took the last.
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

    /// The request turned out to be bad while it was on its way.
    private func refuse(_ error: GatewayError) {
        stop()
        if exchange.responseStarted {
            note(error)
            exchange.abort()
        } else {
            respond(error)
        }
    }

    /// Nothing more is wanted from the upstream; its stream is closed.
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

extension PassThroughExchange: CurlTransferReceiver {
    func transferHead(status: Int, headers: CurlHeaders) {
        guard !isDone else { return }
        if refusesGateway(status) {
            isRefused = true
            return
        }
        if let target = redirectTarget(status, headers) {
            (isRedirected, redirect) = (true, target)
            transfer?.cancel()
            return
        }
        headArrived = true
        upstream?.duration = .nanoseconds((NIODeadline.now() - sentAt).nanoseconds)
        let endpoint = prefix == .mcp ? target?.upstream.servers[server].address.endpoint : nil
        exchange.onWritable = { [weak self] in self?.transfer?.resume() }
        var down = RelayedHeaders.downstream(
            headers, own: self.headers(), url: request?.url ?? "", isPrivate: prefix == .auth,
            sharesByItself: settings.cors != nil
        ) { path in
            endpoint.flatMap { PassThroughPath.gatewayPath(path, endpoint: $0) } ?? String(path)
        }
        listFilter = filter(for: down)
        if listFilter != nil { down.remove(name: "Content-Length") }
        exchange.startResponse(status: HTTPResponseStatus(statusCode: status), headers: down)
        // An event stream may have nothing to say for long: its head must not wait for that.
        exchange.flush()
    }

    func transferBody(_ bytes: ByteBuffer) {
        guard !isDone, !isRefused, redirect == nil else { return }
        guard let bytes = filtered(bytes) else {
            return refuse(GatewayError(.upstreamInvalid, executed: .unknown, detail: "a list that is too large"))
        }
        exchange.write(bytes)
        exchange.flush()
        // A slow client slows the upstream down: what is on its way already is bounded by the engine's window.
        if !exchange.isWritable { transfer?.pause() }
    }

    /// Event streams may carry a list at any time, other answers only where one was asked for.
    private func filter(for headers: HTTPHeaders) -> ToolListFilter? {
        guard prefix == .mcp, let tools = target?.configuration.tools else { return nil }
        let isStream = headers["Content-Type"].contains { HTTPSyntax.hasPrefix($0, "text/event-stream") }
        guard isStream || listsTools else { return nil }
        return ToolListFilter(
            tools, isEventStream: isStream, limit: settings.limits.upstreamResponse)
    }

    /// Returns what of the bytes goes on; nil when there is too much to hold.
    private func filtered(_ bytes: ByteBuffer) -> ByteBuffer? {
        guard listFilter != nil else { return bytes }
        return listFilter?.feed(bytes)
    }

    func transferDone(_ result: Result<CurlResponse, CurlError>) {
        guard !isDone else { return }
        if isRefused { return goOnRefused() }
        transfer = nil
        if let target = redirect.take(), var request {
            request.url = target
            return start(request)
        }
        if case .failure(let failure) = result, startsAgain(after: failure) { return }
        isDone = true
        switch result {
        case .success:
            if let rest = listFilter?.finish() { exchange.write(rest) }
            exchange.endResponse()
        case .failure(let failure):
            let error = GatewayError(failure)
            if headArrived {
                note(error)
                exchange.abort()
            } else {
                respond(error)
            }
        }
    }
}
