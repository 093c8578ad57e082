import Crypto
import Foundation
import Identity
import JSON
import MCP
import MCPServer
import NIOHTTP1
import Store

/// Endpoints that a browser visits.
extension OAuthServer {
    private static let authorizePath = "/oauth/authorize"
    private static let grantsPath = "/oauth/grants"
    /// Parameter that is added to the request while the user signs in at the site: a user who comes back without a
    /// session is not sent there again.
    private static let signedInMark = "signed_in=1"
    private static let codeLifetime: TimeInterval = 60

    /// Answers `/oauth/authorize`: checks the request, signs the user in, asks for consent.
    func authorize(_ request: OAuthRequest) async throws -> OAuthReply {
        guard let fields = FormFields(Array(request.query.utf8)), let id = fields["client_id"],
            fields.all("client_id").count == 1, fields.all("redirect_uri").count <= 1
        else { return Self.problem("The request names no client, or is malformed.") }
        let user = try await user(request)
        let isSilent = fields["prompt"] == "none"
        if user == nil, ClientDocuments.isDocumentURL(id), !isSilent {
            // A caller that is not signed in must not make this server fetch a document.
            return signIn(continuing: Self.authorizePath + "?" + request.query, hint: fields["login_hint"])
        }
        let client: OAuthClient
        do {
            if user == nil, ClientDocuments.isDocumentURL(id) {
                throw OAuthError(.loginRequired, "The user is not signed in")
            }
            client = try await self.client(id)
        } catch let error as OAuthError {
            return Self.problem("The client cannot be used: \(error.description).")
        }
        guard let redirectURI = client.redirectURI(fields["redirect_uri"]) else {
            return Self.problem("The client does not have this redirect URI.")
        }
        let parsed: AuthorizationRequest
        do throws(OAuthError) {
            parsed = try AuthorizationRequest(
                fields, client: client, redirectURI: redirectURI, scopes: surroundings.scopes,
                resource: surroundings.resource)
            if isSilent {
                throw user == nil
                    ? OAuthError(.loginRequired, "The user is not signed in")
                    : OAuthError(.consentRequired, "Consent is asked for each time")
            }
        } catch {
            return failure(error, redirectURI, state: fields["state"])
        }
        let wantsLogin = !parsed.prompts.isDisjoint(with: ["login", "select_account"])
        guard let user, !wantsLogin else {
            let query = Self.withoutPrompt(request.query, isFresh: user != nil)
            return signIn(continuing: Self.authorizePath + "?" + query, hint: fields["login_hint"])
        }
        return try await ask(user, parsed, query: request.query)
    }

    private func ask(_ user: Principal, _ request: AuthorizationRequest, query: String) async throws -> OAuthReply {
        let sealed = try SealedForm.seal(
            request.sealed, purpose: "consent", userID: user.id, now: now(), keys: await keys.sealingKeys())
        let other = Self.authorizePath + "?" + Self.withoutPrompt(query) + "&prompt=login"
        let page = OAuthPages.consent(
            .init(
                client: request.client, redirectURI: request.redirectURI, scopes: words(request.scopes),
                username: user.name, request: sealed, otherUser: other))
        // Browsers hold the redirect that follows the form against the policy, too.
        return .page(page, formAction: request.redirectURI.policySource)
    }

    /// Answers `/oauth/consent` with the user's decision.
    func consent(_ request: OAuthRequest) async throws -> OAuthReply {
        guard let user = try await user(request) else { return Self.problem("You are not signed in any more.") }
        let now = now()
        guard let fields = request.form, let text = fields["request"],
            let sealed = SealedForm.open(
                text, purpose: "consent", userID: user.id, now: now, keys: try await keys.sealingKeys()),
            let redirectURI = sealed["redirect"]?.string.flatMap(RedirectURI.init),
            let clientID = sealed["client"]?.string, let challenge = sealed["challenge"]?.string
        else { return Self.problem("The question has expired, or was asked to another user.") }
        let state = sealed["state"]?.string
        guard fields["decision"] == "allow" else {
            return failure(OAuthError(.accessDenied, "The user did not allow it"), redirectURI, state: state)
        }
        let code = SessionToken()
        let expiry = now.addingTimeInterval(configuration.refreshLifetime / .seconds(1))
        let grant = OAuthGrant(
            id: SymmetricKey(size: .bits128).withUnsafeBytes { Base64URL.encode($0) }, userID: user.id,
            clientID: clientID, clientName: sealed["name"]?.string ?? clientID,
            scopes: sealed["scopes"]?.array?.compactMap(\.string) ?? [], createdAt: now, usedAt: now, expiresAt: expiry)
        try await store.insertOAuthGrant(
            grant,
            code: OAuthCode(
                digest: code.digest, grantID: grant.id, redirectURI: redirectURI.text, challenge: challenge,
                expiresAt: now.addingTimeInterval(Self.codeLifetime)))
        logger.info(
            "user allowed an OAuth client",
            metadata: ["oauth.client": "\(clientID.prefix(200))", "oauth.grant": "\(grant.id)"])
        return response([("code", code.text)], redirectURI, state: state)
    }

    private func failure(_ error: OAuthError, _ redirectURI: RedirectURI, state: String?) -> OAuthReply {
        response(
            [("error", error.code.rawValue), ("error_description", error.description)], redirectURI, state: state)
    }

    /// Returns the authorization response, with `iss` against mix-up attacks (RFC 9207).
    private func response(
        _ parameters: [(String, String)], _ redirectURI: RedirectURI, state: String?
    ) -> OAuthReply {
        let all = parameters + (state.map { [("state", $0)] } ?? []) + [("iss", surroundings.issuer)]
        return .redirect(redirectURI.adding(all))
    }

    private static func problem(_ text: String) -> OAuthReply {
        .page(OAuthPages.problem(text), status: .badRequest)
    }

    // MARK: Signing in

    /// Returns the form for the server's own accounts, or a redirect to the site's login.
    private func signIn(continuing target: String, hint: String?) -> OAuthReply {
        var site: String?
        if surroundings.usesSiteLogin {
            guard !target.hasSuffix(Self.signedInMark) else {
                return Self.problem("You have signed in at the site, but this server does not know its session.")
            }
            let next = target + (target.contains("?") ? "&" : "?") + Self.signedInMark
            let separator = configuration.loginURL.contains("?") ? "&" : "?"
            site = configuration.loginURL + separator + FormFields.encode([("next", next)])
        }
        guard surroundings.login != nil else {
            return site.map { .redirect($0) } ?? Self.problem("This server offers no way to sign in.")
        }
        return .page(OAuthPages.login(continuing: target, username: hint, siteLogin: site, problem: nil))
    }

    /// Answers `/oauth/login`: checks a user name and a password.
    func logIn(_ request: OAuthRequest) async throws -> OAuthReply {
        guard let login = surroundings.login, let fields = request.form, let target = fields["continue"],
            Self.isOwnPage(target)
        else { return Self.problem("The form is malformed.") }
        let username = fields["username"] ?? ""
        let previous = PresentedCredentials(headers: request.headers).cookie(LoginCookieIdentity.cookieName)
        do {
            let (_, token) = try await login.login(
                username: username, password: fields["password"] ?? "",
                replacing: previous.flatMap(SessionToken.init(presented:)), from: address(request))
            var reply = OAuthReply.redirect(target)
            reply.headers.add(
                name: "Set-Cookie",
                value: LoginCookieIdentity.cookie(token.text, maxAge: login.lifetime, requestHeaders: request.headers))
            return reply
        } catch LoginService.LoginError.tooManyAttempts(let time) {
            surroundings.refused(.throttled)
            var reply = again(target, username, "Too many failed attempts. Try again later.", .tooManyRequests)
            reply.headers.add(name: "Retry-After", value: String(time.components.seconds + 1))
            return reply
        } catch is LoginService.LoginError {
            surroundings.refused(.password)
            return again(target, username, "Wrong user name or password.", .unauthorized)
        } catch is PasswordHasher.Overloaded {
            return again(target, username, "Too many people sign in at the moment. Try again.", .serviceUnavailable)
        }
    }

    private func again(
        _ target: String, _ username: String, _ problem: String, _ status: HTTPResponseStatus
    ) -> OAuthReply {
        .page(
            OAuthPages.login(
                continuing: target, username: String(username.prefix(150)), siteLogin: nil, problem: problem),
            status: status)
    }

    /// Returns whether a target is a page of this server: a login never leads to another site.
    private static func isOwnPage(_ target: String) -> Bool {
        (target == grantsPath || target.hasPrefix(authorizePath + "?"))
            && target.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// Returns the query without `prompt`, which has been processed.
    /// - Parameter isFresh: True where a new login begins.
    private static func withoutPrompt(_ query: String, isFresh: Bool = true) -> String {
        query.split(separator: "&").filter { !$0.hasPrefix("prompt=") && !(isFresh && $0 == signedInMark) }
            .joined(separator: "&")
    }

    // MARK: Grants

    /// Answers `/oauth/grants` with the user's permissions.
    func listGrants(_ request: OAuthRequest) async throws -> OAuthReply {
        guard let user = try await user(request) else {
            let mark = request.query == Self.signedInMark && surroundings.usesSiteLogin ? "?" + Self.signedInMark : ""
            return signIn(continuing: Self.grantsPath + mark, hint: nil)
        }
        let keys = try await keys.sealingKeys()
        let permissions = try await store.oauthGrants(userID: user.id).filter { $0.expiresAt > now() }.map { grant in
            OAuthPages.Permission(
                grant: grant, scopes: words(grant.scopes),
                request: try SealedForm.seal(
                    ["grant": .string(grant.id)], purpose: "withdraw", userID: user.id, now: now(), keys: keys))
        }
        return .page(OAuthPages.grants(permissions, username: user.name))
    }

    /// Withdraws a permission: the same path with POST.
    func withdrawGrant(_ request: OAuthRequest) async throws -> OAuthReply {
        guard let user = try await user(request), let text = request.form?["request"],
            let sealed = SealedForm.open(
                text, purpose: "withdraw", userID: user.id, now: now(), keys: try await keys.sealingKeys()),
            let id = sealed["grant"]?.string
        else { return Self.problem("The page has expired, or belongs to another user.") }
        if try await store.deleteOAuthGrant(id: id, userID: user.id) {
            logger.info("user withdrew a grant", metadata: ["oauth.grant": "\(id)"])
        }
        return .redirect(Self.grantsPath)
    }
}
