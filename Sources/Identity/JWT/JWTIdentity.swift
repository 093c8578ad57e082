package import Foundation
import JSON
import JSONConfiguration
import MCPServer

/// Identity of callers that present a signed access token.
package struct JWTIdentity: TokenProvider {
    /// Prefix of the principal's id where tokens name users without an account here.
    package static let principalPrefix = "jwt:"

    let configuration: JWTConfiguration
    let keys: VerificationKeys
    let directory: UserDirectory
    /// True if a token of another issuer is left to the next provider.
    let passesOthers: Bool
    let now: @Sendable () -> Date

    /// Creates an identity that accepts the tokens that a configuration describes.
    package init(
        configuration: JWTConfiguration, keys: VerificationKeys, directory: UserDirectory,
        passesOthers: Bool = false, now: @escaping @Sendable () -> Date
    ) {
        self.configuration = configuration
        self.keys = keys
        self.directory = directory
        self.passesOthers = passesOthers
        self.now = now
    }

    package func identify(_ token: PresentedToken) async throws -> IdentityOutcome {
        guard case .bearer(let text) = token, !text.hasPrefix(APIKeyText.prefix) else { return .none }
        do {
            let token = try SignedToken(text)
            if passesOthers, !isOurs(token.claims) { return .none }
            try await verify(token)
            return .principal(try await principal(try check(token.claims)))
        } catch let fault as TokenError {
            return .rejected(fault.kind, reason: fault.reason)
        }
    }

    /// Verifies the signature and then the claims: a client that cannot sign learns nothing about which claims would be
    /// accepted.
    private func verify(_ token: SignedToken) async throws {
        guard configuration.algorithms.contains(token.algorithm) else {
            throw TokenError("The token's algorithm is not accepted")
        }
        let candidates = try await keys.candidates(algorithm: token.algorithm, id: token.keyID)
        guard !candidates.isEmpty else { throw TokenError("The token's key is unknown") }
        guard candidates.contains(where: { $0.verifies(token) }) else {
            throw TokenError("The token's signature is wrong")
        }
    }

    /// Returns whether the claims name the issuer, compared byte by byte: texts that only Unicode considers equal are
    /// different issuers.
    private func isOurs(_ claims: JSONObject) -> Bool {
        claims["iss"]?.string.map { $0.utf8.elementsEqual(configuration.issuer.utf8) } == true
    }

    private func check(_ claims: JSONObject) throws(TokenError) -> JSONObject {
        guard isOurs(claims) else { throw TokenError("The token is of another issuer") }
        let audience = claims["aud"]?.string.map { [$0] } ?? claims["aud"]?.array?.compactMap(\.string) ?? []
        guard configuration.audience.contains(where: { own in audience.contains { $0.utf8.elementsEqual(own.utf8) } })
        else {
            throw TokenError("The token is for another audience")
        }
        let now = now().timeIntervalSince1970
        let leeway = configuration.leeway / .seconds(1)
        guard let expiry = claims["exp"]?.double else { throw TokenError("The token has no expiry") }
        guard now < expiry + leeway else { throw TokenError("The token has expired", .expired) }
        for (name, reason) in [
            ("nbf", "The token is not valid yet"), ("iat", "The token is issued in the future"),
        ] {
            guard let claim = claims[name] else { continue }
            guard let instant = claim.double, instant <= now + leeway else { throw TokenError(reason) }
        }
        // A token bound to its holder's key is not a bearer token: presenting it proves nothing (RFC 7800, RFC 9449).
        guard claims["cnf"] == nil else { throw TokenError("The token is bound to a key and cannot be used alone") }
        for name in configuration.requiredClaims where claims[name].map(\.isNull) != false {
            throw TokenError("The token lacks the claim \(name)")
        }
        return claims
    }

    private func principal(_ claims: JSONObject) async throws -> Principal {
        guard let user = claims[configuration.userClaim]?.string, (1...255).contains(user.utf8.count),
            !user.hasControlCharacters
        else { throw TokenError("The token names no user") }
        let scopes = Set(scopes(claims))
        switch configuration.users {
        case .directory, .identifier:
            let record =
                configuration.users == .identifier
                ? try await directory.user(id: user) : try await directory.user(named: user)
            guard let record, record.isActive else {
                throw TokenError("The token's user is unknown or disabled", record == nil ? .unknown : .disabled)
            }
            return record.principal(.only(scopes), isCookie: false).with(claims: claims)
        case .token:
            func shown(_ claim: String?) -> String? { claim.flatMap { claims[$0]?.string }?.printable }
            return Principal(
                id: Self.principalPrefix + user, name: shown(configuration.nameClaim) ?? user, scopes: scopes,
                attributes: ["alias": shown(configuration.aliasClaim) ?? ""], claims: claims)
        }
    }

    private func scopes(_ claims: JSONObject) -> [String] {
        let value = configuration.scopeClaim.map { claims[$0] } ?? claims["scope"] ?? claims["scp"]
        let named = value?.string.map(ScopeName.list) ?? value?.array?.compactMap(\.string) ?? []
        // A scope is ASCII: a name that is equal to one only in Unicode is not a scope.
        return named.filter(ScopeName.isValid)
    }
}
