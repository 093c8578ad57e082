#if DEBUG

import Crypto
package import Foundation
import HTTPSyntax
package import JSON
import JSONConfiguration
import Logging
import MCP
package import MCPServer
package import NIOConcurrencyHelpers
package import NIOHTTP1
package import Store
import Testing

@testable package import Identity
@testable package import OAuthServer

/// An authorization server with two accounts, a clock and a network of its own.
package struct OAuthFixture {
    /// The authorization server's own name.
    package static let issuer = "https://chat.example"
    /// The MCP endpoint that its tokens are for.
    package static let resource = "https://chat.example/mcp"
    /// The redirect URI of the client `app`.
    package static let redirect = "https://app.example/callback"
    /// The code verifier whose challenge ``parameters(_:)`` has (RFC 7636, appendix B).
    package static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    /// The URL of a client's metadata document.
    package static let document = "https://client.example/metadata.json"

    /// The store that keeps grants, codes and keys.
    package let store: any InternalStore
    /// The authorization server.
    package let server: OAuthServer
    /// The login of the accounts alice and bob.
    package let login: LoginService
    /// The reader of the server's own tokens.
    package let identity: JWTIdentity
    /// The time that server and tokens see.
    package let clock: NIOLockedValueBox<Date>
    /// The documents that can be fetched, by URL.
    package let network: NIOLockedValueBox<[String: FetchedDocument]>
    /// The URLs that were fetched, in order.
    package let fetches = NIOLockedValueBox<[String]>([])

    /// Starts with the configured client `app`; `other` shares its store, clock and network, as a replica does.
    package init(
        _ engine: Engine = .sqlite, sharing other: OAuthFixture? = nil, settings: JSONObject = [:],
        usesSite: Bool = false
    ) async throws {
        let clock = other?.clock ?? NIOLockedValueBox(Date(timeIntervalSince1970: 1_790_000_000))
        let now: @Sendable () -> Date = { clock.withLockedValue { $0 } }
        self.clock = clock
        network = other?.network ?? NIOLockedValueBox([:])
        if let other { store = other.store } else { store = try await engine.store() }
        login = LoginService(accounts: store, sessions: store, hasher: try .test(), now: now)
        if other == nil {
            for name in ["alice", "bob"] {
                _ = try await login.createAccount(username: name, alias: "", password: "\(name)'s password")
            }
        }
        var section: JSONObject = [
            "clients": [
                "app": ["name": "The App", "redirectURIs": [.string(Self.redirect)]],
                "desktop": ["redirectURIs": ["http://127.0.0.1/callback", "com.example.app:/done"]],
                "server": ["redirectURIs": [.string(Self.redirect)], "secret": "a secret & more"],
            ],
            "registration": true, "scopes": ["records:read": ["words": "read your records"]],
        ]
        for (key, value) in settings { section[key] = value }
        let reader = ConfigurationReader(
            document: .object(section), path: ["toolServer", "oauth"], environment: [:],
            environmentPrefix: "TOOL_SERVER_OAUTH")
        let oauth = OAuthConfiguration(reader)
        try reader.finish()
        let directory = UserDirectory([.accounts(store)])
        let keys = SigningKeys(
            store: store, rotation: oauth.keyRotation, tokenLifetime: oauth.accessLifetime, now: now)
        let (network, fetches) = (network, fetches)
        server = OAuthServer(
            configuration: oauth,
            surroundings: .init(
                issuer: Self.issuer, resource: Self.resource, scopes: ["chat", "records:read"],
                identity: IdentityChain([LoginCookieIdentity(login: login)]), login: usesSite ? nil : login,
                usesSiteLogin: usesSite,
                directory: directory, addresses: ClientAddressRule()), store: store, keys: keys,
            fetch: { url in
                fetches.withLockedValue { $0.append(url) }
                guard let document = network.withLockedValue({ $0[url] }) else { throw StoreError(.other, "no host") }
                return document
            }, logger: Logger(label: "test"), now: now)
        identity = JWTIdentity(
            configuration: JWTConfiguration(ownIssuer: Self.issuer, audience: Self.resource),
            keys: VerificationKeys(
                algorithms: ["ES256"], interval: .zero, maximumAge: .seconds(60), logger: Logger(label: "test"),
                load: { try await keys.keySet() }), directory: directory, passesOthers: true, now: now)
    }

    /// Moves the clock on.
    package func advance(_ seconds: Double) { clock.withLockedValue { $0 += seconds } }

    /// Logs an account in and returns its session cookie as a header.
    package func cookie(_ name: String = "alice") async throws -> HTTPHeaders {
        let account = try #require(try await store.account(named: name))
        return ["Cookie": "sessionid=\(try await login.openSession(for: account).text)"]
    }

    /// Sends a GET request with these parameters.
    package func get(
        _ path: String, _ fields: [(String, String)] = [], _ headers: HTTPHeaders = [:]
    ) async -> OAuthReply {
        let query = fields.isEmpty ? "" : "?" + FormFields.encode(fields)
        return await server.respond(to: OAuthRequest(method: .GET, target: path + query, headers: headers))
    }

    /// Sends a form.
    package func post(_ path: String, _ fields: [(String, String)], _ headers: HTTPHeaders = [:]) async -> OAuthReply {
        var headers = headers
        headers.replaceOrAdd(name: "Content-Type", value: "application/x-www-form-urlencoded")
        return await server.respond(
            to: OAuthRequest(
                method: .POST, target: path, headers: headers, body: Array(FormFields.encode(fields).utf8)))
    }

    /// The parameters of a request that is right, with changes; nil removes one.
    package static func parameters(_ changes: [String: String?] = [:]) -> [(String, String)] {
        let challenge = Base64URL.encode(SHA256.hash(data: Array(verifier.utf8)))
        var all: [(String, String)] = [
            ("response_type", "code"), ("client_id", "app"), ("redirect_uri", redirect), ("state", "x/y&z"),
            ("code_challenge", challenge), ("code_challenge_method", "S256"), ("resource", resource),
            ("scope", "records:read"),
        ]
        for (name, value) in changes {
            all.removeAll { $0.0 == name }
            if let value { all.append((name, value)) }
        }
        return all
    }

    /// Clicks through consent; returns the parameters that the client gets.
    package func consent(
        _ changes: [String: String?] = [:], decision: String = "allow", as user: String = "alice"
    ) async throws -> [String: String] {
        let cookie = try await cookie(user)
        let page = await get("/oauth/authorize", Self.parameters(changes), cookie)
        #expect(page.status == .ok, "\(page.text)")
        let sealed = try #require(page.hidden("request"), "\(page.text)")
        return try #require(
            await post("/oauth/consent", [("request", sealed), ("decision", decision)], cookie).redirected)
    }

    /// Clicks through consent and returns the code.
    package func code(_ changes: [String: String?] = [:]) async throws -> String {
        try #require(try await consent(changes)["code"])
    }

    /// Redeems a code; `changes` replace parameters of the right request.
    package func redeem(
        _ code: String, _ changes: [String: String?] = [:], _ headers: HTTPHeaders = [:]
    ) async -> OAuthReply {
        var fields = [
            "grant_type": "authorization_code", "code": code, "redirect_uri": Self.redirect, "client_id": "app",
            "code_verifier": Self.verifier, "resource": Self.resource,
        ]
        for (name, value) in changes { fields[name] = value }
        return await post("/oauth/token", fields.map { ($0.key, $0.value) }, headers)
    }

    /// Redeems a refresh token.
    package func refresh(_ token: String, _ changes: [String: String?] = [:]) async -> OAuthReply {
        var fields = ["grant_type": "refresh_token", "refresh_token": token, "client_id": "app"]
        for (name, value) in changes { fields[name] = value }
        return await post("/oauth/token", fields.map { ($0.key, $0.value) })
    }

    /// Returns the bearer whom an access token names.
    package func principal(_ token: String) async throws -> Principal? {
        guard case .principal(let principal) = try await identity.identify(.bearer(token)) else { return nil }
        return principal
    }
}

extension OAuthReply {
    /// The body as text.
    package var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as JSON; null where it is not.
    package var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }

    /// The `error` of an OAuth error response.
    package var error: String? { json["error"]?.string }

    /// The value of a hidden field.
    package func hidden(_ name: String) -> String? {
        guard let start = text.firstRange(of: "name=\"\(name)\" value=\"")?.upperBound else { return nil }
        return String(text[start...].prefix { $0 != "\"" }).replacing("&amp;", with: "&")
    }

    /// The query of the redirect's target; nil without one.
    package var redirected: [String: String]? {
        guard status == .seeOther, let location = headers.first(name: "Location"),
            let items = URLComponents(string: location)?.queryItems
        else { return nil }
        return Dictionary(items.map { ($0.name, $0.value ?? "") }) { first, _ in first }
    }
}

#endif
