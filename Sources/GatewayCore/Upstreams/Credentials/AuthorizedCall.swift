import CurlTransport
import MCPClient
import NIOCore

/// A call of an upstream for which the gateway has credentials of its own: waits for them, and repeats the call once
/// when they are refused. Confined to its event loop.
final class AuthorizedCall: RunningCall, CallReceiver {
    private let credentials: UpstreamCredentials
    private let balancer: LoadBalancer
    private let engine: CurlEngine
    private let eventLoop: any EventLoop
    private let call: UpstreamCall
    /// True if credentials of the caller are forwarded.
    private let forwardsCredentials: Bool
    private var receiver: (any CallReceiver)?
    private var own = UpstreamCredentials.Own(headers: [])
    private var running: (any RunningCall)?
    private var expiry: Scheduled<Void>?
    private var isAccepted = false
    private var isRenewed = false
    private var isSteppedUp = false
    /// True while the call waits for the credentials.
    private var isWaiting = false

    init(
        _ call: UpstreamCall, _ credentials: UpstreamCredentials, balancer: LoadBalancer, engine: CurlEngine,
        eventLoop: any EventLoop, receiver: any CallReceiver
    ) {
        self.call = call
        forwardsCredentials = call.forwardsCredentials
        self.credentials = credentials
        self.balancer = balancer
        self.engine = engine
        self.eventLoop = eventLoop
        self.receiver = receiver
    }

    func start() {
        isWaiting = true
        credentials.obtain(bearer: call.bearer, engine: engine, on: eventLoop) { [self] result in
            // The call may have been cancelled meanwhile, or its deadline has passed.
            guard isWaiting else { return }
            isWaiting = false
            expiry?.cancel()
            switch result {
            case .failure(let error): finish(.refused(error))
            case .success(let own):
                self.own = own
                let running = balancer.start(call.with(own), for: self)
                if receiver != nil, !isWaiting { self.running = running }
            }
        }
        guard isWaiting else { return }
        expiry = eventLoop.assumeIsolated().scheduleTask(deadline: call.deadline) { [self] in
            guard isWaiting else { return }
            isWaiting = false
            finish(.refused(GatewayError(.upstreamTimeout, detail: "no token in time")))
        }
    }

    func cancel() {
        if isWaiting {
            isWaiting = false
            expiry?.cancel()
            finish(.cancelled)
        } else {
            running?.cancel()
        }
    }

    func callAccepted() {
        guard !isAccepted else { return }
        isAccepted = true
        receiver?.callAccepted()
    }

    func callEnded(_ outcome: UpstreamOutcome) {
        running = nil
        let refusal = outcome.refusal
        if refusal?.status == 403, let challenge = refusal?.challenge,
            let error = credentials.insufficientScope(challenge)
        {
            if !isSteppedUp, NIODeadline.now() < call.deadline,
                credentials.stepUp(after: own, bearer: call.bearer, challenge: challenge)
            {
                isSteppedUp = true
                return start()
            }
            return finish(.failure(.rejected(outcome, error)))
        }
        let isAnswerable =
            balancer.upstream.kind != .mcp || credentials.isAnswerable(forwarded: forwardsCredentials)
        guard let refusal, refusal.status == 401, isAnswerable else { return finish(outcome) }
        if !isRenewed, NIODeadline.now() < call.deadline {
            isRenewed = true
            credentials.renew(after: own, bearer: call.bearer, challenge: refusal.challenge)
            return start()
        }
        // The gateway's own credentials are refused, so that the caller must not be asked for others.
        let detail = "the upstream refuses the gateway's own credentials"
        finish(.failure(.rejected(outcome, GatewayError(.upstreamRejected, detail: detail))))
    }

    private func finish(_ outcome: UpstreamOutcome) { receiver.take()?.callEnded(outcome) }
}

extension UpstreamError {
    /// Returns the failure of a call whose credentials, the gateway's own, were refused.
    fileprivate static func rejected(_ outcome: UpstreamOutcome, _ error: GatewayError) -> UpstreamError {
        var failure = UpstreamError(MCPCallError(kind: .rejected, executed: .no, detail: error.detail ?? ""))
        failure.error = error
        if case .failure(let refused) = outcome {
            failure.timings = refused.timings
            failure.replays = refused.replays
            failure.sessionReused = refused.sessionReused
        }
        return failure
    }
}

extension UpstreamOutcome {
    /// The status of a 401 or 403 and its values of `WWW-Authenticate`; nil for any other outcome.
    fileprivate var refusal: (status: Int, challenge: [String])? {
        switch self {
        case .failure(let failure) where failure.error.label == .unauthorized: (401, failure.error.challenges)
        case .failure(let failure) where failure.error.label == .forbidden: (403, failure.error.challenges)
        case .response(let response) where response.status == 401 || response.status == 403:
            (response.status, response.headers.all(name: "WWW-Authenticate"))
        default: nil
        }
    }
}

extension UpstreamCall {
    /// The caller's bearer token, as the gateway received it.
    fileprivate var bearer: String? {
        switch self {
        case .tool(let call): call.credentials.subjectToken
        case .payload(let payload): payload.subjectToken
        case .request(let request): request.credentials.subjectToken
        case .describe(let credentials, _): credentials.subjectToken
        }
    }

    /// True if credentials of the caller are forwarded to the upstream.
    fileprivate var forwardsCredentials: Bool {
        switch self {
        case .tool(let call): !call.credentials.credentials.isEmpty
        case .payload(let payload): payload.forwardsCredentials
        case .request(let request): !request.credentials.credentials.isEmpty
        case .describe(let credentials, _): !credentials.credentials.isEmpty
        }
    }

    fileprivate func with(_ own: UpstreamCredentials.Own) -> UpstreamCall {
        switch self {
        case .tool(var call):
            call.credentials = call.credentials.with(own)
            return .tool(call)
        case .request(var request):
            request.credentials = request.credentials.with(own)
            return .request(request)
        case .describe(let credentials, let deadline):
            return .describe(credentials.with(own), deadline: deadline)
        case .payload(var payload):
            for (name, value) in own.headers { payload.headers.set(name: name, value: value) }
            return .payload(payload)
        }
    }
}
