import AuthorizationClient
import CurlTransport
import JSONConfiguration
import MCPClient
import NIOCore
import Synchronization

/// The gateway's own credentials for one upstream: fixed headers, and a token. Shared by all workers.
final class UpstreamCredentials: Sendable {
    private let headers: [(name: String, source: SecretSource)]
    private let current: Mutex<[(name: String, value: String)]>
    private let tokens: TokenSource?
    private let grant: TokenConfiguration.Grant?
    private let redact: @Sendable (String) -> Void

    /// Headers that a call carries in place of the caller's own.
    struct Own: Sendable {
        var headers: [(name: String, value: String)]
        /// The token among them.
        var token: String?
    }

    /// Creates the credentials of an upstream; nil when it has none of its own.
    init?(_ configuration: UpstreamConfiguration, redact: @escaping @Sendable (String) -> Void) {
        guard !configuration.headers.isEmpty || configuration.token != nil else { return nil }
        headers = configuration.headers.map { ($0.name, $0.value) }
        current = Mutex(configuration.headers.map { ($0.name, $0.value.value.value) })
        grant = configuration.token?.grant
        tokens = configuration.token.map { TokenSource($0, configuration, redact: redact) }
        self.redact = redact
    }

    /// Returns whether a 401 to a call refers to these credentials rather than the caller's.
    ///
    /// - Parameter forwarded: True if credentials of the caller were sent too.
    func isAnswerable(forwarded: Bool) -> Bool {
        tokens != nil || !forwarded || headers.contains { $0.name.lowercased() == "authorization" }
    }

    /// Gets the headers of a call, at once where nothing has to be fetched.
    ///
    /// - Parameters:
    ///   - bearer: The caller's bearer token, for an exchange.
    ///   - completion: Called exactly once, on the event loop, perhaps before this method returns.
    func obtain(
        bearer: String?, engine: CurlEngine, on eventLoop: any EventLoop,
        completion: @escaping (Result<Own, GatewayError>) -> Void
    ) {
        guard let tokens else { return completion(.success(own(token: nil))) }
        if grant == .exchange, bearer == nil {
            var error = GatewayError(.unauthorized, text: "Not authenticated")
            error.challenges = ["Bearer"]
            return completion(.failure(error))
        }
        let subject = grant == .exchange ? bearer ?? "" : ""
        if let token = tokens.known(for: subject, now: .now()) { return completion(.success(own(token: token))) }
        let bound = NIOLoopBound((credentials: self, completion: completion), eventLoop: eventLoop)
        tokens.fetch(for: subject, engine: engine, on: eventLoop) { outcome in
            switch outcome {
            case .success(let token): bound.value.completion(.success(bound.value.credentials.own(token: token)))
            case .failure(let failure): bound.value.completion(.failure(GatewayError(failure)))
            }
        }
    }

    /// Prepares another attempt after the upstream has refused these credentials.
    ///
    /// - Parameter challenge: Values of `WWW-Authenticate` of the 401.
    func renew(after refused: Own, bearer: String?, challenge: [String]) {
        if let tokens, let token = refused.token {
            tokens.forget(token, for: grant == .exchange ? bearer ?? "" : "", challenge: challenge)
        }
        let fresh = headers.map { header in
            (header.name, (try? header.source.read())?.value ?? header.source.value.value)
        }
        for (_, value) in fresh { redact(value) }
        current.withLock { $0 = fresh }
    }

    /// Prepares another attempt with a token for more scopes, after a 403 that says that the token lacks one.
    ///
    /// - Parameter challenge: Values of `WWW-Authenticate` of the 403.
    /// - Returns: False where another attempt would be refused as well.
    func stepUp(after refused: Own, bearer: String?, challenge: [String]) -> Bool {
        guard let tokens, let token = refused.token, let refusal = BearerRefusal(challenge),
            refusal.isInsufficientScope
        else { return false }
        return tokens.stepUp(
            from: token, for: grant == .exchange ? bearer ?? "" : "", to: refusal.scope, now: .now())
    }

    /// Prepares the next attempt after a failure, where it is a refusal of these credentials.
    func note(_ failure: GatewayError, of own: Own) {
        switch failure.label {
        case .unauthorized: renew(after: own, bearer: nil, challenge: failure.challenges)
        case .forbidden: _ = stepUp(after: own, bearer: nil, challenge: failure.challenges)
        default: break
        }
    }

    /// Returns the error of a 403 which says that a token of the gateway lacks a scope; nil for any other one, which is
    /// the caller's. No caller can get another token for the gateway, so that the challenge is not passed on.
    func insufficientScope(_ challenge: [String]) -> GatewayError? {
        guard let grant, BearerRefusal(challenge)?.isInsufficientScope == true else { return nil }
        let detail = "the upstream wants a scope that the gateway's token lacks"
        return GatewayError(grant == .exchange ? .forbidden : .upstreamRejected, detail: detail)
    }

    /// The fixed headers alone.
    var fixed: Own { own(token: nil) }

    private func own(token: String?) -> Own {
        var own = Own(headers: current.withLock { $0 }, token: token)
        if let token {
            own.headers.removeAll { $0.name.lowercased() == "authorization" }
            own.headers.append(("Authorization", "Bearer " + token))
        }
        return own
    }
}

extension ForwardedCredentials {
    /// Returns the headers with the upstream's own in place of those of the same name.
    func with(_ own: UpstreamCredentials.Own) -> ForwardedCredentials {
        var result = self
        func isReplaced(_ header: (name: String, value: String)) -> Bool {
            own.headers.contains { $0.name.lowercased() == header.name.lowercased() }
        }
        result.credentials.removeAll(where: isReplaced)
        result.perRequest.removeAll(where: isReplaced)
        result.credentials += own.headers
        return result
    }
}

extension GatewayError {
    /// Creates the error of a call for which no token was issued.
    init(_ failure: AuthorizationError) {
        switch failure {
        case .callerRefused(let detail):
            self.init(.unauthorized, detail: detail)
            challenges = ["Bearer error=\"invalid_token\""]
        case .refused(let detail): self.init(.upstreamRejected, detail: detail)
        case .unreachable(let detail): self.init(.upstreamUnreachable, detail: detail)
        case .invalid(let detail): self.init(.upstreamInvalid, detail: detail)
        }
    }
}
