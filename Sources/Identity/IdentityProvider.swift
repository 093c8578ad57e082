package import MCPServer
package import NIOHTTP1

/// Result of one provider.
package enum IdentityOutcome: Sendable {
    /// No credential for this provider, or an expired one that does not count: the next provider is asked.
    case none
    /// The caller is identified.
    case principal(Principal)
    /// A credential of this provider's kind is invalid: the request is refused with 401. The reason is sent to the
    /// client: it says what the client can do, and repeats nothing that the client sent.
    case rejected(CredentialErrorKind, reason: String)
}

/// Reason for refusing a credential, for operators; the raw value is a metric's label.
package enum CredentialErrorKind: String, CaseIterable, Sendable {
    /// A request without a credential where one is required.
    case missing
    /// A credential that cannot be parsed, or is not of a kind that is accepted here.
    case malformed
    /// An unknown key or user.
    case unknown
    /// A failed login. Which of name, password and account is wrong is not disclosed.
    case password
    /// A login that was not checked, because too many before it failed.
    case throttled
    /// A user whose account is disabled.
    case disabled
    case expired, revoked
    /// A token whose signature, issuer, audience or other claims are wrong.
    case invalid
    /// A header of the reverse proxy that did not come from the proxy.
    case untrusted
}

/// A way of identifying the caller of a request.
package protocol IdentityProvider: Sendable {
    /// Examines the credentials. Throws when they cannot be checked, such as while the database is unavailable.
    func identify(_ credentials: PresentedCredentials) async throws -> IdentityOutcome
}

/// A kind of bearer token or key.
package protocol TokenProvider: Sendable {
    /// Examines a token; `none` means that it is of another kind. Throws when it cannot be checked.
    func identify(_ token: PresentedToken) async throws -> IdentityOutcome
}

/// Providers asked in order; the first that identifies the caller, or refuses, decides.
///
/// A client sends a token on purpose, a browser sends cookies by itself. So tokens are examined first, and an invalid
/// token where any kind is accepted refuses the request, whatever cookies come with it: an invalid token never falls
/// back to anonymous, or to another user.
package struct IdentityChain: IdentityProvider {
    let providers: [any IdentityProvider]
    let tokens: [any TokenProvider]
    /// Name of the header that carries an API key; nil for none.
    package let keyHeader: String?

    /// Creates a chain; an empty one identifies no caller.
    /// - Parameters:
    ///   - tokens: Providers asked in order before the others when the request presents a token; without any,
    ///     `Authorization` is ignored.
    ///   - keyHeader: Name of a header besides `Authorization` that may carry an API key.
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

/// Identity of the store's own accounts, by the login cookie. An expired cookie is anonymous, as in the old API.
package struct LoginCookieIdentity: IdentityProvider {
    /// Name of the cookie.
    package static let cookieName = "sessionid"

    let login: LoginService
    let scopes: GrantedScopes

    /// Creates an identity from the sessions of a login service.
    package init(login: LoginService, scopes: GrantedScopes = .all) {
        self.login = login
        self.scopes = scopes
    }

    /// Returns the value of `Set-Cookie` for a login.
    /// - Parameter headers: Headers of the request, which tell whether it came through TLS.
    package static func cookie(_ value: String, maxAge: Duration, requestHeaders headers: HTTPHeaders) -> String {
        var cookie = "\(cookieName)=\(value); Path=/; Max-Age=\(maxAge.components.seconds); HttpOnly; SameSite=Lax"
        // TLS ends at a proxy in front, which reports it; the last value is that of the nearest proxy.
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
