import JSON
import MCP

/// Validated parameters of an authorization request, once its client and redirect URI are known.
struct AuthorizationRequest: Sendable {
    let client: OAuthClient
    let redirectURI: RedirectURI
    let state: String?
    let challenge: String
    /// Scopes in the order of the request; without any, all scopes that tools require.
    let scopes: [String]
    let prompts: Set<String>

    private static let maximumState = 2000
    /// Scopes that clients request in order to get a refresh token, which they always get.
    private static let implied: Set<String> = ["offline_access"]

    /// - Throws: ``OAuthError``, to be sent to the redirect URI.
    init(
        _ fields: FormFields, client: OAuthClient, redirectURI: RedirectURI, scopes known: [String], resource: String
    ) throws(OAuthError) {
        self.client = client
        self.redirectURI = redirectURI
        state = fields["state"]
        if let repeated = fields.repeated {
            throw OAuthError(.invalidRequest, "\(repeated.printable): expected once, found more often")
        }
        guard (state?.utf8.count ?? 0) <= Self.maximumState else {
            throw OAuthError(.invalidRequest, "state: expected at most \(Self.maximumState) bytes")
        }
        guard fields["response_type"] == "code" else {
            throw OAuthError(.unsupportedResponseType, "response_type: expected code")
        }
        guard let challenge = fields["code_challenge"], challenge.utf8.count == 43, Base64URL.decode(challenge) != nil
        else { throw OAuthError(.invalidRequest, "code_challenge: expected the base64url of a SHA-256 digest") }
        guard fields["code_challenge_method"] == "S256" else {
            throw OAuthError(.invalidRequest, "code_challenge_method: expected S256")
        }
        self.challenge = challenge
        try Self.check(fields.all("resource"), is: resource)
        prompts = Set(fields["prompt"]?.split(separator: " ").map(String.init) ?? [])
        guard prompts.isSubset(of: ["none", "login", "consent", "select_account"]),
            !prompts.contains("none") || prompts.count == 1
        else { throw OAuthError(.invalidRequest, "prompt: expected none alone, or of login, consent, select_account") }
        scopes = try Self.scopes(fields["scope"], known: known)
    }

    /// - Throws: ``OAuthError`` of code `invalid_target` unless this server's resource alone is named (RFC 8707).
    static func check(_ resources: [String], is resource: String) throws(OAuthError) {
        guard !resources.isEmpty, resources.allSatisfy({ isSame($0, resource) }) else {
            throw OAuthError(.invalidTarget, "resource: expected \(resource)")
        }
    }

    /// Returns whether two URLs are the same resource; a slash at the end makes no difference.
    private static func isSame(_ left: String, _ right: String) -> Bool {
        func bare(_ text: String) -> Substring { text.hasSuffix("/") ? text.dropLast() : text[...] }
        return bare(left).utf8.elementsEqual(bare(right).utf8)
    }

    private static func scopes(_ text: String?, known: [String]) throws(OAuthError) -> [String] {
        guard let text else { return known }
        var scopes: [String] = []
        for scope in text.split(separator: " ").map(String.init) where !implied.contains(scope) {
            guard known.contains(where: { $0.utf8.elementsEqual(scope.utf8) }) else {
                throw OAuthError(.invalidScope, "scope: expected of \(known.joined(separator: " "))")
            }
            if !scopes.contains(scope) { scopes.append(scope) }
        }
        return scopes
    }

    /// Values that the consent page returns with its form.
    var sealed: JSONObject {
        var object: JSONObject = [
            "client": .string(client.id), "name": .string(client.name), "redirect": .string(redirectURI.text),
            "challenge": .string(challenge), "scopes": .array(scopes.map { .string($0) }),
        ]
        object["state"] = state.map { .string($0) }
        return object
    }
}
