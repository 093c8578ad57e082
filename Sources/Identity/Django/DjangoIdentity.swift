package import Foundation
import JSON
import MCPServer
package import Store

/// Identity of the users of an existing Django site, by the session cookie that the site itself set.
///
/// The site's database is only read. A cookie that is unknown, expired, forged, of an inactive user or older than the
/// user's password is anonymous, as on the site itself.
package struct DjangoIdentity: IdentityProvider {
    /// Backends that come with Django.
    package static let standardBackends = [
        "ModelBackend", "AllowAllUsersModelBackend", "RemoteUserBackend", "AllowAllUsersRemoteUserBackend",
    ].map { "django.contrib.auth.backends." + $0 }

    let records: any DjangoRecords
    let signing: DjangoSigning
    let cookie: String
    let backends: Set<String>
    let scopes: GrantedScopes
    let now: @Sendable () -> Date

    /// - Parameters:
    ///   - records: The site's database.
    ///   - signing: The site's keys.
    ///   - cookie: Name of the session cookie (`SESSION_COOKIE_NAME`).
    ///   - backends: the site's `AUTHENTICATION_BACKENDS`; a session of another backend is anonymous.
    ///   - scopes: Scopes that a session grants.
    ///   - now: Clock of expiry.
    package init(
        records: any DjangoRecords, signing: DjangoSigning, cookie: String = "sessionid",
        backends: Set<String> = Set(standardBackends), scopes: GrantedScopes = .all,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.records = records
        self.signing = signing
        self.cookie = cookie
        self.backends = backends
        self.scopes = scopes
        self.now = now
    }

    package func identify(_ credentials: PresentedCredentials) async throws -> IdentityOutcome {
        guard let key = credentials.cookie(cookie), Self.isPossible(key),
            let signed = try await records.djangoSession(key: key, now: now()),
            let session = signing.session(signed),
            let backend = session["_auth_user_backend"]?.string, backends.contains(backend),
            let id = Self.userID(in: session), let hash = session["_auth_user_hash"]?.string,
            let user = try await records.djangoUser(id: id), user.isActive,
            signing.isCurrent(authenticationHash: hash, password: user.password)
        else { return .none }
        return .principal(UserRecord(user, id: id).principal(scopes, isCookie: true))
    }

    /// Returns whether a text can be a session key. Django uses at least 8 characters, and its column holds 40; others
    /// are not looked up.
    private static func isPossible(_ key: String) -> Bool {
        (8...128).contains(key.utf8.count) && key.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// Returns the user's primary key. Django writes a string; older versions wrote a number.
    private static func userID(in session: JSONObject) -> String? {
        guard let value = session["_auth_user_id"], let id = value.string ?? value.int.map(String.init),
            (1...128).contains(id.utf8.count), !id.utf8.contains(0)
        else { return nil }
        return id
    }
}
