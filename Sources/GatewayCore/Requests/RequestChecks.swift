import HTTPSyntax
import NIOCore
import NIOHTTP1

/// A check that a request passes before its route serves it.
///
/// ``order`` is the one list of them, which every route reads; a route says what some of them mean for it. The body is
/// received afterwards (``GatewayExchange/receiveBody(upTo:_:)``), then the request takes its place among those in
/// flight, and only then is it read: type, limits of the type, access, arguments.
enum RequestCheck {
    /// `Host` is one under which this listener may be addressed.
    case host
    /// No page sent it that may not.
    case origin
    /// The path, and what serves it.
    case target
    /// A preflight request of a page that may read answers is answered here.
    case preflight
    /// The method is one of the route's.
    case method
    /// The caller is within its limits.
    case rate

    /// The order in which requests pass the checks.
    static let order: [RequestCheck] = [.host, .origin, .target, .preflight, .method, .rate]

    /// What a check decides.
    enum Verdict {
        case passed
        case refused(GatewayError)
        /// The request has its answer.
        case answered
    }
}

/// What a route asks of a request.
struct RoutePolicy {
    /// The methods that the route serves; nil: it tells by itself.
    var methods: [HTTPMethod]?
    /// What a preflight request is told of the methods; nil where pages of other origins read no answers.
    var sharedMethods: String?
    /// Whether requests count in the limits of their caller.
    var isLimited = false
}

extension GatewayExchange {
    /// Serves the request if it passes every check, and answers it otherwise.
    func start() {
        let policy = policy
        for check in RequestCheck.order {
            switch verdict(of: check, policy) {
            case .passed: continue
            case .refused(let error): return respond(error)
            case .answered: return
            }
        }
        serve()
    }

    private func verdict(of check: RequestCheck, _ policy: RoutePolicy) -> RequestCheck.Verdict {
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
            return .answered
        case .method:
            guard let methods = policy.methods, !methods.contains(exchange.head.method) else { return .passed }
            return .refused(GatewayError(.methodNotAllowed))
        case .rate:
            guard policy.isLimited else { return .passed }
            return rateRefusal(isLogin: isLogin).map { .refused($0) } ?? .passed
        }
    }

    /// Receives the whole body, then takes the request in among those in flight; answers it where either fails.
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
    /// A request that is not for this site, or comes from a page that may not send it.
    init(_ refusal: SiteRule.Refusal) {
        self.init(refusal == .noHost ? .malformedRequest : .forbiddenOrigin, text: refusal.text)
    }
}
