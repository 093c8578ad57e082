import CurlTransport
import Foundation
package import Identity
import JSONConfiguration
import Logging
import NIOHTTP1
import OAuthServer
package import Store

/// The configured identity providers, combined.
struct IdentityParts {
    let chain: IdentityChain
    let verificationKeys: VerificationKeys?
    /// Headers besides cookies that a browser or proxy adds by itself, and that identify the caller.
    let ambientHeaders: [String]
    /// Providers that identify a browser's user by its cookies.
    let cookies: IdentityChain

    /// - Parameter engine: Engine that fetches the verification keys of tokens; present where the configuration names a
    ///   URL.
    init(
        configuration: ToolServerConfiguration, login: LoginService, keys: any APIKeyStore,
        external: (any DjangoRecords)?, directory: UserDirectory, engine: CurlEngine?,
        ownKeys: SigningKeys?, logger: Logger,
        now: @escaping @Sendable () -> Date
    ) {
        var providers: [any IdentityProvider] = []
        var tokens: [any TokenProvider] = []
        var verificationKeys: VerificationKeys?
        var ambientHeaders: [String] = []
        let scopes = configuration.access.cookieScopes
        if let ownKeys, let url = configuration.access.publicURL {
            let own = JWTConfiguration(ownIssuer: String(url.origin), audience: url.text)
            let keys = VerificationKeys(
                algorithms: own.algorithms, interval: own.refresh, maximumAge: own.maximumAge, logger: logger,
                load: { try await ownKeys.keySet() })
            tokens.append(
                JWTIdentity(configuration: own, keys: keys, directory: directory, passesOthers: true, now: now))
        }
        for provider in configuration.identity {
            switch provider {
            case .builtin:
                providers.append(LoginCookieIdentity(login: login, scopes: scopes))
            case .django:
                guard let external, let signing = configuration.django.signing else { continue }
                providers.append(
                    DjangoIdentity(
                        records: external, signing: signing, cookie: configuration.django.cookie,
                        backends: configuration.django.backends, scopes: scopes, now: now))
            case .apiKey:
                tokens.append(APIKeyIdentity(keys: keys, directory: directory, logger: logger, now: now))
            case .jwt:
                let jwt = configuration.jwt
                let read = VerificationKeys(
                    algorithms: jwt.algorithms, interval: jwt.refresh, maximumAge: jwt.maximumAge, logger: logger,
                    load: jwt.loader(engine))
                verificationKeys = read
                tokens.append(JWTIdentity(configuration: jwt, keys: read, directory: directory, now: now))
            case .trustedHeader:
                let header = TrustedHeaderIdentity(
                    configuration: configuration.trustedHeader, directory: directory, logger: logger)
                providers.append(header)
                ambientHeaders += header.ambientHeaders
            }
        }
        cookies = IdentityChain(providers.filter { !($0 is TrustedHeaderIdentity) })
        chain = IdentityChain(
            providers, tokens: tokens,
            keyHeader: configuration.identity.contains(.apiKey) ? configuration.access.keyHeader : nil)
        self.verificationKeys = verificationKeys
        self.ambientHeaders = ambientHeaders
    }
}

extension ToolServerConfiguration {
    /// Checks that every access rule names a tool. A rule for an unknown tool protects nothing: its name is a mistake.
    /// - Throws: `ConfigurationErrors`.
    func checkRules(against tools: [String]) throws {
        let unknown = access.tools.keys.filter { !tools.contains($0) }.sorted()
        guard !unknown.isEmpty else { return }
        throw ConfigurationErrors(
            unknown.map { name in
                ConfigurationError(
                    path: "toolServer.tools.\(name)", expected: "one of " + tools.joined(separator: ", "),
                    found: "an unknown tool")
            })
    }

    /// Challenge that refusals carry in `WWW-Authenticate`.
    var challenge: BearerChallenge {
        let issues = identity.contains(.jwt) || oauth != nil
        return BearerChallenge(
            isAccepted: issues || identity.contains(.apiKey),
            metadataURL: issues ? access.publicURL?.metadataURL : nil)
    }
}

extension ToolServerConfiguration {
    /// Returns the users of the configured providers, in their order; the accounts of the store where no provider has
    /// users.
    package func userDirectory(store: any AccountStore, external: (any DjangoRecords)?) -> UserDirectory {
        let places: [UserDirectory.Place] = identity.compactMap { provider in
            switch provider {
            case .builtin: .accounts(store)
            case .django: external.map { .django($0) }
            case .apiKey, .jwt, .trustedHeader: nil
            }
        }
        return UserDirectory(places.isEmpty ? [.accounts(store)] : places)
    }
}
