import JSON
import JSONConfiguration
package import Logging
import MCPServer
import NIOHTTP1
import Synchronization

/// Identity of users whom the reverse proxy authenticated and names in a header.
///
/// The header from any other peer, or without the secret, is refused rather than ignored: either a client tries to
/// impersonate a user, or the proxy is configured wrongly, and neither must be served as anonymous.
package final class TrustedHeaderIdentity: IdentityProvider {
    /// Prefix of the principal's id where the header names users without an account here.
    package static let principalPrefix = "header:"

    private enum Fault: String {
        case peer, secret
    }

    private let configuration: TrustedHeaderConfiguration
    private let directory: UserDirectory
    private let logger: Logger
    private let logged = Mutex<Set<Fault>>([])

    /// - Parameter directory: Directory of the users that the header names, where they have accounts here.
    package init(configuration: TrustedHeaderConfiguration, directory: UserDirectory, logger: Logger) {
        self.configuration = configuration
        self.directory = directory
        self.logger = logger
    }

    /// Headers that identify the caller, and that a proxy adds to the requests of any page.
    package var ambientHeaders: [String] { [configuration.header] }

    package func identify(_ credentials: PresentedCredentials) async throws -> IdentityOutcome {
        let names = credentials.headers[configuration.header]
        guard !names.isEmpty else { return .none }
        guard let peer = credentials.peer, configuration.peers.contains(where: { $0.contains(peer) }) else {
            warn(.peer, credentials)
            return .rejected(.untrusted, reason: "The user header is accepted from the reverse proxy only")
        }
        let secrets = credentials.headers[configuration.secretHeader]
        guard let secret = configuration.secret, secrets.count == 1,
            SecretComparison.equal(Array(secrets[0].utf8), Array(secret.value.utf8))
        else {
            warn(.secret, credentials)
            return .rejected(.untrusted, reason: "The user header comes without the reverse proxy's secret")
        }
        // Proxies send an empty name when no user is logged in.
        guard names.count == 1, names[0].count <= 150, !names[0].hasControlCharacters else {
            return .rejected(.malformed, reason: "The user header is malformed")
        }
        let name = names[0]
        guard !name.isEmpty else { return .none }
        let granted: GrantedScopes =
            if let header = configuration.scopesHeader {
                .only(Set(credentials.headers[header].flatMap(ScopeName.list).filter(ScopeName.isValid)))
            } else {
                .all
            }
        switch configuration.users {
        case .directory:
            let user = try await directory.user(named: name)
            guard let user, user.isActive else {
                return .rejected(user == nil ? .unknown : .disabled, reason: "The user is unknown or disabled")
            }
            return .principal(user.principal(granted, isCookie: false))
        case .header:
            let alias = configuration.aliasHeader.flatMap { credentials.headers.first(name: $0) } ?? ""
            return .principal(
                Principal(
                    id: Self.principalPrefix + name, name: name, scopes: granted.scopes, hasAllScopes: granted == .all,
                    attributes: ["alias": alias.printable]))
        }
    }

    /// Logs each kind of fault only once: otherwise any client could fill the log.
    private func warn(_ fault: Fault, _ credentials: PresentedCredentials) {
        guard logged.withLock({ $0.insert(fault).inserted }) else { return }
        logger.warning(
            "header with a user name refused; further ones for this reason are not logged",
            metadata: [
                "reason": "\(fault.rawValue)", "header": "\(configuration.header)",
                "client.address": "\(credentials.peer.map { "\($0)" } ?? "unknown")",
            ])
    }
}
