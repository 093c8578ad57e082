package import MCPServer

/// The `WWW-Authenticate` of refusals (RFC 6750 section 3, RFC 9728 section 5.1).
package struct BearerChallenge: Sendable {
    /// Whether any kind of bearer token is accepted here; otherwise asking for one would be a lie.
    let isAccepted: Bool
    /// Where clients learn who issues tokens for this server.
    let metadataURL: String?

    /// Challenges callers as the configuration has it.
    package init(isAccepted: Bool, metadataURL: String?) {
        self.isAccepted = isAccepted
        self.metadataURL = metadataURL
    }

    /// A token was presented, and it is wrong.
    package func invalidToken(_ reason: String) -> String? {
        isAccepted ? header([("error", "invalid_token"), ("error_description", reason)]) : nil
    }

    /// Nothing was presented where a token is needed: no error code then.
    package func unauthenticated(scopes: [String] = []) -> String? {
        isAccepted ? header(scopes.isEmpty ? [] : [("scope", scopes.joined(separator: " "))]) : nil
    }

    /// The token is good but not for this.
    func insufficientScope(_ needed: [String]) -> String {
        header([
            ("error", "insufficient_scope"), ("scope", needed.joined(separator: " ")),
            ("error_description", "This needs more than the credential allows"),
        ])
    }

    /// For what a rule refuses.
    package func header(for refusal: AccessRefusal) -> String? {
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

    /// What RFC 6750 allows in a description.
    private static func quotable(_ text: String) -> String {
        String(
            text.unicodeScalars.filter { (0x20...0x7E).contains($0.value) && $0 != "\"" && $0 != "\\" }.map(
                Character.init))
    }
}
