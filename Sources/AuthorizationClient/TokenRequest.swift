package import CurlTransport
package import Foundation
import HTTPSyntax
import JSON
import MCP
import NIOCore

/// An access token.
package struct AccessToken: Sendable {
    /// Token as it is sent.
    package let value: String
    /// Time for which the token is valid.
    package let lifetime: Duration
    /// Token with which the next one can be fetched.
    package let refreshToken: String?
    /// Scopes that were granted; nil where the response does not say, which means those that were asked for.
    package let scope: ScopeSet?
    /// True if the token is bound to the key of the request's proof, and sent with the scheme DPoP.
    package let isBound: Bool

    /// Value of `Authorization` with which the token is sent.
    package var authorization: String { (isBound ? "DPoP " : "Bearer ") + value }
}

/// Identity of a client at an authorization server.
package struct ClientIdentity: Sendable {
    /// Secret with which a client proves its identity.
    package enum Proof: Sendable {
        /// A public client.
        case none
        case secret(String)
        /// A private key as PEM text, and its `kid`.
        case key(pem: String, keyID: String?)
    }

    /// Identifier.
    package let id: String
    /// Proof of the identity.
    package let proof: Proof

    /// Describes a client.
    package init(id: String, proof: Proof) {
        self.id = id
        self.proof = proof
    }
}

/// Way in which a client authenticates itself at a token endpoint (OpenID Connect Core 1.0, section 9).
package enum ClientAuthentication: String, Sendable {
    case none
    case basic = "client_secret_basic"
    case post = "client_secret_post"
    case privateKey = "private_key_jwt"

    /// Chooses the way for a client: among those that the server supports, HTTP Basic first.
    ///
    /// - Parameter supported: Methods of the server's metadata; nil means HTTP Basic (RFC 8414, section 2).
    /// - Throws: ``AuthorizationError/invalid(_:)`` where the server supports none that the client is capable of.
    package static func choose(
        for proof: ClientIdentity.Proof, supported: [String]?
    ) throws(AuthorizationError) -> ClientAuthentication {
        switch proof {
        case .none: return .none
        case .key: return .privateKey
        case .secret:
            guard let supported, !supported.contains(basic.rawValue) else { return .basic }
            if supported.contains(post.rawValue) { return .post }
            throw .invalid("the authorization server accepts no client secret")
        }
    }
}

/// A request to a token endpoint (RFC 6749, section 3.2).
package struct TokenRequest: Sendable {
    /// URL of the token endpoint.
    private let endpoint: String
    /// Audience of an assertion: the issuer, or the endpoint where the issuer is not known.
    private let audience: String
    private let client: ClientIdentity
    private let authentication: ClientAuthentication
    /// Parameters, `grant_type` first.
    private let fields: [(name: String, value: String)]
    private let proofKey: ProofKey?

    /// Longest token, in bytes.
    private static let tokenLimit = 16_384
    /// Lifetime of a token whose response does not state one.
    private static let defaultLifetime = Duration.seconds(300)

    /// Describes a request.
    ///
    /// - Parameters:
    ///   - endpoint: URL of the token endpoint.
    ///   - audience: Issuer of the server, or the endpoint where the issuer is not known.
    ///   - fields: Parameters of the grant, without those that authenticate the client.
    ///   - proofKey: Key that the token is to be bound to; nil: none, the token is a bearer token.
    package init(
        endpoint: String, audience: String, client: ClientIdentity, authentication: ClientAuthentication,
        fields: [(name: String, value: String)], proofKey: ProofKey? = nil
    ) {
        self.endpoint = endpoint
        self.audience = audience
        self.client = client
        self.authentication = authentication
        self.fields = fields
        self.proofKey = proofKey
    }

    /// Sends the request.
    ///
    /// - Throws: ``AuthorizationError``
    package func send(_ send: AuthorizationDiscovery.Send) async throws(AuthorizationError) -> AccessToken {
        let document = try await document(send)
        let token = try Self.token(document)
        let type = document["token_type"]?.string?.lowercased() ?? "bearer"
        guard type == (proofKey == nil ? "bearer" : "dpop") else {
            throw .invalid("the token is of another type than \(proofKey == nil ? "Bearer" : "DPoP")")
        }
        // A number beyond a day counts as a day, so that the arithmetic cannot overflow.
        let seconds = document["expires_in"]?.double ?? document["expires_in"]?.string.flatMap(Double.init)
        let lifetime = seconds.map { Duration.seconds($0.isFinite ? min(max($0, 0), 86_400) : 0) }
        return AccessToken(
            value: token, lifetime: lifetime ?? Self.defaultLifetime,
            refreshToken: document["refresh_token"]?.string.flatMap { Self.isToken($0) ? $0 : nil },
            scope: document["scope"]?.string.map { ScopeSet($0) }, isBound: proofKey != nil)
    }

    /// Sends a request for an assertion that another server accepts as a grant (RFC 8693).
    ///
    /// - Parameter type: Type that the issued token must have.
    /// - Throws: ``AuthorizationError``
    package func sendForAssertion(
        type: String, _ send: AuthorizationDiscovery.Send
    ) async throws(AuthorizationError) -> String {
        let document = try await document(send)
        let token = try Self.token(document)
        // A token other than an access token has the type N_A (RFC 8693, section 2.2.1).
        guard document["issued_token_type"]?.string == type, document["token_type"]?.string?.lowercased() == "n_a"
        else { throw .invalid("the issued token is of another type than \(type)") }
        return token
    }

    private static func token(_ document: JSONObject) throws(AuthorizationError) -> String {
        guard let token = document["access_token"]?.string, isToken(token) else {
            throw .invalid("the token endpoint's answer has no access_token")
        }
        return token
    }

    /// Returns the response of status 200.
    private func document(_ send: AuthorizationDiscovery.Send) async throws(AuthorizationError) -> JSONObject {
        var mayRetry = proofKey != nil
        while true {
            let request = try request(now: Date())
            let response: CurlResponse
            do {
                response = try await send(request)
            } catch {
                throw .unreachable("the token endpoint: \(error)")
            }
            let nonce = response.headers.first(name: ProofKey.nonceField)
            proofKey?.note(nonce: nonce, from: endpoint)
            let document = (try? JSONValue(parsing: Array(response.body.readableBytesView)))?.object
            guard response.status != 200 else { return document ?? [:] }
            let error = document?["error"]?.string ?? ""
            // The grant was not used, so that the request may be sent again, with the nonce (RFC 9449, section 8).
            guard mayRetry, nonce != nil, error == ProofKey.nonceError else { throw refusal(response.status, error) }
            mayRetry = false
        }
    }

    /// Returns whether a text can be sent as a token in a header (RFC 6750, section 2.1, and further characters that
    /// servers use).
    package static func isToken(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= tokenLimit && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    private func request(now: Date) throws(AuthorizationError) -> CurlRequest {
        var headers: CurlHeaders = [
            (name: "Content-Type", value: "application/x-www-form-urlencoded"),
            (name: "Accept", value: "application/json"),
        ]
        var fields = fields
        switch (authentication, client.proof) {
        case (.basic, .secret(let secret)):
            // Both parts are form-encoded first (RFC 6749, section 2.3.1).
            let pair = PercentEncoding.encode(client.id.utf8) + ":" + PercentEncoding.encode(secret.utf8)
            headers.append(name: "Authorization", value: "Basic " + Base64.encode(pair.utf8))
        case (.privateKey, .key(let pem, let keyID)):
            fields += [
                ("client_id", client.id),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", try assertion(pem: pem, keyID: keyID, now: now)),
            ]
        case (.post, .secret(let secret)):
            fields += [("client_id", client.id), ("client_secret", secret)]
        default:
            fields.append(("client_id", client.id))
        }
        var request = CurlRequest(
            method: "POST", url: endpoint, headers: headers, body: ByteBuffer(string: PercentEncoding.form(fields)))
        request.maximumResponseBytes = AuthorizationDiscovery.documentLimit
        if let proofKey {
            guard let proof = try? proofKey.proof(method: "POST", url: endpoint, token: nil, now: now) else {
                throw .invalid("the token endpoint's address takes no proof")
            }
            request.headers.append(name: ProofKey.field, value: proof)
        }
        return request
    }

    private func assertion(pem: String, keyID: String?, now: Date) throws(AuthorizationError) -> String {
        guard let key = ClientAssertion.Key(pem: pem),
            let assertion = try? ClientAssertion.make(
                clientID: client.id, audience: audience, key: key, keyID: keyID, now: now)
        else { throw .refused("the private key cannot be used") }
        return assertion
    }

    private func refusal(_ status: Int, _ code: String) -> AuthorizationError {
        let detail = "the token endpoint answered \(status) \(code.prefix(64))"
        if status >= 500 || status == 429 { return .unreachable(detail) }
        // For an invalid subject token RFC 8693, section 2.2.2, defines invalid_request; servers also send invalid_grant.
        let isExchange = fields.contains { $0.name == "subject_token" }
        if isExchange, code == "invalid_grant" || code == "invalid_request" { return .callerRefused(detail) }
        return .refused(detail)
    }
}
