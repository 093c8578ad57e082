import AuthorizationClient
import Crypto
import CurlTransport
import Foundation
import JSON
import JSONConfiguration
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Tokens whose authorization server and scopes the upstream itself names.
@Suite struct TokenDiscoveryTests {
    /// Fetches a token as the upstream `crm` of a gateway with these settings does.
    private func fetch(
        _ web: ProtectedWeb, _ token: JSONObject = [:], isPublic: Bool = false, isTrusted: Bool = false,
        _ body: (TokenEndpoint, CurlEngine, Secret?) async throws -> Void
    ) async throws {
        var settings = web.settings(token)
        settings["trusted"] = .bool(isTrusted)
        let upstream = try TestConfiguration.read(["upstreams": ["crm": .object(settings)]]).upstreams[0]
        let configuration = try #require(upstream.token)
        let endpoint = TokenEndpoint(
            configuration, UpstreamReach(upstream) { _ in isPublic }, kind: upstream.kind, timeout: .seconds(10))
        let engine = CurlEngine(label: "test")
        let secret = configuration.secret ?? configuration.privateKey
        do {
            try await body(endpoint, engine, secret?.value)
        } catch {
            await engine.shutdown()
            web.stop()
            throw error
        }
        await engine.shutdown()
        web.stop()
    }

    /// Fetches one token; returns the error where there is none.
    private func error(
        _ script: ProtectedWeb.Script, _ token: JSONObject = [:], isPublic: Bool = false, isTrusted: Bool = false
    ) async throws -> (AuthorizationError?, ProtectedWeb) {
        let web = try await ProtectedWeb(script)
        let found = Mutex<AuthorizationError?>(nil)
        try await fetch(web, token, isPublic: isPublic, isTrusted: isTrusted) { endpoint, engine, secret in
            do throws(AuthorizationError) {
                _ = try await endpoint.fetch(subject: nil, secret: secret, engine: engine)
            } catch {
                found.withLock { $0 = error }
            }
        }
        return (found.withLock { $0 }, web)
    }

    private static let known = "/.well-known/oauth-protected-resource"

    @Test(
        arguments: [
            (known + "/mcp", true, "", "/.well-known/oauth-authorization-server"),
            (known + "/mcp", false, "", "/.well-known/openid-configuration"),
            (known, false, "/tenant1", "/.well-known/oauth-authorization-server/tenant1"),
            ("/custom/location.json", true, "/tenant1", "/tenant1/.well-known/openid-configuration"),
            ("/custom/location.json", true, "/tenant1", "/.well-known/openid-configuration/tenant1"),
        ])
    func theMetadataIsFoundInAllItsPlaces(
        _ metadata: String, _ isNamed: Bool, _ issuer: String, _ server: String
    ) async throws {
        let script = ProtectedWeb.Script(
            metadataPath: metadata, isNamed: isNamed, issuerPath: issuer, serverPath: server)
        let (error, web) = try await error(script)
        #expect(error == nil)
        let form = try #require(web.forms.first)
        #expect(form["grant_type"] == "client_credentials")
        #expect(form["resource"] == web.upstream.url + (metadata == Self.known ? "" : "/mcp"))
        #expect(form["basic"] == "Basic " + Data("g:s".utf8).base64EncodedString())
        // The root's documents are never those of a server with a path.
        #expect(issuer.isEmpty || !web.asked.contains("GET /.well-known/oauth-authorization-server"))
        let asked = web.upstream.requests.map(\.path)
        #expect(isNamed ? asked == ["/mcp/", metadata] : asked.first == "/mcp/")
        // The question to the upstream had no credentials.
        #expect(web.upstream.requests.allSatisfy { $0.header("Authorization") == nil })
    }

    @Test(
        arguments: [
            (["scope": "own"], "challenged", ["listed"], "own"), ([:], "a b", ["listed"], "a b"),
            ([:], nil, ["c", "d"], "c d"), ([:], nil, nil, nil),
        ] as [(JSONObject, String?, [String]?, String?)])
    func theScopeIsThatOfTheConfigurationElseOfTheChallengeElseOfTheMetadata(
        _ token: JSONObject, _ challenged: String?, _ listed: [String]?, _ expected: String?
    ) async throws {
        var script = ProtectedWeb.Script(scope: challenged)
        if let listed { script.resource["scopes_supported"] = .array(listed.map { .string($0) }) }
        let (error, web) = try await error(script, token)
        #expect(error == nil)
        #expect(web.forms.map { $0["scope"] } == [expected])
    }

    @Test(
        arguments: [
            ([:], ["client_secret_basic", "client_secret_post"], "basic"), ([:], ["client_secret_post"], "post"),
            ([:], nil, "basic"), (["authentication": "basic"], ["client_secret_post"], "basic"),
            (["authentication": "post"], nil, "post"), ([:], ["none"], nil),
        ] as [(JSONObject, [String]?, String?)])
    func theSecretIsSentAsTheServerWantsIt(
        _ token: JSONObject, _ methods: [String]?, _ expected: String?
    ) async throws {
        var script = ProtectedWeb.Script()
        if let methods {
            script.server["token_endpoint_auth_methods_supported"] = .array(methods.map { .string($0) })
        }
        let (error, web) = try await error(script, token)
        #expect((error == nil) == (expected != nil))
        let sent = web.forms.map { $0["basic"] != nil ? "basic" : $0["client_secret"] != nil ? "post" : "none" }
        #expect(sent == (expected.map { [$0] } ?? []))
    }

    @Test func aKeySignsForTheIssuer() async throws {
        let key = P256.Signing.PrivateKey().pemRepresentation
        let script = ProtectedWeb.Script(
            issuerPath: "/as", serverPath: "/.well-known/oauth-authorization-server/as",
            server: ["token_endpoint_auth_methods_supported": ["private_key_jwt"]])
        let (error, web) = try await error(script, ["secret": .null, "privateKey": .string(key)])
        #expect(error == nil)
        let assertion = try #require(web.forms.first?["client_assertion"]).split(separator: ".").map(String.init)
        var claims = assertion[1].replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        claims += String(repeating: "=", count: (4 - claims.count % 4) % 4)
        let decoded = try JSONValue(parsing: Array(#require(Data(base64Encoded: claims))))
        #expect(decoded["aud"]?.string == web.server.url + "/as")
    }

    // MARK: What is refused

    @Test(
        arguments: [
            ProtectedWeb.Script(resource: ["resource": "https://evil.example/mcp"]),
            ProtectedWeb.Script(resource: ["resource": .null]),
            ProtectedWeb.Script(resource: ["authorization_servers": []]),
            ProtectedWeb.Script(resource: ["authorization_servers": ["http://as.example"]]),
            ProtectedWeb.Script(resource: ["padding": .string(String(repeating: "x", count: 70_000))]),
            ProtectedWeb.Script(server: ["issuer": "https://evil.example"]),
            ProtectedWeb.Script(server: ["token_endpoint": "http://evil.example/token"]),
            ProtectedWeb.Script(server: ["grant_types_supported": ["authorization_code"]]),
            ProtectedWeb.Script(server: ["padding": .string(String(repeating: "x", count: 70_000))]),
            ProtectedWeb.Script(metadataPath: "/nowhere/mcp", isNamed: false),
        ])
    func noSecretIsSent(_ script: ProtectedWeb.Script) async throws {
        let (error, web) = try await error(script)
        #expect(error != nil)
        #expect(web.forms.isEmpty)
        #expect(!web.asked.contains("POST /token"))
    }

    @Test func aPublicUpstreamLeadsToPublicAddressesOnly() async throws {
        let (refused, web) = try await error(ProtectedWeb.Script(), isPublic: true)
        guard case .unreachable = refused else {
            Issue.record("\(String(describing: refused))")
            return
        }
        #expect(web.asked.isEmpty)
        let (trusted, _) = try await error(ProtectedWeb.Script(), isPublic: true, isTrusted: true)
        #expect(trusted == nil)
    }

    @Test func aConfiguredServerMayBeAnywhere() async throws {
        let web = try await ProtectedWeb()
        try await fetch(web, ["issuer": .string(web.server.url)], isPublic: true) { endpoint, engine, secret in
            _ = try await endpoint.fetch(subject: nil, secret: secret, engine: engine)
        }
        #expect(web.forms.count == 1)
        // Nothing is asked of the upstream.
        #expect(web.upstream.requests.isEmpty)
    }

    @Test(
        arguments: [
            ("127.0.0.1", false), ("10.0.0.1", false), ("[::1]", false), ("93.184.216.34", true), ("localhost", false),
            ("name.invalid", true),
        ])
    func anAddressTellsWhereTheUpstreamIs(_ host: String, _ isPublic: Bool) async throws {
        let authority = try #require(ServerURL("http://\(host)/")).origin.authority
        #expect(await UpstreamReach.resolvesToPublic(authority) == isPublic)
    }

    @Test func theNextServerIsTakenWhereOneCannotBe() async throws {
        let web = try await ProtectedWeb()
        let servers: JSONValue = ["http://as.example", "http://127.0.0.1:1", .string(web.server.url)]
        web.change { $0.resource["authorization_servers"] = servers }
        try await fetch(web) { endpoint, engine, secret in
            _ = try await endpoint.fetch(subject: nil, secret: secret, engine: engine)
        }
        #expect(web.forms.count == 1)
    }

    @Test func anotherServerThatIsNamedLaterDoesNotGetTheSecret() async throws {
        let web = try await ProtectedWeb()
        let other = try await ProtectedWeb()
        defer { other.stop() }
        try await fetch(web) { endpoint, engine, secret in
            _ = try await endpoint.fetch(subject: nil, secret: secret, engine: engine)
            web.change { $0.resource["authorization_servers"] = [.string(other.server.url)] }
            // What was found is used on; a 401 makes the gateway look again.
            _ = try await endpoint.fetch(subject: nil, secret: secret, engine: engine)
            endpoint.note(challenge: [])
            await #expect(throws: AuthorizationError.self) {
                _ = try await endpoint.fetch(subject: nil, secret: secret, engine: engine)
            }
            web.change { $0.resource = [:] }
            _ = try await endpoint.fetch(subject: nil, secret: secret, engine: engine)
        }
        #expect(web.forms.count == 3)
        #expect(other.asked.isEmpty)
    }

    @Test func aRefusalOfTheServerMakesTheGatewayLookAgain() async throws {
        let web = try await ProtectedWeb(ProtectedWeb.Script(scope: "a", refused: ["a"]))
        try await fetch(web) { endpoint, engine, secret in
            await #expect(throws: AuthorizationError.self) {
                _ = try await endpoint.fetch(subject: nil, secret: secret, engine: engine)
            }
            endpoint.note(challenge: ["Bearer scope=b"])
            let issued = try await endpoint.fetch(subject: nil, secret: secret, engine: engine)
            #expect(issued.scope.names == ["b"])
        }
        #expect(web.asked.filter { $0.hasPrefix("GET") }.count == 2)
    }

    // MARK: Calls

    private static let hello = #"{"message":"x"}"#

    private func with(
        _ script: ProtectedWeb.Script, _ token: JSONObject = [:],
        _ body: (TestGateway, ProtectedWeb) async throws -> Void
    ) async throws {
        let web = try await ProtectedWeb(script)
        let changes: JSONObject = ["upstreams": ["tools": .object(web.settings(token))]]
        try await TestGateway.with(web.upstream, changes) { (test) async throws in
            await test.waitUntilReady()
            try await body(test, web)
        }
        web.stop()
    }

    @Test func aCallThatNeedsAFurtherScopeIsRepeatedWithATokenForBoth() async throws {
        try await with(ProtectedWeb.Script(scope: "read", needed: ["write"])) { (test, web) async throws in
            for _ in 0..<3 { #expect(try await test.chat(Self.hello).status == 200) }
            #expect(web.forms.map { $0["scope"] } == ["read", "read write"])
            // Another kind of call needs more.
            web.change { $0.needed = ["delete"] }
            let call = #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"chat","arguments":{}}}"#
            #expect(try await test.send("POST", "/mcp/", body: call).status == 200)
            #expect(web.forms.map { $0["scope"] } == ["read", "read write", "read write delete"])
        }
    }

    @Test func aScopeThatDoesNotHelpIsAskedForOnce() async throws {
        try await with(ProtectedWeb.Script(scope: "read", needed: ["admin"], refusesAlways: true)) {
            (test, web) async throws in
            for _ in 0..<3 {
                let refused = try await test.chat(
                    Self.hello, headers: [(name: "Accept", value: "application/problem+json")])
                // It is the gateway that lacks a right, not the caller.
                #expect(refused.status == 502)
                #expect(refused.json?["label"] == "upstream_rejected")
                #expect(refused.headers.first(name: "WWW-Authenticate") == nil)
            }
            let call = #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"chat","arguments":{}}}"#
            #expect(try await test.send("POST", "/mcp/", body: call).status == 502)
            #expect(web.forms.map { $0["scope"] } == ["read", "read admin"])
        }
    }

    @Test func aScopeThatIsRefusedIsNotAskedForAgainSoon() async throws {
        try await with(ProtectedWeb.Script(scope: "read", refused: ["admin"], needed: ["admin"])) {
            (test, web) async throws in
            for _ in 0..<3 { #expect(try await test.chat(Self.hello).status == 502) }
            // The first call asked for more; the next ones have the token of before.
            #expect(web.forms.map { $0["scope"] } == ["read", "read admin", "read"])
            web.change { $0.needed = [] }
            #expect(try await test.chat(Self.hello).status == 200)
        }
    }

    @Test func configuredScopesAreNotExceeded() async throws {
        try await with(ProtectedWeb.Script(needed: ["admin"]), ["scope": "read"]) { (test, web) async throws in
            #expect(try await test.chat(Self.hello).status == 502)
            #expect(web.forms.map { $0["scope"] } == ["read"])
        }
    }

    @Test func aRevokedTokenIsReplacedAsTheNewChallengeSays() async throws {
        try await with(ProtectedWeb.Script(scope: "read")) { (test, web) async throws in
            #expect(try await test.chat(Self.hello).status == 200)
            web.change { $0.scope = "other" }
            web.revokeTokens()
            #expect(try await test.chat(Self.hello).status == 200)
            #expect(web.forms.map { $0["scope"] } == ["read", "other"])
        }
    }

    @Test func anHTTPAPIIsAskedAsAnMCPServerIs() async throws {
        let web = try await ProtectedWeb(ProtectedWeb.Script(scope: "read", needed: ["write"]))
        defer { web.stop() }
        web.change { $0.resource["resource"] = .string(web.upstream.url + "/api") }
        let settings: JSONObject = [
            "kind": "http", "url": .string(web.upstream.url + "/api/"),
            "tools": ["list_orders": ["path": "/orders", "inputSchema": ["type": "object"]]],
            "token": ["clientCredentials": ["clientID": "g", "secret": "s"]], "probeInterval": "60s",
        ]
        let document = try TestConfiguration.document(
            upstream: "",
            [
                "upstreams": ["api": .object(settings)], "passthrough": ["enabled": false],
                "chat": [
                    "defaultType": "orders", "types": ["orders": ["tool": "list_orders", "upstream": "api"]],
                ],
            ])
        let test = try await TestGateway.start { try TestConfiguration.read(document) }
        let first = try await test.chat("{}")
        #expect(first.status == 200, "\(first.text)")
        #expect(web.forms.map { $0["scope"] } == ["read", "read write"])
        web.revokeTokens()
        #expect(try await test.chat("{}").status == 200)
        // An API that wants ever more is not a reason for the caller to log in.
        web.change { $0.refusesAlways = true }
        let refused = try await test.chat("{}", headers: [(name: "Accept", value: "application/problem+json")])
        #expect(refused.json?["label"] == "upstream_rejected")
        #expect(refused.headers.first(name: "WWW-Authenticate") == nil)
        await test.stop()
    }
}
