package import Foundation
import JSON
package import Store

/// Login and logout with the store's own accounts.
package struct LoginService: Sendable {
    /// The reason why a login failed.
    package enum LoginError: Error, Hashable, Sendable {
        /// Unknown name, wrong password or inactive account; which one is not disclosed.
        case wrongCredentials
        /// Too many attempts failed before, so that nothing was checked. The next attempt is allowed after that time.
        case tooManyAttempts(retryAfter: Duration)
    }

    /// Default lifetime of a login, the same as Django's.
    package static let standardLifetime: Duration = .seconds(14 * 24 * 3600)

    let accounts: any AccountStore
    let sessions: any LoginSessionStore
    let hasher: PasswordHasher
    let throttle: LoginThrottle
    /// Lifetime of a login session.
    package let lifetime: Duration
    let now: @Sendable () -> Date

    /// Creates a service over stores and a hasher; `now` is the clock of expiry.
    /// - Parameter throttle: Limits attempts; by default with standard numbers.
    package init(
        accounts: any AccountStore, sessions: any LoginSessionStore, hasher: PasswordHasher,
        throttle: LoginThrottle? = nil, lifetime: Duration = standardLifetime,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.accounts = accounts
        self.sessions = sessions
        self.hasher = hasher
        self.throttle = throttle ?? LoginThrottle(now: now)
        self.lifetime = lifetime
        self.now = now
    }

    /// Checks the password and opens a session with a new token; the session presented with the request ends.
    /// - Parameter address: The client's address, by which attempts are limited; nil where it is not known.
    /// - Throws: ``LoginError``, ``PasswordHasher/Overloaded``, or the store's error.
    package func login(
        username: String, password: String, replacing previous: SessionToken?, from address: String? = nil
    ) async throws -> (account: Account, token: SessionToken) {
        let attempt: LoginThrottle.Attempt
        switch throttle.begin(account: username, address: address) {
        case .allowed(let allowed): attempt = allowed
        case .wait(let time): throw LoginError.tooManyAttempts(retryAfter: time)
        }
        guard Self.isHashable(password) else { throw LoginError.wrongCredentials }
        let account: Account?
        let matches: Bool
        do {
            account = try await accounts.account(named: username)
            matches = try await hasher.verify(password, encoded: account?.passwordHash)
        } catch {
            throttle.withdrawn(attempt)
            throw error
        }
        guard let account, matches, account.isActive else { throw LoginError.wrongCredentials }
        throttle.succeeded(attempt)
        return (account, try await openSession(for: account, replacing: previous))
    }

    /// Opens a session without a password: for operators.
    /// - Throws: ``LoginError`` when the account is inactive, or was changed since it was read; the store's error.
    package func openSession(for account: Account, replacing previous: SessionToken? = nil) async throws -> SessionToken
    {
        let token = SessionToken()
        let now = now()
        let session = LoginSession(
            digest: token.digest, accountID: account.id, createdAt: now,
            expiresAt: now.addingTimeInterval(Double(lifetime.components.seconds)))
        try await sessions.deleteExpiredLoginSessions(now: now)
        guard try await sessions.insertLoginSession(session, of: account, replacing: previous?.digest) else {
            throw LoginError.wrongCredentials
        }
        return token
    }

    /// Ends the session of a token.
    /// - Throws: ``StoreError``.
    package func logout(_ token: SessionToken) async throws {
        try await sessions.deleteLoginSession(digest: token.digest)
    }

    /// Returns the account that is logged in with a token, if the session has not ended.
    /// - Throws: ``StoreError``.
    package func account(_ token: SessionToken) async throws -> Account? {
        try await sessions.account(sessionDigest: token.digest, now: now())
    }

    /// Creates an account.
    /// - Throws: ``AccountError`` for a name, alias or password that breaks a rule; ``StoreError`` of kind
    ///   `duplicate` when the name is taken.
    package func createAccount(username: String, alias: String, password: String) async throws -> Account {
        guard (1...150).contains(username.count), !username.contains(where: \.isWhitespace),
            !username.hasControlCharacters
        else {
            throw AccountError("user name: expected 1 to 150 characters without white space")
        }
        guard alias.count <= 150, !alias.hasControlCharacters else {
            throw AccountError("alias: expected at most 150 characters")
        }
        let hash = try await checkedHash(of: password)
        return try await accounts.insertAccount(username: username, alias: alias, passwordHash: hash, at: now())
    }

    /// Changes an account's password; all of its sessions end.
    /// - Throws: ``AccountError`` for a password that breaks a rule; the store's error.
    package func changePassword(of account: Account, to password: String) async throws {
        try await accounts.updatePasswordHash(try await checkedHash(of: password), accountID: account.id)
    }

    private func checkedHash(of password: String) async throws -> String {
        guard password.count >= 8, Self.isHashable(password) else {
            throw AccountError(
                "password: expected at least 8 characters and at most \(PasswordHasher.maximumPasswordLength) bytes, "
                    + "none of them NUL")
        }
        return try await hasher.hash(password)
    }

    /// Returns whether a password can be hashed. HMAC, within scrypt, pads short keys with NUL: a password and the same
    /// with NULs after it have one hash.
    private static func isHashable(_ password: String) -> Bool {
        password.utf8.count <= PasswordHasher.maximumPasswordLength && !password.utf8.contains(0)
    }
}

/// Error of a new account that breaks a rule; the description names the field and what was expected.
package struct AccountError: Error, CustomStringConvertible {
    /// Description on one line.
    package let description: String

    /// Creates the error of a rule.
    package init(_ description: String) {
        self.description = description
    }
}
