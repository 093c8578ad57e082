import CurlTransport
import Foundation
import JSON
import JSONConfiguration
import MCP
import NIOCore

/// An access token with its remaining lifetime.
struct AccessToken: Sendable {
    let value: String
    let lifetime: Duration
}

/// Client of an authorization server: finds the token endpoint, authenticates itself, reads the response.
struct TokenEndpoint: Sendable {
    /// Reason why no token was issued.
    enum Failure: Error {
        /// The authorization server refuses the gateway, or its request.
        case refused(String)
        /// The authorization server refuses the caller's token.
        case callerRefused(String)
        case unreachable(String)
        case invalid(String)
    }

    let configuration: TokenConfiguration
    /// The upstream that the token is for.
    let upstream: UpstreamAddress
    let timeout: Duration

    /// Largest response of an authorization server, in bytes.
    private static let responseLimit = 65_536
    /// Lifetime of a token whose response does not state one.
    private static let defaultLifetime = Duration.seconds(300)

    /// Fetches a token.
    ///
    /// - Parameters:
    ///   - subject: The caller's bearer token, for an exchange.
    ///   - secret: The client's current secret or private key.
    /// - Throws: ``Failure``
    func fetch(subject: String?, secret: Secret?, engine: CurlEngine) async throws -> AccessToken {
        let url = try await tokenURL(engine)
        let response = try await send(
            CurlRequest(
                method: "POST", url: url, headers: headers(secret),
                body: ByteBuffer(string: PercentEncoding.form(try fields(subject: subject, secret: secret, url: url)))),
            engine)
        guard response.status == 200 else { throw Self.refusal(response, isExchange: subject != nil) }
        guard let document = Self.document(response), let token = document["access_token"]?.string, Self.isToken(token)
        else { throw Failure.invalid("the token endpoint's answer has no access_token") }
        if let type = document["token_type"]?.string, type.lowercased() != "bearer" {
            throw Failure.invalid("the token is of another type than Bearer")
        }
        // A number beyond a day counts as a day, so that the arithmetic cannot overflow.
        let seconds = document["expires_in"]?.double ?? document["expires_in"]?.string.flatMap(Double.init)
        let lifetime = seconds.map { Duration.seconds($0.isFinite ? min(max($0, 0), 86_400) : 0) }
        return AccessToken(value: token, lifetime: lifetime ?? Self.defaultLifetime)
    }

    // MARK: The request

    private func headers(_ secret: Secret?) -> CurlHeaders {
        var headers: CurlHeaders = [
            (name: "Content-Type", value: "application/x-www-form-urlencoded"),
            (name: "Accept", value: "application/json"),
        ]
        if configuration.secret != nil, configuration.authentication == .basic, let secret {
            // Both parts are form-encoded first (RFC 6749, section 2.3.1).
            let pair =
                PercentEncoding.encode(configuration.clientID.utf8) + ":" + PercentEncoding.encode(secret.value.utf8)
            headers.append(name: "Authorization", value: "Basic " + Base64.encode(pair.utf8))
        }
        return headers
    }

    private func fields(subject: String?, secret: Secret?, url: String) throws -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        if let subject {
            fields = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", subject),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ]
        } else {
            fields = [("grant_type", "client_credentials")]
        }
        for (name, value) in [
            ("scope", configuration.scope), ("resource", configuration.resource), ("audience", configuration.audience),
        ] {
            if let value { fields.append((name, value)) }
        }
        if configuration.privateKey != nil {
            guard let secret, let key = ClientAssertion.Key(pem: secret.value) else {
                throw Failure.refused("the private key cannot be used")
            }
            let assertion = try ClientAssertion.make(
                clientID: configuration.clientID, audience: configuration.issuer ?? url, key: key,
                keyID: configuration.keyID, now: Date())
            fields += [
                ("client_id", configuration.clientID),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion),
            ]
        } else if configuration.secret == nil || configuration.authentication == .post {
            fields.append(("client_id", configuration.clientID))
            if configuration.secret != nil, let secret { fields.append(("client_secret", secret.value)) }
        }
        return fields
    }

    private func send(_ request: CurlRequest, _ engine: CurlEngine) async throws -> CurlResponse {
        var request = request
        request.timeout = timeout
        request.maximumResponseBytes = Self.responseLimit
        do {
            return try await engine.execute(request)
        } catch {
            throw Failure.unreachable("the authorization server: \(error)")
        }
    }

    private static func refusal(_ response: CurlResponse, isExchange: Bool) -> Failure {
        let code = document(response)?["error"]?.string ?? ""
        let detail = "the token endpoint answered \(response.status) \(code.prefix(64))"
        if response.status >= 500 || response.status == 429 { return .unreachable(detail) }
        // For an invalid subject token RFC 8693, section 2.2.2, defines invalid_request; servers also send
        // invalid_grant.
        if isExchange, code == "invalid_grant" || code == "invalid_request" { return .callerRefused(detail) }
        return .refused(detail)
    }

    private static func document(_ response: CurlResponse) -> JSONValue? {
        try? JSONValue(parsing: Array(response.body.readableBytesView))
    }

    /// Returns whether a text can be sent as a token in a header (RFC 6750, section 2.1, and further characters that
    /// servers use).
    static func isToken(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 16_384 && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    // MARK: Discovery

    private func tokenURL(_ engine: CurlEngine) async throws -> String {
        if let url = configuration.tokenURL { return url }
        var issuer = configuration.issuer
        if issuer == nil { issuer = try await authorizationServer(engine) }
        guard let issuer else { throw Failure.invalid("no authorization server is known") }
        for url in Self.wellKnown(issuer, ["oauth-authorization-server", "openid-configuration"]) {
            let response = try await send(CurlRequest(url: url, headers: Self.accept), engine)
            guard response.status == 200, let document = Self.document(response) else { continue }
            // A document of another issuer must not redirect the gateway's secret (RFC 8414, section 3.3).
            guard document["issuer"]?.string == issuer else {
                throw Failure.invalid("the metadata of \(issuer) is another issuer's")
            }
            guard let token = document["token_endpoint"]?.string, TokenConfiguration.isAcceptable(token) else {
                throw Failure.invalid("the metadata of \(issuer) has no usable token_endpoint")
            }
            return token
        }
        throw Failure.unreachable("no metadata of \(issuer)")
    }

    /// Asks the upstream which authorization server protects it (RFC 9728).
    private func authorizationServer(_ engine: CurlEngine) async throws -> String? {
        for url in Self.wellKnown(upstream.url, ["oauth-protected-resource"]) {
            let response = try await send(
                CurlRequest(url: url, unixSocketPath: upstream.socketPath, headers: Self.accept), engine)
            guard response.status == 200, let document = Self.document(response) else { continue }
            let servers = document["authorization_servers"]?.array?.compactMap(\.string) ?? []
            guard let server = servers.first(where: { TokenConfiguration.isAcceptable($0) }) else { continue }
            return server
        }
        return nil
    }

    private static let accept: CurlHeaders = [(name: "Accept", value: "application/json")]

    /// Returns the well-known URLs of an address: with its path behind the name (RFC 8414), before it (OpenID Connect),
    /// and without it.
    static func wellKnown(_ url: String, _ names: [String]) -> [String] {
        guard let address = UpstreamAddress(url) else { return [] }
        let path = address.endpoint.hasSuffix("/") ? String(address.endpoint.dropLast()) : address.endpoint
        var urls: [String] = []
        for name in names {
            for url in ["\(address.origin)/.well-known/\(name)\(path)", "\(address.origin)\(path)/.well-known/\(name)"]
            where !urls.contains(url) {
                urls.append(url)
            }
        }
        let root = names.map { "\(address.origin)/.well-known/\($0)" }.filter { !urls.contains($0) }
        return urls + root
    }
}
