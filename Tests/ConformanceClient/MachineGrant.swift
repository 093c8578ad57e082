import AuthorizationClient
import JSON

/// Ways to a token without a person, by the names of the suite's scenarios and what their contexts have.
enum MachineGrant {
    /// The client's own credentials (RFC 6749, section 4.4).
    case credentials(ClientIdentity)
    /// A workload's own assertion (SEP-1933).
    case workload(ClientIdentity, assertion: String)
    /// An assertion of the enterprise's identity provider, at which a user has signed in (SEP-990).
    case enterprise(ClientIdentity, provider: Provider)

    /// An enterprise's identity provider.
    struct Provider {
        let tokenEndpoint: String
        let issuer: String
        let clientID: String
        /// Token that says who has signed in.
        let identity: String
    }

    /// Reads a context; nil where a person is asked.
    init?(_ context: JSONValue) {
        guard let scenario = context["name"]?.string, let id = context["client_id"]?.string else { return nil }
        let proof: ClientIdentity.Proof =
            if let pem = context["private_key_pem"]?.string {
                .key(pem: pem, keyID: nil)
            } else if let secret = context["client_secret"]?.string {
                .secret(secret)
            } else {
                .none
            }
        let client = ClientIdentity(id: id, proof: proof)
        switch scenario {
        case "auth/client-credentials-basic", "auth/client-credentials-jwt":
            self = .credentials(client)
        case "auth/wif-jwt-bearer":
            guard let assertion = context["valid_jwt"]?.string else { return nil }
            self = .workload(client, assertion: assertion)
        case "auth/enterprise-managed-authorization":
            guard let endpoint = context["idp_token_endpoint"]?.string, let issuer = context["idp_issuer"]?.string,
                let provider = context["idp_client_id"]?.string, let identity = context["idp_id_token"]?.string
            else { return nil }
            self = .enterprise(
                client,
                provider: Provider(tokenEndpoint: endpoint, issuer: issuer, clientID: provider, identity: identity))
        default: return nil
        }
    }

    /// Returns a token. A refusal is final: neither is the request repeated, nor another grant tried.
    func token(
        _ authorization: AuthorizationServerMetadata, scope: ScopeSet, resource: String?,
        send: AuthorizationDiscovery.Send
    ) async throws -> AccessToken {
        switch self {
        case .credentials(let client):
            let parameters = [("scope", scope.parameter), ("resource", resource)]
            let fields = parameters.compactMap { name, value in value.map { (name: name, value: $0) } }
            return try await request(
                authorization, client, [(name: "grant_type", value: "client_credentials")] + fields
            ).send(send)
        case .workload(let client, let assertion):
            return try await request(
                authorization, client,
                AssertionGrant.fields(assertion: assertion, scope: scope, resource: resource)
            ).send(send)
        case .enterprise(let client, let provider):
            let assertion = try await TokenRequest(
                endpoint: provider.tokenEndpoint, audience: provider.issuer,
                client: ClientIdentity(id: provider.clientID, proof: .none), authentication: .none,
                fields: AssertionGrant.exchange(
                    identity: provider.identity, issuer: authorization.issuer, scope: scope, resource: resource)
            ).sendForAssertion(type: AssertionGrant.identityAssertion, send)
            return try await request(
                authorization, client,
                AssertionGrant.fields(assertion: assertion, scope: scope, resource: resource)
            ).send(send)
        }
    }

    private func request(
        _ authorization: AuthorizationServerMetadata, _ client: ClientIdentity,
        _ fields: [(name: String, value: String)]
    ) throws -> TokenRequest {
        try TokenRequest(
            endpoint: authorization.tokenEndpoint, audience: authorization.issuer, client: client,
            authentication: ClientAuthentication.choose(
                for: client.proof, supported: authorization.authenticationMethods), fields: fields)
    }
}
