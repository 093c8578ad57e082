package import Foundation
import JSON
import MCPServer
package import Store

/// The users of an existing Django site, known by the session cookie that the site itself set.
///
/// Nothing is written. A cookie that is unknown, expired, forged, of an inactive user or older than the user's
/// password is anonymous, as the site itself has it.
package struct DjangoIdentity: IdentityProvider {
    /// The backends that come with Django.
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
    ///   - records: the site's database.
    ///   - signing: the site's keys.
    ///   - cookie: the session cookie's name (`SESSION_COOKIE_NAME`).
    ///   - backends: the site's `AUTHENTICATION_BACKENDS`; a session of another backend is anonymous.
    ///   - scopes: what a session allows.
    ///   - now: the clock of expiry.
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

    /// Django takes keys from 8 characters on; its column holds 40. Longer ones cost no look-up.
    private static func isPossible(_ key: String) -> Bool {
        (8...128).contains(key.utf8.count) && key.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// The user's primary key. Django writes a string; a number is what older versions wrote.
    private static func userID(in session: JSONObject) -> String? {
        guard let value = session["_auth_user_id"], let id = value.string ?? value.int.map(String.init),
            (1...128).contains(id.utf8.count), !id.utf8.contains(0)
        else { return nil }
        return id
    }
}
