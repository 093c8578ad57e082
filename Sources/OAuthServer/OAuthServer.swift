import Crypto
package import Foundation
package import HTTPSyntax
package import Identity
import JSON
package import Logging
import MCPServer
import NIOHTTP1
package import Store

/// An OAuth 2.1 authorization server for this server's own MCP endpoint, over its own accounts.
///
/// | path | |
/// |---|---|
/// | `/.well-known/oauth-authorization-server`, `/.well-known/openid-configuration` | metadata (RFC 8414) |
/// | `/oauth/authorize` | signs the user in if necessary, then asks for consent |
/// | `/oauth/login`, `/oauth/consent` | accept the forms of these pages |
/// | `/oauth/token` | exchanges codes (PKCE S256) and refresh tokens |
/// | `/oauth/revoke`, `/oauth/register`, `/oauth/jwks` | RFC 7009, RFC 7591, RFC 7517 |
/// | `/oauth/grants` | lists what the user allowed, and withdraws it |
package struct OAuthServer: Sendable {
    /// Parts of the tool-server that the authorization server uses.
    package struct Surroundings: Sendable {
        /// Issuer: the origin under which clients reach this server.
        package let issuer: String
        /// URL of the MCP endpoint as clients reach it: the only audience of tokens.
        package let resource: String
        /// All scopes that tools require.
        package let scopes: [String]
        /// Identity of a browser's user, by cookies only.
        package let identity: any IdentityProvider
        /// Login with a password; nil where the server's own accounts are not used.
        package let login: LoginService?
        /// True if users sign in at a Django site.
        package let usesSiteLogin: Bool
        /// Directory of the users for whom tokens are issued.
        package let directory: UserDirectory
        /// Rule that determines a client's address.
        package let addresses: ClientAddressRule
        /// Counts a failed login.
        package let refused: @Sendable (CredentialErrorKind) -> Void

        /// Creates the parts.
        package init(
            issuer: String, resource: String, scopes: [String], identity: any IdentityProvider, login: LoginService?,
            usesSiteLogin: Bool, directory: UserDirectory, addresses: ClientAddressRule,
            refused: @escaping @Sendable (CredentialErrorKind) -> Void = { _ in }
        ) {
            self.issuer = issuer
            self.resource = resource
            self.scopes = scopes
            self.identity = identity
            self.login = login
            self.usesSiteLogin = usesSiteLogin
            self.directory = directory
            self.addresses = addresses
            self.refused = refused
        }
    }

    let configuration: OAuthConfiguration
    let surroundings: Surroundings
    let store: any OAuthStore
    let keys: SigningKeys
    let documents: ClientDocuments
    /// Limit on guesses at clients' secrets, and on registrations.
    let throttle: LoginThrottle
    let logger: Logger
    let now: @Sendable () -> Date

    private static let wellKnown = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]

    /// - Parameter fetch: Reads clients' metadata documents.
    package init(
        configuration: OAuthConfiguration, surroundings: Surroundings, store: any OAuthStore, keys: SigningKeys,
        fetch: @escaping ClientDocuments.Fetch, logger: Logger, now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.configuration = configuration
        self.surroundings = surroundings
        self.store = store
        self.keys = keys
        documents = ClientDocuments(now: now, fetch: fetch)
        throttle = LoginThrottle(policy: .init(attempts: 10), now: now)
        self.logger = logger
        self.now = now
    }

    /// Returns whether a path belongs to the authorization server.
    package static func serves(_ path: some StringProtocol) -> Bool {
        path.hasPrefix("/oauth/") || wellKnown.contains { path == $0 || path.hasPrefix($0 + "/") }
    }

    /// Answers a request.
    package func respond(to request: OAuthRequest) async -> OAuthReply {
        do {
            return try await route(request)
        } catch let error as OAuthError {
            return .error(error)
        } catch {
            logger.error("authorization server failed", metadata: ["error": "\(error)"])
            return .error(OAuthError(.temporarilyUnavailable, "The database is unavailable"))
        }
    }

    private func route(_ request: OAuthRequest) async throws -> OAuthReply {
        let isRead = request.method == .GET || request.method == .HEAD
        let isPost = request.method == .POST
        switch request.path {
        case "/oauth/authorize": return isRead ? try await authorize(request) : .methodNotAllowed("GET, HEAD")
        case "/oauth/login": return isPost ? try await logIn(request) : .methodNotAllowed("POST")
        case "/oauth/consent": return isPost ? try await consent(request) : .methodNotAllowed("POST")
        case "/oauth/grants":
            if isRead { return try await listGrants(request) }
            return isPost ? try await withdrawGrant(request) : .methodNotAllowed("GET, HEAD, POST")
        case "/oauth/token": return isPost ? try await token(request) : .methodNotAllowed("POST")
        case "/oauth/revoke": return isPost ? try await revoke(request) : .methodNotAllowed("POST")
        case "/oauth/register" where configuration.acceptsRegistration:
            return isPost ? try await register(request) : .methodNotAllowed("POST")
        case "/oauth/jwks":
            guard isRead else { return .methodNotAllowed("GET, HEAD") }
            return .json(bytes: try await keys.keySet(), cache: "public, max-age=60")
        case let path where Self.wellKnown.contains(where: { path == $0 || path.hasPrefix($0 + "/") }):
            return isRead ? .json(metadata, cache: "public, max-age=300") : .methodNotAllowed("GET, HEAD")
        default: return .notFound
        }
    }

    /// Metadata of the authorization server (RFC 8414, section 2).
    private var metadata: JSONValue {
        let base = surroundings.issuer
        var object: JSONObject = [
            "issuer": .string(base), "authorization_endpoint": .string(base + "/oauth/authorize"),
            "token_endpoint": .string(base + "/oauth/token"), "jwks_uri": .string(base + "/oauth/jwks"),
            "revocation_endpoint": .string(base + "/oauth/revoke"), "response_types_supported": ["code"],
            "response_modes_supported": ["query"], "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "scopes_supported": .array(surroundings.scopes.map { .string($0) }),
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": .bool(configuration.acceptsMetadataDocuments),
            "prompt_values_supported": ["none", "login", "consent", "select_account"],
        ]
        if configuration.acceptsRegistration {
            object["registration_endpoint"] = .string(base + "/oauth/register")
        }
        return .object(object)
    }

    /// Removes expired codes, tokens, grants and clients. Must be called periodically.
    /// - Throws: The store's error.
    package func sweep() async throws {
        let now = now()
        try await store.deleteExpiredOAuth(now: now, unusedSince: now.addingTimeInterval(-30 * 86_400))
    }

    // MARK: Parts that the endpoints share

    /// Returns the client of an id.
    /// - Throws: ``OAuthError`` of code `invalid_client`, or the store's error.
    func client(_ id: String) async throws -> OAuthClient {
        if let known = configuration.clients[id], configuration.clients.keys.contains(where: { isSame($0, id) }) {
            return OAuthClient(
                id: id, name: known.name, redirectURIs: known.redirectURIs.compactMap(RedirectURI.init),
                origin: .configured,
                secretDigest: known.secret.map { Array(SHA256.hash(data: Array($0.value.utf8))) })
        }
        if ClientDocuments.isDocumentURL(id), configuration.acceptsMetadataDocuments {
            return try await documents.client(id)
        }
        if id.utf8.count == 22, let metadata = try await store.oauthClient(id: id, at: now()),
            let object = (try? JSONValue(parsing: metadata))?.object
        {
            return try OAuthClient(id: id, metadata: object, origin: .registered)
        }
        throw OAuthError(.invalidClient, "client_id: unknown")
    }

    /// Returns the user whom the request's cookies identify; nil without one.
    func user(_ request: OAuthRequest) async throws -> Principal? {
        let credentials = PresentedCredentials(headers: request.headers, peer: request.peer)
        guard case .principal(let principal) = try await surroundings.identity.identify(credentials) else { return nil }
        return principal
    }

    /// Returns the address by which attempts are limited.
    func address(_ request: OAuthRequest) -> String? {
        guard let address = surroundings.addresses.address(of: request.peer, { request.headers[$0] }) else {
            return request.peer.map { "\($0)" }
        }
        return address.customer.map { String($0) }.joined(separator: ".")
    }

    /// Returns the descriptions of scopes.
    func words(_ scopes: [String]) -> [String] { scopes.map { configuration.scopes[$0] ?? $0 } }

    func isSame(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }
}
