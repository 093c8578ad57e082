import CurlTransport
import JSON
import NIOCore
import Synchronization
import Testing

@testable import AuthorizationClient

@Suite struct DiscoveryTests {
    /// Documents by URL; records what is asked for.
    private final class Web: Sendable {
        let documents: [String: CurlResponse]
        let asked = Mutex<[String]>([])

        init(_ documents: [String: CurlResponse]) { self.documents = documents }

        convenience init(_ documents: [String: JSONValue]) {
            self.init(documents.mapValues { CurlResponse(status: 200, body: ByteBuffer(bytes: $0.serialized)) })
        }

        var discovery: AuthorizationDiscovery {
            AuthorizationDiscovery { request in
                self.asked.withLock { $0.append(request.url) }
                return self.documents[request.url] ?? CurlResponse(status: 404)
            }
        }
    }

    private static let resource = "https://crm.example/mcp"
    private func url(_ text: String = resource) throws -> ServerURL { try #require(ServerURL(text)) }

    @Test(arguments: [
        ("https://as.example", ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]),
        ("https://as.example/", ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]),
        (
            "https://as.example/a/b",
            [
                "/.well-known/oauth-authorization-server/a/b", "/.well-known/openid-configuration/a/b",
                "/a/b/.well-known/openid-configuration",
            ]
        ),
    ])
    func metadataIsAskedForInTheSpecificationsOrder(_ issuer: String, _ paths: [String]) async throws {
        let web = Web([String: JSONValue]())
        #expect(try await web.discovery.server(issuer) == nil)
        #expect(web.asked.withLock { $0 } == paths.map { "https://as.example" + $0 })
    }

    @Test(arguments: 0..<3) func theFirstDocumentCounts(_ place: Int) async throws {
        let issuer = "https://as.example/tenant"
        let locations = AuthorizationServerMetadata.locations(of: try url(issuer))
        let web = Web([
            locations[place]: [
                "issuer": .string(issuer), "token_endpoint": "https://as.example/token",
                "scopes_supported": ["a", "b"], "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "authorization_response_iss_parameter_supported": true,
            ]
        ])
        let server = try #require(try await web.discovery.server(issuer))
        #expect(server.tokenEndpoint == "https://as.example/token")
        #expect(server.scopes?.names == ["a", "b"])
        #expect(server.authenticationMethods == ["client_secret_post"])
        #expect(server.sendsIssuer)
        #expect(!server.acceptsClientDocuments)
        #expect(web.asked.withLock { $0.count } == place + 1)
    }

    @Test(
        arguments: [
            ["issuer": "https://as.example/", "token_endpoint": "https://as.example/token"],
            ["issuer": "https://AS.example", "token_endpoint": "https://as.example/token"],
            ["token_endpoint": "https://as.example/token"], ["issuer": "https://as.example"],
            ["issuer": "https://as.example", "token_endpoint": "http://as.example/token"],
            ["issuer": "https://as.example", "token_endpoint": "https://u:p@as.example/token"],
            [
                "issuer": "https://as.example", "token_endpoint": "https://as.example/token",
                "authorization_endpoint": "javascript:alert(1)",
            ],
        ] as [JSONValue])
    func aDocumentThatIsWrongIsNotPassedOver(_ document: JSONValue) async throws {
        let issuer = "https://as.example"
        let web = Web([AuthorizationServerMetadata.locations(of: try url(issuer))[0]: document])
        await #expect(throws: AuthorizationError.self) { try await web.discovery.server(issuer) }
        #expect(web.asked.withLock { $0.count } == 1)
    }

    @Test(arguments: ["http://as.example", "as.example", "https://u@as.example", "https://as.example#f", "file:///as"])
    func anIssuerIsAnHTTPSURL(_ issuer: String) async {
        let web = Web([String: JSONValue]())
        await #expect(throws: AuthorizationError.self) { try await web.discovery.server(issuer) }
        #expect(web.asked.withLock { $0.isEmpty })
    }

    @Test func aServerThatFailsEndsTheSearch() async {
        let web = Web(["https://as.example/.well-known/oauth-authorization-server": CurlResponse(status: 503)])
        await #expect(throws: AuthorizationError.self) { try await web.discovery.server("https://as.example") }
        #expect(web.asked.withLock { $0.count } == 1)
    }

    @Test func aRedirectIsNoDocument() async throws {
        let web = Web([
            "https://as.example/.well-known/oauth-authorization-server": CurlResponse(
                status: 302, headers: [(name: "Location", value: "https://evil.example/")])
        ])
        #expect(try await web.discovery.server("https://as.example") == nil)
        #expect(!web.asked.withLock { $0.contains { $0.contains("evil") } })
    }

    // MARK: Protected resources

    @Test func theChallengesURLComesFirstThenThePathThenTheRoot() async throws {
        let web = Web([String: JSONValue]())
        let challenged = "https://crm.example/custom.json"
        #expect(
            try await web.discovery.protectedResource(url("https://crm.example/mcp/"), challenged: challenged) == nil)
        let known = "https://crm.example/.well-known/oauth-protected-resource"
        #expect(web.asked.withLock { $0 } == [challenged, known + "/mcp", known])
        let root = Web([String: JSONValue]())
        #expect(try await root.discovery.protectedResource(url("https://crm.example/")) == nil)
        #expect(root.asked.withLock { $0 } == [known])
    }

    @Test(arguments: ["http://other.example/m", "ftp://crm.example/m", "https://u@crm.example/m", "/m", ""])
    func aChallengesURLIsOneThatMayBeRead(_ challenged: String) async throws {
        let web = Web([String: JSONValue]())
        await #expect(throws: AuthorizationError.self) {
            try await web.discovery.protectedResource(url(), challenged: challenged)
        }
        #expect(web.asked.withLock { $0.isEmpty })
    }

    @Test(arguments: [
        ("https://crm.example/mcp", true), ("https://crm.example/mcp/", true), ("https://crm.example", true),
        ("https://crm.example/", true), ("HTTPS://CRM.example:443/mcp", true), ("https://crm.example/mc", false),
        ("https://crm.example/mcp/deeper", false), ("https://evil.example/mcp", false),
        ("http://crm.example/mcp", false), ("https://crm.example:8443/mcp", false), ("https://crm.example/MCP", false),
        ("https://crm.example/mcp?a=b", false), ("https://crm.example@evil.example/mcp", false), ("", false),
    ])
    func metadataOfAnotherResourceIsRefused(_ resource: String, _ isSame: Bool) async throws {
        let web = Web([
            "https://crm.example/.well-known/oauth-protected-resource/mcp": [
                "resource": .string(resource), "authorization_servers": ["https://as.example"],
            ]
        ])
        if isSame {
            let found = try #require(try await web.discovery.protectedResource(url()))
            #expect(found.authorizationServers == ["https://as.example"])
            #expect(found.scopes == nil)
        } else {
            await #expect(throws: AuthorizationError.self) { try await web.discovery.protectedResource(url()) }
        }
        #expect(web.asked.withLock { $0.count } == 1)
    }

    @Test func aConfiguredIdentifierMustMatchExactly() async throws {
        let web = Web([
            "https://crm.example/.well-known/oauth-protected-resource/mcp": ["resource": "https://public.example/mcp"]
        ])
        let found = try await web.discovery.protectedResource(url(), identifier: "https://public.example/mcp")
        #expect(found?.resource == "https://public.example/mcp")
        await #expect(throws: AuthorizationError.self) {
            try await web.discovery.protectedResource(url(), identifier: "https://public.example/mcp/")
        }
    }

    @Test func onlyAFewServersAreConsidered() throws {
        let many: JSONValue = .array((0..<100).map { .string("https://as\($0).example") })
        let document: JSONObject = ["resource": "https://crm.example", "authorization_servers": many]
        let metadata = try #require(ProtectedResourceMetadata(document))
        #expect(metadata.authorizationServers.count == ProtectedResourceMetadata.serverLimit)
    }

    // MARK: Challenges and scopes

    @Test func aRefusalIsReadFromTheBearerChallenge() throws {
        let refusal = try #require(
            BearerRefusal([
                "Basic realm=x",
                #"Bearer, bearer error="insufficient_scope", scope="b a b", resource_metadata="https://crm.example/m""#,
            ]))
        #expect(refusal.isInsufficientScope)
        #expect(refusal.scope.names == ["b", "a"])
        #expect(refusal.metadataURL == "https://crm.example/m")
        #expect(BearerRefusal(["Basic realm=x"]) == nil)
        #expect(BearerRefusal(["Bearer"])?.scope.parameter == nil)
        #expect(!refusal.needsProof && !refusal.needsNonce)
    }

    /// A server may accept bound tokens alone, or both kinds (RFC 9449, section 7.1).
    @Test func aProofIsNeededWhereNoBearerTokenIsAccepted() throws {
        let metadata = #"DPoP algs="ES256", resource_metadata="https://crm.example/m", scope="a""#
        let bound = try #require(BearerRefusal([metadata]))
        #expect(bound.needsProof && !bound.needsNonce)
        #expect(bound.metadataURL == "https://crm.example/m" && bound.scope.names == ["a"])
        let both = try #require(BearerRefusal([metadata, #"Bearer scope="b""#]))
        #expect(!both.needsProof)
        #expect(both.scope.names == ["b"] && both.metadataURL == nil)
        #expect(BearerRefusal([#"DPoP error="use_dpop_nonce""#])?.needsNonce == true)
        #expect(BearerRefusal([#"Bearer error="use_dpop_nonce""#])?.needsNonce == false)
    }

    @Test func scopesAreBoundedAndWellFormed() {
        #expect(ScopeSet("a  b a \"c\" \\ d\u{7f} é mcp:read").names == ["a", "b", "mcp:read"])
        #expect(ScopeSet((0..<1000).map { "s\($0)" }).names.count == ScopeSet.limit)
        #expect(ScopeSet([String(repeating: "x", count: 300)]).names.isEmpty)
        #expect(ScopeSet("a b").union(ScopeSet("b c")).parameter == "a b c")
        #expect(ScopeSet("a b").contains(ScopeSet("b")))
        #expect(!ScopeSet("a b").contains(ScopeSet("b c")))
    }
}
