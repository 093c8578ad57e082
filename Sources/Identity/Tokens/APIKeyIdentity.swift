package import Foundation
package import Logging
import MCPServer
package import Store

/// Identity of callers that present an API key of this server.
///
/// Each request looks the key up, so that revoking one takes effect at once. The look-up is by digest: its time depends
/// on the SHA-256 of the presented text, which a client cannot steer towards a stored one, and so discloses nothing
/// about keys.
package struct APIKeyIdentity: TokenProvider {
    /// Precision of ``APIKey/lastUsedAt``, in seconds: a key in constant use costs one write in this time.
    static let useGranularity: TimeInterval = 3600

    let keys: any APIKeyStore
    let directory: UserDirectory
    let logger: Logger
    let now: @Sendable () -> Date

    /// - Parameters:
    ///   - directory: Directory of the users for whom keys act.
    ///   - now: Clock of expiry.
    package init(
        keys: any APIKeyStore, directory: UserDirectory, logger: Logger,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.keys = keys
        self.directory = directory
        self.logger = logger
        self.now = now
    }

    package func identify(_ token: PresentedToken) async throws -> IdentityOutcome {
        let presented: String
        switch token {
        case .bearer(let text) where text.hasPrefix(APIKeyText.prefix): presented = text
        case .apiKey(let text): presented = text
        case .bearer, .malformed: return .none
        }
        guard let text = APIKeyText(presented: presented) else {
            return .rejected(.malformed, reason: "The API key is malformed")
        }
        let digest = text.digest
        // The comparison guards against a store that finds more than it should.
        guard let key = try await keys.apiKey(digest: digest), SecretComparison.equal(digest, key.digest) else {
            return .rejected(.unknown, reason: "The API key is unknown")
        }
        switch key.state(at: now()) {
        case .active: break
        case .revoked: return .rejected(.revoked, reason: "The API key has been revoked")
        case .expired: return .rejected(.expired, reason: "The API key has expired")
        }
        var principal = Principal(id: "key:\(key.name)", name: key.name, scopes: Set(key.scopes))
        if let userID = key.userID {
            guard let user = try await directory.user(id: userID), user.isActive else {
                return .rejected(.disabled, reason: "The API key's user does not exist any more or is disabled")
            }
            principal = user.principal(.only(Set(key.scopes)), isCookie: false)
        }
        await noteUse(of: key)
        return .principal(principal)
    }

    private func noteUse(of key: APIKey) async {
        let now = now()
        if let last = key.lastUsedAt, now.timeIntervalSince(last) < Self.useGranularity { return }
        do {
            try await keys.noteUse(ofAPIKey: key.digest, at: now)
        } catch {
            // The request is served although its use could not be recorded.
            logger.warning("last use of an API key could not be stored", metadata: ["error": "\(error)"])
        }
    }
}
