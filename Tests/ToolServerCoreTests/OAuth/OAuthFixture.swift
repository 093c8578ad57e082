import Crypto
import Foundation
import HTTPSyntax
import JSON
import Logging
import MCPServer
import NIOConcurrencyHelpers
import NIOHTTP1
import Testing

@testable import Identity
@testable import OAuthServer
@testable import Store
@testable import ToolServerCore

/// An authorization server with two accounts, a clock and a network of its own.
struct OAuthFixture {
    static let issuer = "https://chat.example"
    static let resource = "https://chat.example/mcp"
    static let redirect = "https://app.example/callback"
    static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    static let document = "https://client.example/metadata.json"

    let store: any InternalStore
    let server: OAuthServer
    let login: LoginService
    let identity: JWTIdentity
    let clock: NIOLockedValueBox<Date>
    /// Documents by URL, and how often each was fetched.
    let network: NIOLockedValueBox<[String: FetchedDocument]>
    let fetches = NIOLockedValueBox<[String]>([])

    init(
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
        let configuration = try ToolServerConfiguration(
            document: [
                "toolServer": [
                    "publicURL": .string(Self.resource), "oauth": .object(section),
                    "tools": ["search_any": ["scopes": ["records:read"]], "chat": ["scopes": ["chat"]]],
                ]
            ], environment: [:])
        let oauth = try #require(configuration.oauth)
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

    func advance(_ seconds: Double) { clock.withLockedValue { $0 += seconds } }

    func cookie(_ name: String = "alice") async throws -> HTTPHeaders {
        let account = try #require(try await store.account(named: name))
        return ["Cookie": "sessionid=\(try await login.openSession(for: account).text)"]
    }

    func get(_ path: String, _ fields: [(String, String)] = [], _ headers: HTTPHeaders = [:]) async -> OAuthReply {
        let query = fields.isEmpty ? "" : "?" + FormFields.encode(fields)
        return await server.respond(to: OAuthRequest(method: .GET, target: path + query, headers: headers))
    }

    func post(_ path: String, _ fields: [(String, String)], _ headers: HTTPHeaders = [:]) async -> OAuthReply {
        var headers = headers
        headers.replaceOrAdd(name: "Content-Type", value: "application/x-www-form-urlencoded")
        return await server.respond(
            to: OAuthRequest(
                method: .POST, target: path, headers: headers, body: Array(FormFields.encode(fields).utf8)))
    }

    /// The parameters of a request that is right, with changes; nil removes one.
    static func parameters(_ changes: [String: String?] = [:]) -> [(String, String)] {
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
    func consent(
        _ changes: [String: String?] = [:], decision: String = "allow", as user: String = "alice"
    ) async throws -> [String: String] {
        let cookie = try await cookie(user)
        let page = await get("/oauth/authorize", Self.parameters(changes), cookie)
        #expect(page.status == .ok, "\(page.text)")
        let sealed = try #require(page.hidden("request"), "\(page.text)")
        return try #require(
            await post("/oauth/consent", [("request", sealed), ("decision", decision)], cookie).redirected)
    }

    func code(_ changes: [String: String?] = [:]) async throws -> String {
        try #require(try await consent(changes)["code"])
    }

    func redeem(
        _ code: String, _ changes: [String: String?] = [:], _ headers: HTTPHeaders = [:]
    ) async -> OAuthReply {
        var fields = [
            "grant_type": "authorization_code", "code": code, "redirect_uri": Self.redirect, "client_id": "app",
            "code_verifier": Self.verifier, "resource": Self.resource,
        ]
        for (name, value) in changes { fields[name] = value }
        return await post("/oauth/token", fields.map { ($0.key, $0.value) }, headers)
    }

    func refresh(_ token: String, _ changes: [String: String?] = [:]) async -> OAuthReply {
        var fields = ["grant_type": "refresh_token", "refresh_token": token, "client_id": "app"]
        for (name, value) in changes { fields[name] = value }
        return await post("/oauth/token", fields.map { ($0.key, $0.value) })
    }

    /// Who an access token says its bearer is.
    func principal(_ token: String) async throws -> Principal? {
        guard case .principal(let principal) = try await identity.identify(.bearer(token)) else { return nil }
        return principal
    }
}

extension OAuthReply {
    var text: String { String(decoding: body, as: UTF8.self) }

    var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }

    var error: String? { json["error"]?.string }

    /// The value of a hidden field.
    func hidden(_ name: String) -> String? {
        guard let start = text.firstRange(of: "name=\"\(name)\" value=\"")?.upperBound else { return nil }
        return String(text[start...].prefix { $0 != "\"" }).replacing("&amp;", with: "&")
    }

    /// The query of the redirect's target; nil without one.
    var redirected: [String: String]? {
        guard status == .seeOther, let location = headers.first(name: "Location"),
            let items = URLComponents(string: location)?.queryItems
        else { return nil }
        return Dictionary(items.map { ($0.name, $0.value ?? "") }) { first, _ in first }
    }
}
