import HTTPServer
import HTTPSyntax
import MCP
import MCPClient
import NIOCore
import NIOHTTP1
import Observability

/// One request on its way through the gateway: its metadata, its response, and its metrics and log line. Confined to
/// its event loop.
///
/// A class hierarchy, so that a request costs one object; the routes are the subclasses.
class GatewayRequest {
    let exchange: HTTPExchange
    let worker: Worker
    /// The configuration as it was when the request came; a reload does not change it.
    let settings: RequestSettings
    let facts: RequestHeaders
    private(set) var label: GatewayErrorLabel?
    /// Details of the error for the log; never sent to the client.
    private(set) var errorDetail: String?
    /// Record of the upstream's part, once an upstream has been asked.
    var upstream: UpstreamRecord?
    /// Kind of the upstream that serves the request, where it may be one of several.
    var side: UpstreamConfiguration.Kind?
    private var admission = Admission.none
    /// Span of this request; nil while tracing is off.
    let trace: TraceContext?

    /// Limit against which the request counts.
    private enum Admission {
        case none
        /// `limits.concurrentRequests`
        case request
        /// `limits.uploads`
        case upload
    }

    /// Record of the upstream's part in the request.
    struct UpstreamRecord {
        var name: String
        /// Timings of a finished call.
        var timings: MCPCallTimings?
        /// Time until the head of the response, of a request that was passed through.
        var duration: Duration?
        var era: MCPEra?
        var sessionReused: Bool?
        var replays = 0
        /// The call's own span; nil while tracing is off.
        var span: TraceContext?
        var start = NIODeadline.uptimeNanoseconds(0)
        /// End of the upstream's part; nil: it ended with the response.
        var end: NIODeadline?
    }

    init(_ exchange: HTTPExchange, _ worker: Worker, _ settings: RequestSettings, _ facts: RequestHeaders) {
        self.exchange = exchange
        self.worker = worker
        self.settings = settings
        self.facts = facts
        trace = worker.tracer.map { $0.sampler.begin(facts.traceparent.flatMap { TraceContext(traceparent: $0) }) }
        // The closure keeps this object alive until the response has been sent; `finished` breaks the cycle.
        exchange.onFinish = { [self] summary in finished(summary) }
    }

    /// Configured type of the request, if it has one.
    var type: TypeInstruments? { nil }
    /// Requirements of the route on its requests.
    var policy: RoutePolicy { RoutePolicy() }
    /// Error for a path that is not served; nil when it is.
    var targetRefusal: GatewayError? { nil }
    /// True if the request may be a login attempt.
    var isLogin: Bool { false }
    /// Serves a request that has passed the checks. This implementation is for paths without a route.
    func serve() { respond(GatewayError(.notFound)) }
    /// The route's name, for metrics and the log; a bounded set.
    var route: String { "other" }
    /// Returns the outcome of the request for metrics; a bounded set.
    func outcome(_ status: Int) -> String { status == 499 ? "client_closed" : label?.rawValue ?? "ok" }

    /// True if the peer is a proxy whose `X-Forwarded-…` fields are trusted.
    var isFromTrustedProxy: Bool { settings.trustedProxies.contains(Peer(exchange.remoteAddress)) }

    /// Address of the client, for limits and the log; nil for a peer on a Unix socket that does not forward one.
    var clientAddress: IPAddress? {
        settings.clientAddress.address(of: Peer(exchange.remoteAddress)) {
            exchange.head.headers[$0]
        }
    }

    /// Counts the request among those in flight once its body has been read, so that a slow sender does not take the
    /// place of others. False, and answered, when there are too many or the process is stopping.
    func admit() -> Bool {
        admit(worker.active < settings.activeLimit) {
            worker.active += 1
            admission = .request
        }
    }

    /// Counts the request among those whose body is streamed to the upstream while it arrives. False, and answered,
    /// when there are too many or the process is stopping.
    func admitUpload() -> Bool {
        admit(worker.uploads < settings.uploadLimit) {
            worker.uploads += 1
            admission = .upload
        }
    }

    /// Moves a request whose streamed body is complete from the uploads to the requests in flight.
    func uploadEnded() {
        guard admission == .upload else { return }
        worker.uploads -= 1
        worker.active += 1
        admission = .request
    }

    private func admit(_ hasRoom: Bool, _ count: () -> Void) -> Bool {
        if worker.isClosed {
            respond(GatewayError(.draining))
            return false
        }
        guard hasRoom else {
            respond(GatewayError(.overloaded))
            return false
        }
        count()
        return true
    }

    private func release() {
        switch admission {
        case .none: break
        case .request: worker.active -= 1
        case .upload: worker.uploads -= 1
        }
        admission = .none
    }

    /// Records that an upstream is asked now.
    func beginUpstream(_ name: String) {
        upstream = UpstreamRecord(name: name)
        if let trace {
            upstream?.span = trace.child()
            upstream?.start = .now()
        }
    }

    // MARK: Answering

    /// Returns the headers that every response carries.
    func headers(capacity: Int = 6) -> HTTPHeaders {
        var lines: [(String, String)] = []
        lines.reserveCapacity(capacity + 2)
        lines.append(("X-Request-Id", facts.requestID))
        if settings.serverTiming {
            let total = (NIODeadline.now() - exchange.start).nanoseconds
            let timings = upstream?.timings
            var text = ServerTiming.text(
                session: timings?.session, upstream: timings?.upstream ?? upstream?.duration,
                totalNanoseconds: total, queue: timings?.queue ?? .zero, connect: timings?.connect ?? .zero)
            if let side { text += ", route;desc=\"\(side.rawValue)\"" }
            lines.append(("Server-Timing", text))
        }
        var headers = HTTPHeaders(lines)
        if let cors = settings.cors, policy.sharedMethods != nil {
            cors.add(to: &headers, origin: facts.site.origin)
        }
        return headers
    }

    func respond(json body: ByteBuffer, setCookies: [String] = []) {
        var headers = headers()
        headers.add(contentsOf: SecurityHeaders.json)
        for cookie in setCookies { headers.add(name: "Set-Cookie", value: cookie) }
        exchange.respond(status: .ok, headers: headers, body: body)
    }

    func respond(_ error: GatewayError) {
        note(error)
        let response = GatewayErrorResponse(
            error, style: settings.errors, wantsProblem: facts.wantsProblem,
            requestID: facts.requestID)
        var headers = headers(capacity: 8)
        headers.add(contentsOf: response.headers)
        exchange.respond(status: response.status, headers: headers, body: response.body)
    }

    /// Stores the error for metrics and the log.
    func note(_ error: GatewayError) {
        label = error.label
        errorDetail = error.detail
        if error.label == .internal {
            worker.logger.error("internal error", metadata: ["http.request_id": "\(facts.requestID)"])
        }
    }

    // MARK: Afterwards

    /// Releases what refers to the exchange, which is over. For subclasses.
    func cleanUp() {}

    private func finished(_ summary: HTTPExchangeSummary) {
        exchange.onFinish = nil
        exchange.onDisconnect = nil
        exchange.onWritable = nil
        cleanUp()
        release()
        measure(summary)
        if let trace, trace.isSampled { worker.tracer?.record(self, trace, summary) }
        if settings.accessLog { worker.accessLog?.write { line in write(summary, to: &line) } }
    }

    private func measure(_ summary: HTTPExchangeSummary) {
        let outcome = outcome(summary.status)
        let nanoseconds = summary.duration.nanoseconds
        if let side {
            let type = type?.name ?? "other"
            worker.metrics.routed.with(type, side.rawValue, outcome).increment()
            worker.metrics.routedDurations.with(type, side.rawValue).observe(nanoseconds: nanoseconds)
        }
        if let type {
            if outcome == "ok", summary.status == 200 {
                type.succeeded.increment()
            } else {
                worker.metrics.requests.with(type.name, type.tool, "\(summary.status)", outcome).increment()
            }
            type.duration.observe(nanoseconds: nanoseconds)
            if let timings = upstream?.timings { type.phases.observe(timings) }
        } else {
            let metrics = worker.metrics
            let key = RouteOutcome(status: summary.status, route: route, outcome: outcome)
            let instruments = worker.routes.instruments(of: key) {
                .init(
                    requests: metrics.requests.with(route, "", "\(key.status)", outcome),
                    durations: metrics.durations.with(route, ""))
            }
            instruments.requests.increment()
            instruments.durations.observe(nanoseconds: nanoseconds)
        }
        if summary.status == 401 || summary.status == 403 {
            let reason = label ?? (summary.status == 401 ? .unauthorized : .forbidden)
            worker.metrics.refusedCredentials.with(route, reason.rawValue).increment()
        }
        if let replays = upstream?.replays, replays > 0, let name = upstream?.name {
            worker.metrics.replays.with(name).increment(by: UInt64(replays))
        }
    }
}

extension Duration {
    /// Milliseconds with three decimal places.
    var milliseconds: Double { Double(nanoseconds / 1000) / 1000 }
}
