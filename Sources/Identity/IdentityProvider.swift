package import MCPServer
package import NIOHTTP1

/// Result of one provider.
package enum IdentityOutcome: Sendable {
    /// Nothing for this provider, or something stale that counts as nothing: the next one is asked.
    case none
    /// The sender is known.
    case principal(Principal)
    /// A credential of this provider's kind is wrong: the request is refused with 401. The reason goes to the client:
    /// it says what the client can do about it and repeats nothing that it sent.
    case rejected(RefusalKind, reason: String)
}

/// Why a credential is refused, for those who operate the server: the value is a metric's label.
package enum RefusalKind: String, CaseIterable, Sendable {
    /// Nothing is presented where somebody must be known.
    case missing
    /// It cannot be read, or is not of a kind that is accepted here.
    case malformed
    /// A key or a user that there is not.
    case unknown
    /// A login that fails; which of name, password and account is wrong is not told.
    case password
    /// A login that is not tried, as too many before it failed.
    case throttled
    /// A user that may not be served any more.
    case disabled
    case expired, revoked
    /// A token whose signature, issuer, audience or other claims are wrong.
    case invalid
    /// A reverse proxy's header that does not come from there.
    case untrusted
}

/// One way of telling who sent a request.
package protocol IdentityProvider: Sendable {
    /// Examines the credentials. Throws when it cannot tell, such as when the store is down.
    func identify(_ credentials: PresentedCredentials) async throws -> IdentityOutcome
}

/// One kind of bearer token or key.
package protocol TokenProvider: Sendable {
    /// Examines a token; `none`: it is of another kind. Throws when it cannot tell.
    func identify(_ token: PresentedToken) async throws -> IdentityOutcome
}

/// Providers asked in order; the first that knows the sender, or refuses, decides.
///
/// A token is presented on purpose, a cookie by a browser unasked: so tokens are looked at first, and where any of them
/// could be valid, one that is not refuses the request, whatever cookies come with it. Nobody who meant to be somebody
/// is served as nobody, or as somebody else.
package struct IdentityChain: IdentityProvider {
    let providers: [any IdentityProvider]
    let tokens: [any TokenProvider]
    /// Name of the header that carries an API key; nil for none.
    package let keyHeader: String?

    /// A chain; an empty one knows nobody.
    /// - Parameters:
    ///   - tokens: asked in order before the providers when the request presents a token; with none, `Authorization` is
    ///     nobody's affair.
    ///   - keyHeader: a header besides `Authorization` that may hold an API key.
    package init(
        _ providers: [any IdentityProvider], tokens: [any TokenProvider] = [], keyHeader: String? = nil
    ) {
        self.providers = providers
        self.tokens = tokens
        self.keyHeader = keyHeader
    }

    package func identify(_ credentials: PresentedCredentials) async throws -> IdentityOutcome {
        if !tokens.isEmpty, let token = credentials.token(keyHeader: keyHeader) {
            if case .malformed(let reason) = token { return .rejected(.malformed, reason: reason) }
            for provider in tokens {
                switch try await provider.identify(token) {
                case .none: continue
                case let outcome: return outcome
                }
            }
            return .rejected(.malformed, reason: "The token is not of a kind that is accepted here")
        }
        for provider in providers {
            switch try await provider.identify(credentials) {
            case .none: continue
            case let outcome: return outcome
            }
        }
        return .none
    }
}

/// The store's own accounts, known by the login cookie. A stale cookie is anonymous, as the old API had it.
package struct LoginCookieIdentity: IdentityProvider {
    /// The cookie's name.
    package static let cookieName = "sessionid"

    let login: LoginService
    let scopes: GrantedScopes

    /// Identity from sessions of a login service.
    package init(login: LoginService, scopes: GrantedScopes = .all) {
        self.login = login
        self.scopes = scopes
    }

    /// The value of `Set-Cookie` for a login.
    /// - Parameter headers: of the request, which tell whether it came through TLS.
    package static func cookie(_ value: String, maxAge: Duration, requestHeaders headers: HTTPHeaders) -> String {
        var cookie = "\(cookieName)=\(value); Path=/; Max-Age=\(maxAge.components.seconds); HttpOnly; SameSite=Lax"
        // TLS ends at the proxy in front, which says so; the nearest proxy's word is the last.
        let scheme = headers["X-Forwarded-Proto"].last?.split(separator: ",").last?
            .filter { $0 != " " && $0 != "\t" }.lowercased()
        if scheme == "https" { cookie += "; Secure" }
        return cookie
    }

    package func identify(_ credentials: PresentedCredentials) async throws -> IdentityOutcome {
        guard let token = credentials.cookie(Self.cookieName).flatMap(SessionToken.init(presented:)),
            let account = try await login.account(token)
        else { return .none }
        return .principal(UserRecord(account).principal(scopes, isCookie: true))
    }
}
