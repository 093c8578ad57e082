package import MCPServer

/// What a request presents about its sender.
package struct PresentedCredentials: Sendable {
    /// Cookies by name; names are case-sensitive, of duplicates the last counts.
    package let cookies: [String: String]
    /// The `Authorization` header's value.
    package let authorization: String?

    /// Credentials from a request's `Cookie` headers and `Authorization` header.
    package init(cookieHeaders: [String], authorization: String? = nil) {
        var cookies: [String: String] = [:]
        for header in cookieHeaders {
            for pair in header.split(separator: ";") {
                guard let equals = pair.firstIndex(of: "=") else { continue }
                let name = pair[..<equals].trimmed
                var value = pair[pair.index(after: equals)...].trimmed
                if value.count >= 2, value.first == "\"", value.last == "\"" { value = value.dropFirst().dropLast() }
                cookies[String(name)] = String(value)
            }
        }
        self.cookies = cookies
        self.authorization = authorization
    }
}

/// What one provider makes of the credentials.
package enum IdentityOutcome: Sendable {
    /// Nothing for this provider, or something stale that counts as nothing: the next one is asked.
    case none
    /// The sender is known.
    case principal(Principal)
    /// A credential of this provider's kind is wrong: the request is refused with 401.
    case rejected(wwwAuthenticate: String?, message: String)
}

/// One way of telling who sent a request.
package protocol IdentityProvider: Sendable {
    /// Examines the credentials. Throws when it cannot tell, such as when the store is down.
    func identify(_ credentials: PresentedCredentials) async throws -> IdentityOutcome
}

/// Providers asked in order; the first that knows the sender, or refuses, decides.
package struct IdentityChain: IdentityProvider {
    let providers: [any IdentityProvider]

    /// A chain; an empty one knows nobody.
    package init(_ providers: [any IdentityProvider]) {
        self.providers = providers
    }

    package func identify(_ credentials: PresentedCredentials) async throws -> IdentityOutcome {
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

    /// Identity from sessions of a login service.
    package init(login: LoginService) {
        self.login = login
    }

    package func identify(_ credentials: PresentedCredentials) async throws -> IdentityOutcome {
        guard let token = credentials.cookies[Self.cookieName].flatMap(SessionToken.init(presented:)),
            let account = try await login.account(token)
        else { return .none }
        return .principal(account.principal)
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        guard let first = firstIndex(where: { $0 != " " && $0 != "\t" }),
            let last = lastIndex(where: { $0 != " " && $0 != "\t" })
        else { return "" }
        return self[first...last]
    }
}
