package import MCPServer

/// Value of `WWW-Authenticate` in refusals (RFC 6750 section 3, RFC 9728 section 5.1).
package struct BearerChallenge: Sendable {
    /// True if any kind of bearer token is accepted here; otherwise there is no challenge.
    let isAccepted: Bool
    /// URL of the metadata that names the authorization servers for this server.
    let metadataURL: String?

    /// Creates the challenges of a configuration.
    package init(isAccepted: Bool, metadataURL: String?) {
        self.isAccepted = isAccepted
        self.metadataURL = metadataURL
    }

    /// Returns the challenge for a token that is invalid.
    package func invalidToken(_ reason: String) -> String? {
        isAccepted ? header([("error", "invalid_token"), ("error_description", reason)]) : nil
    }

    /// Returns the challenge for a request without a credential where one is needed; it has no error code.
    package func unauthenticated(scopes: [String] = []) -> String? {
        isAccepted ? header(scopes.isEmpty ? [] : [("scope", scopes.joined(separator: " "))]) : nil
    }

    /// Returns the challenge for a valid token without the needed scopes.
    func insufficientScope(_ needed: [String]) -> String {
        header([
            ("error", "insufficient_scope"), ("scope", needed.joined(separator: " ")),
            ("error_description", "This needs more than the credential allows"),
        ])
    }

    /// Returns the challenge for the refusal of an access rule.
    package func header(for refusal: AccessError) -> String? {
        switch refusal {
        case .notAuthenticated(let scopes): unauthenticated(scopes: scopes)
        case .insufficientScope(let needed): insufficientScope(needed)
        }
    }

    private func header(_ parameters: [(String, String)]) -> String {
        var parameters = parameters
        if let metadataURL { parameters.append(("resource_metadata", metadataURL)) }
        guard !parameters.isEmpty else { return "Bearer" }
        return "Bearer " + parameters.map { "\($0)=\"\(Self.quotable($1))\"" }.joined(separator: ", ")
    }

    /// Returns the characters of a text that RFC 6750 allows in a description.
    private static func quotable(_ text: String) -> String {
        String(
            text.unicodeScalars.filter { (0x20...0x7E).contains($0.value) && $0 != "\"" && $0 != "\\" }.map(
                Character.init))
    }
}
