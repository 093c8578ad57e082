import HTTPSyntax
import NIOCore
import NIOHTTP1

/// A check that a request passes before its route serves it.
///
/// ``order`` lists all of them, and every route uses it; a route defines the details of some. The body is received
/// afterwards (``GatewayRequest/receiveBody(upTo:_:)``), then the request is counted among those in flight, and only
/// then is it read: type, limits of the type, access, arguments.
enum RequestCheck {
    /// `Host` is one under which this listener may be addressed.
    case host
    /// The page that sent the request, if any, may send it.
    case origin
    /// The path has a route.
    case target
    /// A preflight request of a page that may read responses is answered here.
    case preflight
    /// The method is one that the route serves.
    case method
    /// The caller is within its limits.
    case rate

    /// The order in which requests pass the checks.
    static let order: [RequestCheck] = [.host, .origin, .target, .preflight, .method, .rate]

    /// Result of a check.
    enum Decision {
        case passed
        case refused(GatewayError)
        /// The request has been answered, or is served when it has passed.
        case taken
    }
}

/// Requirements of a route on its requests.
struct RoutePolicy {
    /// Methods that the route serves; nil: the route checks the method itself.
    var methods: [HTTPMethod]?
    /// Methods for the response to a preflight request; nil where pages of other origins may not read responses.
    var sharedMethods: String?
    /// True if requests count against the limits of their caller.
    var isLimited = false
}

extension GatewayRequest {
    /// Serves the request if it passes every check, and answers it otherwise.
    func start() { pass(RequestCheck.order[...], policy) }

    private func pass(_ checks: ArraySlice<RequestCheck>, _ policy: RoutePolicy) {
        for (place, check) in zip(checks.indices, checks) {
            switch verdict(of: check, policy, then: checks[(place + 1)...]) {
            case .passed: continue
            case .refused(let error): return respond(error)
            case .taken: return
            }
        }
        serve()
    }

    /// - Parameter rest: Checks that follow, for one that takes time.
    private func verdict(
        of check: RequestCheck, _ policy: RoutePolicy, then rest: ArraySlice<RequestCheck>
    ) -> RequestCheck.Decision {
        switch check {
        case .host:
            let refusal = settings.site.hostRefusal(of: facts.site, from: Peer(exchange.remoteAddress))
            return refusal.map { .refused(GatewayError($0)) } ?? .passed
        case .origin:
            let head = exchange.head
            let refusal = settings.site.originRefusal(
                of: facts.site, method: head.method.rawValue, from: Peer(exchange.remoteAddress),
                request: head.headers)
            return refusal.map { .refused(GatewayError($0)) } ?? .passed
        case .target:
            return targetRefusal.map { .refused($0) } ?? .passed
        case .preflight:
            guard let methods = policy.sharedMethods, answersPreflight(methods) else { return .passed }
            return .taken
        case .method:
            guard let methods = policy.methods, !methods.contains(exchange.head.method) else { return .passed }
            return .refused(GatewayError(.methodNotAllowed))
        case .rate:
            guard policy.isLimited, settings.limiter != nil else { return .passed }
            withinLimits(.request(isLogin: isLogin)) { [self] in pass(rest, policy) }
            return .taken
        }
    }

    /// Receives the whole body, then counts the request among those in flight; answers it where either fails.
    func receiveBody(upTo limit: Int, _ serve: @escaping (ByteBuffer) -> Void) {
        exchange.collectBody(upTo: limit) { [self] body in
            switch body {
            case .success(let body): if admit() { serve(body) }
            case .failure(.disconnected): break
            case .failure(let failure): respond(GatewayError(failure))
            }
        }
    }
}

extension GatewayError {
    /// Creates the error of a request for another host, or from a page that may not send it.
    init(_ refusal: SiteRule.Refusal) {
        self.init(refusal == .noHost ? .malformedRequest : .forbiddenOrigin, text: refusal.text)
    }
}
