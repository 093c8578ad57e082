import Crypto
import Foundation
import Identity
import JSON
import MCP
import MCPServer
import NIOHTTP1
import Store

/// Endpoints that clients call.
extension OAuthServer {
    /// Answers `/oauth/token`.
    func token(_ request: OAuthRequest) async throws -> OAuthReply {
        let basic = BasicCredentials(request.headers)
        do {
            guard let fields = request.form else {
                throw OAuthError(.invalidRequest, "Expected a form (application/x-www-form-urlencoded)")
            }
            if let repeated = fields.repeated {
                throw OAuthError(.invalidRequest, "\(repeated.printable): expected once, found more often")
            }
            let client = try await authenticatedClient(fields, basic, address: address(request))
            if !fields.all("resource").isEmpty {
                try AuthorizationRequest.check(fields.all("resource"), is: surroundings.resource)
            }
            switch fields["grant_type"] {
            case "authorization_code": return .json(try await redeem(fields, client))
            case "refresh_token": return .json(try await refresh(fields, client))
            default:
                throw OAuthError(.unsupportedGrantType, "grant_type: expected authorization_code or refresh_token")
            }
        } catch let error as OAuthError {
            return .error(error, usesBasic: basic != nil)
        }
    }

    private func redeem(_ fields: FormFields, _ client: OAuthClient) async throws -> JSONValue {
        guard let text = fields["code"], let code = SessionToken(presented: text) else {
            throw OAuthError(.invalidGrant, "code: unknown or expired")
        }
        guard let verifier = fields["code_verifier"], (43...128).contains(verifier.utf8.count) else {
            throw OAuthError(.invalidRequest, "code_verifier: expected 43 to 128 characters")
        }
        switch try await store.redeemOAuthCode(digest: code.digest, now: now()) {
        case .unknown: throw OAuthError(.invalidGrant, "code: unknown or expired")
        case .reused(let grant):
            logger.warning("authorization code used twice; its grant has ended", metadata: ["oauth.grant": "\(grant)"])
            throw OAuthError(.invalidGrant, "code: used before")
        case .redeemed(let code, let grant):
            let challenge = Base64URL.encode(SHA256.hash(data: Array(verifier.utf8)))
            guard isSame(grant.clientID, client.id), isSame(challenge, code.challenge),
                try await isRedirectURI(fields["redirect_uri"], of: code, client)
            else {
                // The code is presented by a client to which it was not issued.
                _ = try await store.deleteOAuthGrant(id: grant.id, userID: nil)
                throw OAuthError(.invalidGrant, "code: not for this client, redirect_uri and code_verifier")
            }
            let refresh = SessionToken()
            let answer = try await tokens(grant, scopes: grant.scopes, refresh: refresh)
            guard
                try await store.insertOAuthToken(
                    digest: refresh.digest, grantID: grant.id, expiresAt: grant.expiresAt)
            else { throw OAuthError(.invalidGrant, "code: its grant has ended") }
            return answer
        }
    }

    /// Returns whether a token request names the redirect URI of its code; a client with a single one may leave it out.
    private func isRedirectURI(_ text: String?, of code: OAuthCode, _ client: OAuthClient) async throws -> Bool {
        if let text { return isSame(text, code.redirectURI) }
        return try await self.client(client.id).redirectURIs.count == 1
    }

    private func refresh(_ fields: FormFields, _ client: OAuthClient) async throws -> JSONValue {
        guard let text = fields["refresh_token"], let presented = SessionToken(presented: text) else {
            throw OAuthError(.invalidGrant, "refresh_token: unknown or expired")
        }
        guard let grant = try await store.oauthGrant(tokenDigest: presented.digest), isSame(grant.clientID, client.id)
        else { throw OAuthError(.invalidGrant, "refresh_token: unknown or expired") }
        var scopes = grant.scopes
        if let wanted = fields["scope"]?.split(separator: " ").map(String.init).filter({ $0 != "offline_access" }) {
            guard wanted.allSatisfy({ scope in grant.scopes.contains { isSame($0, scope) } }) else {
                throw OAuthError(.invalidScope, "scope: expected of \(grant.scopes.joined(separator: " "))")
            }
            scopes = wanted
        }
        let successor = SessionToken()
        // Created before the old token is used up: an error here leaves the old token valid.
        let answer = try await tokens(grant, scopes: scopes, refresh: successor)
        let now = now()
        let outcome = try await store.rotateOAuthToken(
            digest: presented.digest, to: successor.digest, now: now,
            expiresAt: now.addingTimeInterval(configuration.refreshLifetime / .seconds(1))
        ) { $0.clientID.utf8.elementsEqual(client.id.utf8) }
        switch outcome {
        case .redeemed: return answer
        case .unknown: throw OAuthError(.invalidGrant, "refresh_token: unknown or expired")
        case .reused(let grant):
            logger.warning("refresh token used twice; its grant has ended", metadata: ["oauth.grant": "\(grant)"])
            throw OAuthError(.invalidGrant, "refresh_token: used before")
        }
    }

    /// Returns the response of the token endpoint (RFC 6749, section 5.1; RFC 9068 for the claims).
    private func tokens(_ grant: OAuthGrant, scopes: [String], refresh: SessionToken) async throws -> JSONValue {
        guard try await surroundings.directory.isActive(user: grant.userID) else {
            _ = try await store.deleteOAuthGrant(id: grant.id, userID: nil)
            throw OAuthError(.invalidGrant, "The user is unknown or disabled")
        }
        let seconds = Int(configuration.accessLifetime.components.seconds)
        let issued = Int(now().timeIntervalSince1970)
        let access = try await keys.token([
            "iss": .string(surroundings.issuer), "sub": .string(grant.userID), "aud": .string(surroundings.resource),
            "client_id": .string(grant.clientID), "scope": .string(scopes.joined(separator: " ")),
            "iat": .number(issued), "exp": .number(issued + seconds),
            "jti": .string(String(SessionToken().text.prefix(22))),
        ])
        return [
            "access_token": .string(access), "token_type": "Bearer", "expires_in": .number(seconds),
            "refresh_token": .string(refresh.text), "scope": .string(scopes.joined(separator: " ")),
        ]
    }

    // MARK: Clients

    /// Returns the client that a request authenticates; a public client is identified only by its id.
    private func authenticatedClient(
        _ fields: FormFields, _ basic: BasicCredentials?, address: String?
    ) async throws -> OAuthClient {
        if case .malformed? = basic { throw OAuthError(.invalidClient, "Authorization: malformed") }
        var (id, secret) = (fields["client_id"], fields["client_secret"])
        if case .pair(let name, let password)? = basic {
            guard secret == nil, id.map({ isSame($0, name) }) != false else {
                throw OAuthError(.invalidRequest, "Expected one way of authenticating the client")
            }
            (id, secret) = (name, password)
        }
        guard let id else { throw OAuthError(.invalidClient, "client_id: missing") }
        if ClientDocuments.isDocumentURL(id), configuration.acceptsMetadataDocuments, configuration.clients[id] == nil {
            // A public client: its code or token alone decides. Its document is not read, since any caller can name one.
            return OAuthClient(id: id, name: id, redirectURIs: [], origin: .document(host: ""))
        }
        let client = try await client(id)
        guard let expected = client.secretDigest else { return client }
        let attempt: LoginThrottle.Attempt
        switch throttle.begin(account: "client " + id, address: address) {
        case .allowed(let allowed): attempt = allowed
        case .wait(let time): throw OAuthError(.slowDown, "Too many failed attempts", retryAfter: time)
        }
        let digest = Array(SHA256.hash(data: Array((secret ?? "").utf8)))
        guard secret != nil, SecretComparison.equal(digest, expected) else {
            throw OAuthError(.invalidClient, "The client's secret is wrong")
        }
        throttle.succeeded(attempt)
        return client
    }

    /// Answers `/oauth/revoke` (RFC 7009): ends the grant of a refresh token. An unknown token counts as revoked.
    func revoke(_ request: OAuthRequest) async throws -> OAuthReply {
        let basic = BasicCredentials(request.headers)
        do {
            guard let fields = request.form, let token = fields["token"] else {
                throw OAuthError(.invalidRequest, "token: missing")
            }
            let client = try await authenticatedClient(fields, basic, address: address(request))
            if let presented = SessionToken(presented: token),
                let grant = try await store.oauthGrant(tokenDigest: presented.digest), isSame(grant.clientID, client.id)
            {
                _ = try await store.deleteOAuthGrant(id: grant.id, userID: nil)
                logger.info("OAuth client revoked its grant", metadata: ["oauth.grant": "\(grant.id)"])
            }
            return .json([:])
        } catch let error as OAuthError {
            return .error(error, usesBasic: basic != nil)
        }
    }

    /// Answers `/oauth/register` (RFC 7591): registers a public client, whose metadata is not verified.
    func register(_ request: OAuthRequest) async throws -> OAuthReply {
        // Counted like failed logins: the more registrations from one address, the longer the time between them. Those from
        // other addresses do not count, so that no address delays others.
        if case .wait(let time) = throttle.begin(account: "registration from \(address(request) ?? "")", address: nil) {
            throw OAuthError(.slowDown, "Too many registrations", retryAfter: time)
        }
        guard request.body.count <= 16 << 10, let metadata = (try? JSONValue(parsing: request.body))?.object else {
            throw OAuthError(.invalidClientMetadata, "Expected a JSON object of at most 16 KiB")
        }
        let id = SymmetricKey(size: .bits128).withUnsafeBytes { Base64URL.encode($0) }
        let client = try OAuthClient(id: id, metadata: metadata, origin: .registered)
        let kept: JSONObject = [
            "client_name": .string(client.name),
            "redirect_uris": .array(client.redirectURIs.map { .string($0.text) }),
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        ]
        let now = now()
        guard
            try await store.insertOAuthClient(
                id: id, metadata: JSONValue.object(kept).text, at: now, limit: configuration.maximumRegistrations)
        else { throw OAuthError(.temporarilyUnavailable, "No more clients can register") }
        var answer = kept
        answer["client_id"] = .string(id)
        answer["client_id_issued_at"] = .number(Int(now.timeIntervalSince1970))
        return .json(.object(answer), status: .created)
    }
}

/// Credentials of a confidential client in the `Authorization` header (RFC 6749, section 2.3.1).
private enum BasicCredentials {
    case pair(id: String, secret: String)
    case malformed

    /// Parses the header; nil when there is none.
    init?(_ headers: HTTPHeaders) {
        guard let value = headers.first(name: "Authorization") else { return nil }
        let parts = value.split(separator: " ", omittingEmptySubsequences: true)
        guard headers["Authorization"].count == 1, parts.count == 2, parts[0].lowercased() == "basic",
            let bytes = Data(base64Encoded: String(parts[1])), let colon = bytes.firstIndex(of: UInt8(ascii: ":")),
            // Both parts are form-encoded first.
            let fields = FormFields(
                Array("id=".utf8) + Array(bytes[..<colon]) + Array("&secret=".utf8) + Array(bytes[(colon + 1)...])),
            let id = fields["id"], let secret = fields["secret"]
        else {
            self = .malformed
            return
        }
        self = .pair(id: id, secret: secret)
    }
}
