import CurlTransport
import Foundation
import HTTPServer
import HTTPSyntax
import Identity
import Logging
import NIOHTTP1
import OAuthServer
import Store

extension ToolServerConfiguration {
    /// Creates the authorization server that the configuration describes.
    func authorizationServer(
        store: any OAuthStore, keys: SigningKeys, identity cookies: any IdentityProvider, login: LoginService,
        directory: UserDirectory, engine: CurlEngine?, metrics: ToolServerMetrics, logger: Logger,
        now: @escaping @Sendable () -> Date
    ) -> OAuthServer? {
        guard let oauth, let url = access.publicURL else { return nil }
        return OAuthServer(
            configuration: oauth,
            surroundings: .init(
                issuer: String(url.origin), resource: url.text, scopes: knownScopes, identity: cookies,
                login: identity.contains(.builtin) ? login : nil, usesSiteLogin: identity.contains(.django),
                directory: directory, addresses: ClientAddressRule(trusted: site.trustedProxies),
                refused: { metrics.refused($0) }),
            store: store, keys: keys, fetch: { try await Self.document($0, engine) }, logger: logger, now: now)
    }

    private static let documentTimeout: Duration = .seconds(5)

    /// Reads a client's metadata document. Redirects are not followed, and the engine connects only to public
    /// addresses.
    private static func document(_ url: String, _ engine: CurlEngine?) async throws -> FetchedDocument {
        guard let engine else { return FetchedDocument(status: 503, body: []) }
        let response = try await engine.execute(
            CurlRequest(
                url: url, headers: CurlHeaders([("Accept", "application/json")]), timeout: documentTimeout,
                maximumResponseBytes: ClientDocuments.maximumBytes, mayResend: true))
        return FetchedDocument(
            status: response.status, cacheControl: response.headers.all(name: "cache-control"),
            body: Array(response.body.readableBytesView))
    }
}

extension OAuthServer {
    /// Converts the authorization server's response into one of the main port.
    func reply(to request: AsyncHTTPRequest) async -> HTTPReply {
        let reply = await respond(
            to: OAuthRequest(
                method: request.head.method, target: request.head.uri, headers: request.head.headers,
                body: Array(request.body.readableBytesView), peer: Peer(request.remoteAddress)))
        return HTTPReply(status: reply.status, headers: reply.headers, body: .init(bytes: reply.body))
    }
}
