import CurlTransport
import HTTPServer
import HTTPSyntax
import MCPClient
import NIOCore
import NIOHTTP1

/// A request that is sent to the upstream unchanged, and whose response is returned unchanged; both are streamed with
/// backpressure.
final class PassThroughExchange: GatewayExchange {
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
    private var listFilter: ToolListFilter?
    private var transfer: CurlTransfer?
    private var source: CurlBodySource?
    /// True once the transfer with the upstream is over, with or without success.
    private var isDone = false
    private var headArrived = false
    private var sentAt = NIODeadline.now()
    /// Position of the server that is asked, in the upstream's order.
    private var server = 0
    private var request: CurlRequest?
    /// The gateway's own credentials that were sent.
    private var own: UpstreamCredentials.Own?
    /// True if the upstream refused the gateway's own credentials, so that the response is not sent to the client.
    private var isRefused = false
    /// True once the request has been sent again with new credentials.
    private var isRenewed = false
    private var backoff: Backoff?
    /// True once a redirect of the endpoint has been followed; only one is.
    private var isRedirected = false
    /// URL that is asked when the redirected transfer has ended.
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

    /// Returns whether a response refuses the gateway's own credentials. Such a 401 must not tell the client to log in.
    private func refusesGateway(_ status: Int) -> Bool {
        guard status == 401, own != nil, let upstream = target?.upstream else { return false }
        let isForwarded = !credentials(for: upstream).credentials.isEmpty
        return upstream.credentials?.isAnswerable(forwarded: isForwarded) ?? false
    }

    /// Sends the request once more with new credentials after such a response, unless the body was streamed.
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

    /// Sends the request again after a refused connection, to the same server or the next one, after a pause: a server
    /// that refused the connection has not seen the request. False when the body was streamed or the retry window is
    /// over.
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
    private func refuse(_ error: GatewayError) {
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
        // An event stream may be silent for long: its head must not wait for the first event.
        exchange.flush()
    }

    func transferBody(_ bytes: ByteBuffer) {
        guard !isDone, !isRefused, redirect == nil else { return }
        guard let bytes = filtered(bytes) else {
            return refuse(GatewayError(.upstreamInvalid, executed: .unknown, detail: "a list that is too large"))
        }
        exchange.write(bytes)
        exchange.flush()
        // A slow client slows down the upstream: the bytes already on their way are bounded by the engine's window.
        if !exchange.isWritable { transfer?.pause() }
    }

    /// Returns the filter for a response. Event streams may carry a list at any time, other responses only where one
    /// was requested.
    private func filter(for headers: HTTPHeaders) -> ToolListFilter? {
        guard prefix == .mcp, let tools = target?.tools else { return nil }
        let isStream = headers["Content-Type"].contains { HTTPSyntax.hasPrefix($0, "text/event-stream") }
        guard isStream || listsTools else { return nil }
        return ToolListFilter(
            tools, isEventStream: isStream, limit: settings.limits.upstreamResponse)
    }

    /// Returns the filtered bytes; nil when more would have to be held than the limit allows.
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
