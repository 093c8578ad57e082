import AuthorizationClient
import CurlTransport
import JSONConfiguration
import NIOCore
import Synchronization

/// Client of the authorization server of one upstream: finds the server, selects the scopes, fetches tokens.
///
/// What was found is used for ``discoveryLifetime``, and found again after a 401 of the upstream or a refusal of the
/// server.
final class TokenEndpoint: Sendable {
    /// A token with the scopes that were asked for.
    struct Issued: Sendable {
        let token: AccessToken
        let scope: ScopeSet
    }

    /// The authorization server and what the upstream says of itself.
    fileprivate struct Found {
        let tokenURL: String
        /// Issuer; nil where only the token endpoint is configured.
        let issuer: String?
        let authenticationMethods: [String]?
        /// Identifier of the protected resource, if it has metadata.
        let resource: String?
        /// Scopes that the upstream asks for, or that its metadata names.
        let scope: ScopeSet
    }

    private struct State {
        /// The upstream's last challenge; nil where it was not asked, or has none.
        var challenge: BearerRefusal?
        var isAsked = false
        var found: (Found, until: NIODeadline)?
        /// Issuer of the first token. The client's secret is not sent to another server that the upstream names later.
        var issuer: String?
    }

    private let configuration: TokenConfiguration
    private let reach: UpstreamReach
    private let kind: UpstreamConfiguration.Kind
    private let timeout: Duration
    private let state = Mutex(State())

    /// Time for which a discovered authorization server is used.
    static let discoveryLifetime = TimeAmount.minutes(10)

    /// - Parameter timeout: Time limit of the discovery and the request together.
    init(
        _ configuration: TokenConfiguration, _ reach: UpstreamReach, kind: UpstreamConfiguration.Kind, timeout: Duration
    ) {
        self.configuration = configuration
        self.reach = reach
        self.kind = kind
        self.timeout = timeout
    }

    /// Takes over the challenge of a 401, which may name another authorization server and other scopes than before. One
    /// that says nothing replaces none.
    func note(challenge fields: [String]) {
        let challenge = BearerRefusal(fields).flatMap { $0.metadataURL != nil || !$0.scope.names.isEmpty ? $0 : nil }
        state.withLock { state in
            state.found = nil
            if let challenge { (state.challenge, state.isAsked) = (challenge, true) }
        }
    }

    /// Fetches a token.
    ///
    /// - Parameters:
    ///   - subject: The caller's bearer token, for an exchange.
    ///   - secret: The client's current secret or private key.
    ///   - added: Scopes beside those that are selected anyway.
    /// - Throws: ``AuthorizationError``
    func fetch(
        subject: String?, secret: Secret?, adding added: ScopeSet = ScopeSet(), engine: CurlEngine
    ) async throws(AuthorizationError) -> Issued {
        do {
            return try await request(subject, secret, added, engine)
        } catch {
            state.withLock { $0.found = nil }
            throw error
        }
    }

    private func request(
        _ subject: String?, _ secret: Secret?, _ added: ScopeSet, _ engine: CurlEngine
    ) async throws(AuthorizationError) -> Issued {
        let isConfigured = configuration.tokenURL != nil || configuration.issuer != nil
        let send = await reach.sender(isConfigured: isConfigured, timeout: timeout, engine: engine)
        let found = try await find(send, engine)
        let client = ClientIdentity(id: configuration.clientID, proof: configuration.proof(secret))
        let authentication: ClientAuthentication =
            switch configuration.authentication {
            case .basic where configuration.secret != nil: .basic
            case .post where configuration.secret != nil: .post
            default: try ClientAuthentication.choose(for: client.proof, supported: found.authenticationMethods)
            }
        let scope = (configuration.scope.map { ScopeSet($0) } ?? found.scope).union(added)
        let request = TokenRequest(
            endpoint: found.tokenURL, audience: found.issuer ?? found.tokenURL, client: client,
            authentication: authentication, fields: fields(subject, found, scope))
        let token = try await request.send(send)
        state.withLock { if $0.issuer == nil { $0.issuer = found.issuer } }
        return Issued(token: token, scope: scope)
    }

    private func fields(_ subject: String?, _ found: Found, _ scope: ScopeSet) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = [("grant_type", configuration.grant.name)]
        if let subject {
            fields += [
                ("subject_token", subject),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ]
        }
        let parameters = [
            ("scope", scope.parameter), ("resource", configuration.resource ?? found.resource),
            ("audience", configuration.audience),
        ]
        for (name, value) in parameters { if let value { fields.append((name, value)) } }
        return fields
    }

    // MARK: Discovery

    private func find(
        _ send: @escaping AuthorizationDiscovery.Send, _ engine: CurlEngine
    ) async throws(AuthorizationError) -> Found {
        let challenge = state.withLock { $0.challenge }
        if let url = configuration.tokenURL {
            return Found(
                tokenURL: url, issuer: nil, authenticationMethods: nil, resource: nil,
                scope: challenge?.scope ?? ScopeSet())
        }
        if let (found, until) = state.withLock({ $0.found }), NIODeadline.now() < until { return found }
        let discovery = AuthorizationDiscovery(send: send)
        let found: Found
        if let issuer = configuration.issuer {
            guard let server = try await discovery.server(issuer) else {
                throw .unreachable("no metadata of \(issuer)")
            }
            found = Found(server, resource: nil, scope: challenge?.scope ?? ScopeSet())
        } else {
            found = try await discover(discovery, engine)
        }
        state.withLock { $0.found = (found, .now() + Self.discoveryLifetime) }
        return found
    }

    /// Asks the upstream which authorization server protects it.
    private func discover(
        _ discovery: AuthorizationDiscovery, _ engine: CurlEngine
    ) async throws(AuthorizationError) -> Found {
        guard let url = ServerURL(reach.url) else { throw .invalid("the upstream's address has no metadata") }
        let challenge = try await challenge(engine)
        guard
            let resource = try await discovery.protectedResource(
                url, identifier: configuration.resource, challenged: challenge?.metadataURL)
        else { throw .invalid("the upstream names no authorization server") }
        let scope = challenge.flatMap { $0.scope.names.isEmpty ? nil : $0.scope } ?? resource.scopes ?? ScopeSet()
        let pinned = state.withLock { $0.issuer }
        var failure = AuthorizationError.invalid("the upstream names no authorization server")
        for issuer in resource.authorizationServers {
            if let pinned, !pinned.utf8.elementsEqual(issuer.utf8) {
                failure = .invalid("the upstream names another authorization server than before, \(issuer.prefix(200))")
                continue
            }
            do throws(AuthorizationError) {
                guard let server = try await discovery.server(issuer) else {
                    throw .unreachable("no metadata of \(issuer.prefix(200))")
                }
                guard server.grantTypes?.contains(configuration.grant.name) ?? true else {
                    throw .invalid("\(issuer.prefix(200)) does not support the grant \(configuration.grant.name)")
                }
                return Found(server, resource: resource.resource, scope: scope)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    /// Returns the upstream's challenge: that of its last 401, or of a request without a token.
    private func challenge(_ engine: CurlEngine) async throws(AuthorizationError) -> BearerRefusal? {
        let (known, isAsked) = state.withLock { ($0.challenge, $0.isAsked) }
        if isAsked { return known }
        let challenge = BearerRefusal(
            try await reach.challenge(Self.question(to: kind, reach.url), timeout: timeout, engine: engine))
        state.withLock { state in
            if !state.isAsked { (state.challenge, state.isAsked) = (challenge, true) }
        }
        return challenge
    }

    /// Returns a request that changes nothing and that a protected upstream refuses. An MCP server may answer
    /// `initialize` and `server/discover` without credentials, so that its tools are asked for.
    private static func question(to kind: UpstreamConfiguration.Kind, _ url: String) -> CurlRequest {
        guard kind == .mcp else { return CurlRequest(url: url) }
        return CurlRequest(
            method: "POST", url: url,
            headers: [
                (name: "Content-Type", value: "application/json"),
                (name: "Accept", value: "application/json, text/event-stream"),
            ], body: ByteBuffer(string: #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#))
    }
}

extension TokenEndpoint.Found {
    fileprivate init(_ server: AuthorizationServerMetadata, resource: String?, scope: ScopeSet) {
        self.init(
            tokenURL: server.tokenEndpoint, issuer: server.issuer, authenticationMethods: server.authenticationMethods,
            resource: resource, scope: scope)
    }
}

extension TokenConfiguration.Grant {
    /// Value of `grant_type`.
    fileprivate var name: String {
        switch self {
        case .clientCredentials: "client_credentials"
        case .exchange: "urn:ietf:params:oauth:grant-type:token-exchange"
        }
    }
}

extension TokenConfiguration {
    /// Returns the client's proof of its identity with the current secret.
    fileprivate func proof(_ current: Secret?) -> ClientIdentity.Proof {
        guard let current else { return .none }
        if privateKey != nil { return .key(pem: current.value, keyID: keyID) }
        return secret != nil ? .secret(current.value) : .none
    }
}
