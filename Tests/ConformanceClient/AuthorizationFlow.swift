import AuthorizationClient
import Crypto
import CurlTransport
import Foundation
import HTTPSyntax
import JSON
import MCP
import NIOCore

/// Gets tokens for a protected MCP server: without a person where the scenario has none (``MachineGrant``), else by an
/// authorization code. In place of a person's browser it requests the authorization URL and reads the redirect, so that
/// nothing has to listen at the redirect URI.
final class AuthorizationFlow {
    /// A client as an authorization server knows it.
    private struct Registration {
        let identity: ClientIdentity
        let authentication: ClientAuthentication
    }

    /// The last token of an authorization server.
    private struct Grant {
        var scope = ScopeSet()
        var refreshToken: String?
    }

    private let server: ServerURL
    private let context: JSONValue
    private let send: AuthorizationDiscovery.Send
    /// Key to which tokens are bound where the server demands it.
    private let proofKey: ProofKey
    /// Registrations and grants by issuer: what one server has given is never shown to another.
    private var registrations: [String: Registration] = [:]
    private var grants: [String: Grant] = [:]

    private static let redirectURI = "http://127.0.0.1:33418/callback"
    /// Identifier of a client by its metadata document, which the suite's authorization server does not read.
    private static let documentURL = "https://conformance-test.local/client-metadata.json"

    init(server: ServerURL, context: JSONValue, proofKey: ProofKey, engine: CurlEngine) {
        self.server = server
        self.proofKey = proofKey
        self.context = context
        send = { request in
            var request = request
            request.timeout = .seconds(10)
            return try await engine.execute(request)
        }
    }

    /// Returns a token in place of the one that was refused, or of none.
    ///
    /// - Throws: What makes another token useless or impossible.
    func token(after refusal: BearerRefusal?) async throws -> AccessToken {
        let discovery = AuthorizationDiscovery(send: send)
        let resource = try await discovery.protectedResource(server, challenged: refusal?.metadataURL)
        let authorization = try await authorizationServer(resource, discovery)
        let before = grants[authorization.issuer]
        let isStepUp = refusal?.isInsufficientScope ?? false
        var scope = refusal.flatMap { $0.scope.names.isEmpty ? nil : $0.scope } ?? resource?.scopes ?? ScopeSet()
        if isStepUp, let before, before.scope.contains(scope) { throw Failed("the scope was asked for already") }
        scope = (before?.scope ?? ScopeSet()).union(scope)
        let proofKey = try refusal?.needsProof == true ? proofKey(for: authorization) : nil
        let token = try await token(
            authorization, scope, resource?.resource, isStepUp ? nil : before?.refreshToken, proofKey)
        grants[authorization.issuer] = Grant(scope: scope, refreshToken: token.refreshToken)
        return token
    }

    private func proofKey(for authorization: AuthorizationServerMetadata) throws -> ProofKey {
        guard authorization.proofAlgorithms?.contains(ProofKey.algorithm) == true else {
            throw Failed("the authorization server takes no proof by \(ProofKey.algorithm)")
        }
        return proofKey
    }

    private func authorizationServer(
        _ resource: ProtectedResourceMetadata?, _ discovery: AuthorizationDiscovery
    ) async throws -> AuthorizationServerMetadata {
        guard let resource else {
            // The revision 2025-03-26: the server is its own authorization server, perhaps without metadata.
            return try await discovery.server(server.base)
                ?? AuthorizationServerMetadata(withDefaultEndpointsOf: server)
        }
        guard let issuer = resource.authorizationServers.first else { throw Failed("no authorization server is named") }
        guard let metadata = try await discovery.server(issuer) else { throw Failed("no metadata of \(issuer)") }
        return metadata
    }

    private func token(
        _ authorization: AuthorizationServerMetadata, _ scope: ScopeSet, _ resource: String?, _ refreshToken: String?,
        _ proofKey: ProofKey?
    ) async throws -> AccessToken {
        if let grant = MachineGrant(context) {
            return try await grant.token(authorization, scope: scope, resource: resource, send: send)
        }
        let client = try await registration(authorization)
        if let refreshToken {
            let fields: [(String, String?)] = [
                ("grant_type", "refresh_token"), ("refresh_token", refreshToken), ("resource", resource),
            ]
            do {
                return try await request(authorization, client, fields, proofKey)
            } catch AuthorizationError.refused {
                // The person is asked again.
            }
        }
        // A refresh token is asked for where the server says how (SEP-2207).
        let offline = ScopeSet("offline_access")
        let wanted = authorization.scopes?.contains(offline) == true ? scope.union(offline) : scope
        let verifier = Self.random()
        let code = try await code(authorization, client.identity.id, wanted, resource, verifier)
        return try await request(
            authorization, client,
            [
                ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", Self.redirectURI),
                ("code_verifier", verifier), ("resource", resource),
            ], proofKey)
    }

    private func request(
        _ authorization: AuthorizationServerMetadata, _ client: Registration, _ fields: [(String, String?)],
        _ proofKey: ProofKey?
    ) async throws -> AccessToken {
        try await TokenRequest(
            endpoint: authorization.tokenEndpoint, audience: authorization.issuer, client: client.identity,
            authentication: client.authentication,
            fields: fields.compactMap { name, value in value.map { (name: name, value: $0) } }, proofKey: proofKey
        ).send(send)
    }

    // MARK: The client

    /// Returns the client at a server: the one that the context names, a metadata document, or a registered one.
    private func registration(_ authorization: AuthorizationServerMetadata) async throws -> Registration {
        if let known = registrations[authorization.issuer] { return known }
        let registration: Registration
        if let id = context["client_id"]?.string {
            let proof =
                context["client_secret"]?.string.map { ClientIdentity.Proof.secret($0) } ?? ClientIdentity.Proof.none
            registration = try Registration(
                identity: ClientIdentity(id: id, proof: proof),
                authentication: ClientAuthentication.choose(for: proof, supported: authorization.authenticationMethods))
        } else if authorization.acceptsClientDocuments {
            registration = Registration(
                identity: ClientIdentity(id: Self.documentURL, proof: .none), authentication: .none)
        } else {
            registration = try await register(authorization)
        }
        registrations[authorization.issuer] = registration
        return registration
    }

    /// Registers a client (RFC 7591).
    private func register(_ authorization: AuthorizationServerMetadata) async throws -> Registration {
        guard let endpoint = authorization.registrationEndpoint else { throw Failed("no way to register") }
        let supported = authorization.authenticationMethods
        let wanted = ["none", "client_secret_basic", "client_secret_post"].first { supported?.contains($0) ?? true }
        let metadata: JSONValue = [
            "client_name": "conformance-client", "redirect_uris": [.string(Self.redirectURI)],
            "application_type": "native", "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"], "token_endpoint_auth_method": .string(wanted ?? "none"),
        ]
        var request = CurlRequest(
            method: "POST", url: endpoint,
            headers: [(name: "Content-Type", value: "application/json"), (name: "Accept", value: "application/json")],
            body: ByteBuffer(bytes: metadata.serialized))
        request.maximumResponseBytes = AuthorizationDiscovery.documentLimit
        let response = try await send(request)
        guard response.status == 201 || response.status == 200,
            let answer = try? JSONValue(parsing: Array(response.body.readableBytesView)),
            let id = answer["client_id"]?.string
        else { throw Failed("the registration was answered with \(response.status)") }
        let proof = answer["client_secret"]?.string.map { ClientIdentity.Proof.secret($0) } ?? ClientIdentity.Proof.none
        let named = answer["token_endpoint_auth_method"]?.string.flatMap(ClientAuthentication.init(rawValue:))
        // A server that gives everyone a secret may accept none all the same.
        let authentication: ClientAuthentication
        if let named {
            authentication = named
        } else if supported == ["none"] {
            authentication = ClientAuthentication.none
        } else {
            authentication = try ClientAuthentication.choose(for: proof, supported: supported)
        }
        return Registration(identity: ClientIdentity(id: id, proof: proof), authentication: authentication)
    }

    // MARK: The code

    /// Requests the authorization URL and returns the code of the redirect.
    private func code(
        _ authorization: AuthorizationServerMetadata, _ clientID: String, _ scope: ScopeSet, _ resource: String?,
        _ verifier: String
    ) async throws -> String {
        guard let endpoint = authorization.authorizationEndpoint else { throw Failed("no authorization endpoint") }
        guard authorization.challengeMethods?.contains("S256") == true else { throw Failed("the server lacks PKCE") }
        let state = Self.random()
        let fields: [(String, String?)] = [
            ("response_type", "code"), ("client_id", clientID), ("redirect_uri", Self.redirectURI), ("state", state),
            ("code_challenge", Base64URL.encode(SHA256.hash(data: Array(verifier.utf8)))),
            ("code_challenge_method", "S256"), ("scope", scope.parameter), ("resource", resource),
        ]
        let query = PercentEncoding.form(fields.compactMap { name, value in value.map { (name: name, value: $0) } })
        let response = try await send(CurlRequest(url: endpoint + (endpoint.contains("?") ? "&" : "?") + query))
        guard [302, 303].contains(response.status), let location = response.headers.first(name: "Location"),
            location.hasPrefix(Self.redirectURI + "?")
        else { throw Failed("the authorization request was answered with \(response.status)") }
        let answer = try Self.parameters(location.dropFirst(Self.redirectURI.count + 1))
        guard answer["state"] == state else { throw Failed("the answer has another state") }
        try check(issuer: answer["iss"], of: authorization)
        if let error = answer["error"] { throw Failed("the authorization was refused: \(error)") }
        guard let code = answer["code"] else { throw Failed("the answer has no code") }
        return code
    }

    /// Compares the parameter `iss` byte for byte (RFC 9207, section 2.4); one that is not announced must match, too.
    private func check(issuer: String?, of authorization: AuthorizationServerMetadata) throws {
        guard let issuer else {
            if authorization.sendsIssuer { throw Failed("the answer has no iss") }
            return
        }
        guard issuer.utf8.elementsEqual(authorization.issuer.utf8) else {
            throw Failed("the answer is another issuer's")
        }
    }

    private static func parameters(_ query: Substring) throws -> [String: String] {
        var parameters: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                $0.replacing("+", with: " ").removingPercentEncoding
            }
            guard let name = parts[0], parts.count == 2, let value = parts[1] else {
                throw Failed("a malformed redirect")
            }
            guard parameters.updateValue(value, forKey: name) == nil else { throw Failed("\(name) comes twice") }
        }
        return parameters
    }

    private static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        return Base64URL.encode((0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }
}
