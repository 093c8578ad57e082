import Foundation
import JSON
import MCPServer
import Synchronization
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import ToolServerCore

/// Credentials and rules on the main port.
@Suite struct AuthorizationTests {
    private static let keyed: JSONObject = [
        "identity": ["builtin", "apiKey"],
        "tools": [
            "search_projects": ["scopes": ["records:read"]], "search_any": ["scopes": ["records:read"]],
            "ai_prompt": ["access": "authenticated"],
        ],
    ]

    private func key(_ fixture: ToolFixture, _ scopes: String..., user: String? = nil) async throws -> (
        name: String, value: String
    ) {
        let service = APIKeyService(keys: fixture.store, directory: fixture.toolServer.directory)
        let name = "k\(UInt32.random(in: 0 ... .max))"
        return (
            "Authorization", "Bearer " + (try await service.create(name: name, scopes: scopes, user: user)).text.text
        )
    }

    @Test(arguments: ["/mcp/", "/mcp/echo", "/mcp/session/new"])
    func aWrongKeyIsRefusedEverywhereAndSaysWhy(path: String) async throws {
        try await ToolFixture.serving(Self.keyed) { client, _ in
            let method = path.hasSuffix("new") ? "GET" : "POST"
            let answer = try await client.send(
                method, path, headers: [("Authorization", "Bearer " + APIKeyText().text)],
                body: method == "POST" ? Array(#"{"command":"echo","message":"x"}"#.utf8) : nil)
            #expect(answer.status == 401)
            #expect(
                answer.header("WWW-Authenticate")
                    == #"Bearer error="invalid_token", error_description="The API key is unknown""#)
            #expect(try answer.json == ["error": "The API key is unknown"])
        }
    }

    @Test func aKeyCallsWhatItsScopesAllow() async throws {
        try await ToolFixture.serving(Self.keyed) { client, fixture in
            let query = #"{"query":"urgent"}"#
            let plain = try await key(fixture)
            let refused = try await client.post("/mcp/search_projects", query, headers: [plain])
            #expect(refused.status == 403)
            #expect(refused.header("WWW-Authenticate")?.hasPrefix("Bearer error=\"insufficient_scope\"") == true)
            #expect(refused.header("WWW-Authenticate")?.contains(#"scope="records:read""#) == true)
            let reader = try await key(fixture, "records:read")
            #expect(try await client.post("/mcp/search_projects", query, headers: [reader]).status == 200)
            let old = try await client.post(
                "/mcp/", #"{"command":"search_projects","arguments":{"query":"x"}}"#, headers: [plain])
            #expect(old.status == 403)
            let anonymous = try await client.post("/mcp/search_projects", query)
            #expect(anonymous.status == 401)
            #expect(anonymous.header("WWW-Authenticate") == #"Bearer scope="records:read""#)
            // A login stands for everything that its user may do.
            let session = try await fixture.toolServer.login.openSession(for: fixture.alice)
            let cookie = [("Cookie", "sessionid=\(session.text)")]
            #expect(try await client.post("/mcp/search_projects", query, headers: cookie).status == 200)
        }
    }

    @Test func theScopesOfCookiesMayBeLimited() async throws {
        try await ToolFixture.serving(Self.keyed.merging(["cookieScopes": ["chat"]])) { client, fixture in
            let session = try await fixture.toolServer.login.openSession(for: fixture.alice)
            let cookie = [("Cookie", "sessionid=\(session.text)")]
            let query = #"{"query":"urgent"}"#
            #expect(try await client.post("/mcp/search_projects", query, headers: cookie).status == 403)
            #expect(try await client.post("/mcp/get_user_info", "", headers: cookie).status == 200)
        }
    }

    private func read(
        _ uri: String, _ client: HTTPTestClient, _ headers: HTTPTestClient.Headers
    ) async throws -> HTTPTestResponse {
        try await client.post(
            "/mcp/",
            json: [
                "jsonrpc": "2.0", "id": 1, "method": "resources/read",
                "params": [
                    "uri": .string(uri),
                    "_meta": [
                        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                        "io.modelcontextprotocol/clientCapabilities": [:],
                    ],
                ],
            ],
            headers: headers + [
                ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "resources/read"), ("Mcp-Name", uri),
                ("Accept", "application/json, text/event-stream"),
            ])
    }

    @Test func aReloadPutsOtherRulesInForceAllAtOnceOrNone() async throws {
        try await ToolFixture.serving(["identity": ["builtin", "apiKey"]]) { client, fixture in
            let rules = Mutex<JSONObject>([:])
            let process = ToolServerProcess(load: {
                try ToolServerConfiguration(
                    document: [
                        "toolServer": [
                            "port": 0, "identity": ["builtin", "apiKey"], "tools": .object(rules.withLock { $0 }),
                        ]
                    ], environment: [:])
            })
            let search = #"{"model":"projects","query":"urgent"}"#
            let records = "company://records/projects/urgent"
            func expect(_ status: Int) async throws {
                #expect(try await client.post("/mcp/search_any", search).status == status)
                #expect(try await read(records, client, []).status == status)
                let seen = fixture.toolServer.server.toolDefinitions(for: nil).map(\.name)
                #expect(seen.contains("search_any") == (status == 200))
                #expect(seen.contains("echo"))
            }
            let alice = (
                "Cookie", "sessionid=" + (try await fixture.toolServer.login.openSession(for: fixture.alice)).text
            )
            try await expect(200)
            rules.withLock { $0 = ["search_any": ["access": "authenticated"]] }
            #expect(fixture.toolServer.reload(process))
            try await expect(401)
            #expect(try await client.post("/mcp/search_any", search, headers: [alice]).status == 200)
            // A name that no tool has protects nothing, so the rules before it stay.
            rules.withLock { $0 = ["search_all": ["access": "authenticated"]] }
            #expect(!fixture.toolServer.reload(process))
            try await expect(401)
            rules.withLock { $0 = [:] }
            #expect(fixture.toolServer.reload(process))
            try await expect(200)
        }
    }

    @Test func resourcesAndPromptsFollowTheToolsThatShowTheSame() async throws {
        try await ToolFixture.serving(Self.keyed) { client, fixture in
            let plain = try await key(fixture)
            let reader = try await key(fixture, "records:read")
            let records = "company://records/projects/urgent"
            #expect(try await read(records, client, []).status == 401)
            #expect(try await read(records, client, [plain]).status == 403)
            #expect(try await read(records, client, [reader]).status == 200)
            #expect(try await read("company://documents/1", client, []).status == 401)
            #expect(try await read("company://documents/1", client, [plain]).status == 200)
        }
    }

    @Test func theToolsOfAnAgentAreThoseOfItsCaller() async throws {
        let fixture = try await ToolFixture(
            provider: EchoProvider(), document: .object(["toolServer": .object(Self.keyed)]))
        let names = { (principal: Principal?) in
            fixture.toolServer.server.toolDefinitions(for: principal).map(\.name)
        }
        #expect(!names(nil).contains("search_any") && !names(nil).contains("ai_prompt"))
        let key = Principal(id: "key:x", name: "x")
        #expect(!names(key).contains("search_any") && names(key).contains("ai_prompt"))
        #expect(names(fixture.alice.principal).contains("search_any"))
        await fixture.toolServer.shutdown()
    }

    @Test func anonymousCallersMayBeRefusedAltogether() async throws {
        try await ToolFixture.serving(["identity": ["builtin", "apiKey"], "requireAuthentication": true]) {
            client, fixture in
            let body = #"{"message":"x"}"#
            for path in ["/mcp/echo", "/mcp/"] {
                let refused = try await client.post(path, body)
                #expect(refused.status == 401)
                #expect(refused.header("WWW-Authenticate") == "Bearer")
                #expect(try refused.json == ["error": "Not authenticated"])
            }
            // A stale cookie is nobody, and nobody is refused.
            let stale = [("Cookie", "sessionid=\(SessionToken().text)")]
            #expect(try await client.post("/mcp/echo", body, headers: stale).status == 401)
            #expect(try await client.post("/mcp/echo", body, headers: [try await key(fixture)]).status == 200)
            let login = try await client.post(
                "/auth/login", #"{"username":"alice","password":"alice's password"}"#)
            let cookie = [("Cookie", "sessionid=\(try #require(login.cookie("sessionid")))")]
            #expect(try await client.post("/mcp/echo", body, headers: cookie).status == 200)
            #expect(try await client.get("/.well-known/oauth-protected-resource").status == 404)
        }
    }

    @Test func withoutTokensARefusedToolSaysNotAuthenticatedAsEver() async throws {
        try await ToolFixture.serving(["tools": ["search_any": ["access": "authenticated"]]]) { client, _ in
            let arguments = #"{"model":"projects","query":"x"}"#
            let plain = try await client.post("/mcp/search_any", arguments)
            #expect(plain.status == 400)
            #expect(try plain.json == ["error": "Not authenticated"])
            let old = try await client.post("/mcp/", #"{"command":"search_any","arguments":\#(arguments)}"#)
            #expect(old.status == 200)
            #expect(try old.json == ["error": "Not authenticated"])
            // Nobody takes tokens here, so whatever is sent as one stays nobody's affair.
            let bearer = try await client.post(
                "/mcp/echo", #"{"message":"x"}"#, headers: [("Authorization", "Bearer x")])
            #expect(bearer.status == 200)
        }
    }

    @Test func aProxysHeaderNamesTheUserAndIsGuardedLikeACookie() async throws {
        let settings: JSONObject = [
            "identity": ["trustedHeader"],
            "trustedHeader": ["peers": ["127.0.0.1"], "secret": "the proxy's own secret", "users": "directory"],
        ]
        try await ToolFixture.serving(settings) { client, _ in
            let proxied = [("X-Auth-User", "alice"), ("X-Auth-Secret", "the proxy's own secret")]
            let known = try await client.post("/mcp/get_user_info", "", headers: proxied)
            #expect(try known.json == ["results": ["username": "alice", "alias": "Al"]])
            // The proxy adds the header to whatever page's request.
            let external = try await client.post(
                "/mcp/get_user_info", "", headers: proxied + [("Origin", "https://evil.example")])
            #expect(external.status == 403)
            let claimed = try await client.post("/mcp/get_user_info", "", headers: [("X-Auth-User", "alice")])
            #expect(claimed.status == 401)
            #expect(claimed.header("WWW-Authenticate") == nil)
            #expect(
                try claimed.json == ["error": "The user header comes without the reverse proxy's secret"])
            #expect(try await client.post("/mcp/echo", #"{"message":"x"}"#).status == 200)
        }
    }

    @Test(
        arguments: [
            (["tools": ["nope": [:]]], "toolServer.tools.nope: expected one of"),
            (["tools": ["echo": ["access": "anonymous", "scopes": ["a"]]]], "toolServer.tools.echo.access: expected"),
            (["tools": ["echo": ["scopes": ["a b"]]]], "toolServer.tools.echo.scopes: expected"),
            (["cookieScopes": ["\""]], "toolServer.cookieScopes: expected"),
            (["publicURL": "chat.example"], "toolServer.publicURL: expected"),
            (["publicURL": "https://u:p@chat.example/mcp"], "toolServer.publicURL: expected"),
            (["apiKeys": ["header": "X API"]], "toolServer.apiKeys.header: expected"),
            (["stdioKey": "tsk_x"], "toolServer.identity: expected apiKey"),
            (["identity": ["jwt"]], "toolServer.jwt.issuer: expected"),
            (["identity": ["trustedHeader"]], "toolServer.trustedHeader.peers: expected"),
        ] as [(JSONObject, String)])
    func mistakesInTheConfigurationAreNamed(settings: JSONObject, text: String) async throws {
        do {
            let fixture = try await ToolFixture(document: .object(["toolServer": .object(settings)]))
            await fixture.toolServer.shutdown()
            Issue.record("accepted")
        } catch {
            #expect("\(error)".contains(text), "\(error)")
        }
    }
}
