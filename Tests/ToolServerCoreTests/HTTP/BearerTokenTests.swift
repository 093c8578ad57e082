import Foundation
import JSON
import NIOConcurrencyHelpers
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import ToolServerCore

/// Signed tokens on the main port, with keys from a file and from an issuer's server.
@Suite struct BearerTokenTests {
    private let issuer = TestIssuer()
    private let files: TemporaryDatabase

    init() throws { files = try TemporaryDatabase() }

    private func serving(
        _ jwt: JSONObject, _ settings: JSONObject = [:], _ body: (HTTPTestClient) async throws -> Void
    ) async throws {
        let section: JSONObject = [
            "identity": ["jwt"], "publicURL": .string(TestIssuer.audience),
            "jwt": .object(TestIssuer.settings(jwt)), "tools": ["search_any": ["scopes": ["records:read"]]],
        ]
        try await ToolFixture.serving(section.merging(settings)) { client, _ in try await body(client) }
    }

    private func bearer(_ issuer: TestIssuer? = nil, _ changes: JSONObject = [:]) throws -> (
        name: String, value: String
    ) {
        var claims: JSONObject = ["iat": .null, "exp": .number(Int(Date().timeIntervalSince1970) + 600)]
        for (key, value) in changes { claims[key] = value }
        return ("Authorization", "Bearer " + (try (issuer ?? self.issuer).token(TestIssuer.claims(claims))))
    }

    private func who(_ client: HTTPTestClient, _ bearer: (name: String, value: String)) async throws -> HTTPTestResponse
    {
        try await client.post("/mcp/get_user_info", "", headers: [bearer])
    }

    private static let metadataURL = "https://chat.example/.well-known/oauth-protected-resource/mcp"

    @Test func tokensAreCheckedWithTheKeysOfAFile() async throws {
        let path = files.directory + "/keys.json"
        try Data(TestIssuer.set(issuer.ellipticKey)).write(to: URL(filePath: path))
        try await serving(["jwksFile": .string(path)]) { client in
            let known = try await who(client, bearer())
            #expect(try known.json == ["results": ["username": "ada", "alias": ""]])
            let refused = try await who(client, bearer(nil, ["aud": "https://other.example"]))
            #expect(refused.status == 401)
            #expect(
                refused.header("WWW-Authenticate")
                    == #"Bearer error="invalid_token", error_description="The token is for another audience", "#
                    + #"resource_metadata="\#(Self.metadataURL)""#)
            // The audience's token at a tool that it has no scope for.
            let arguments = #"{"model":"projects","query":"urgent"}"#
            let narrow = try await client.post("/mcp/search_any", arguments, headers: [bearer(nil, ["scope": "chat"])])
            #expect(narrow.status == 403)
            #expect(narrow.header("WWW-Authenticate")?.contains(#"resource_metadata="\#(Self.metadataURL)""#) == true)
            #expect(try await client.post("/mcp/search_any", arguments, headers: [bearer()]).status == 200)
            // Never in a URL (MCP authorization, token usage).
            let token = try bearer().value.dropFirst("Bearer ".count)
            let inURL = try await client.post("/mcp/get_user_info?access_token=\(token)", "")
            #expect(try inURL.json == ["error": "Not authenticated"])
        }
    }

    @Test func theResourceDescribesItself() async throws {
        try await serving([:], ["requireAuthentication": true]) { client in
            for path in ["", "/mcp", "/mcp/"] {
                let answer = try await client.get("/.well-known/oauth-protected-resource" + path)
                #expect(answer.status == 200)
                #expect(answer.mediaType == "application/json")
                #expect(
                    try answer.json == [
                        "resource": .string(TestIssuer.audience), "authorization_servers": [.string(TestIssuer.name)],
                        "bearer_methods_supported": ["header"], "resource_name": "Chat gateway tool server",
                        "scopes_supported": ["records:read"],
                    ])
            }
            #expect(try await client.get("/.well-known/oauth-protected-resource/other").status == 404)
            #expect(try await client.post("/.well-known/oauth-protected-resource", "").status == 405)
            let refused = try await client.post("/mcp/echo", #"{"message":"x"}"#)
            #expect(refused.status == 401)
            #expect(refused.header("WWW-Authenticate") == #"Bearer resource_metadata="\#(Self.metadataURL)""#)
        }
    }

    @Test func keysComeFromTheIssuersServerAndRotateWithoutARestart() async throws {
        let set = NIOLockedValueBox(TestIssuer.set(issuer.ellipticKey))
        let server = try await ScriptedHTTPServer { _ in
            .json(String(decoding: set.withLockedValue { $0 }, as: UTF8.self))
        }
        defer { server.stop() }
        let next = TestIssuer()
        try await serving(["jwksFile": .null, "jwksURL": .string(server.url + "/keys"), "refresh": "1s"]) { client in
            #expect(try await who(client, bearer()).status == 200)
            #expect(try await who(client, bearer()).status == 200)
            #expect(server.requests.count == 1)
            var key = next.ellipticKey
            key["kid"] = "next"
            set.withLockedValue { $0 = TestIssuer.set(key) }
            let claims = TestIssuer.claims(["iat": .null, "exp": .number(Int(Date().timeIntervalSince1970) + 600)])
            let rotated = ("Authorization", "Bearer " + (try next.token(claims, header: ["kid": "next"])))
            // The server may be asked again a second after it was asked last.
            await eventually { (try? await who(client, rotated).status) == 200 }
            #expect(try await who(client, rotated).status == 200)
            let old = try await who(client, bearer())
            #expect(try old.json == ["error": "The token's key is unknown"])
        }
    }

    @Test(arguments: ["status", "redirect", "size", "content"])
    func keysThatCannotBeHadAreNoReasonToRefuseATokenAsWrong(fault: String) async throws {
        let good = String(decoding: TestIssuer.set(issuer.ellipticKey), as: UTF8.self)
        let server = try await ScriptedHTTPServer { request in
            switch fault {
            case "status": .json(good, status: 500)
            case "redirect":
                request.path == "/good" ? .json(good) : .empty(302, headers: [("Location", "/good")])
            case "size": .json(good + String(repeating: " ", count: JWTConfiguration.maximumKeySetBytes))
            default: .text("<html>")
            }
        }
        defer { server.stop() }
        try await serving(["jwksFile": .null, "jwksURL": .string(server.url + "/keys")]) { client in
            let answer = try await who(client, bearer())
            #expect(answer.status == 503)
            #expect(try answer.json == ["error": "The keys of the token's issuer are unavailable"])
            #expect(server.requests.allSatisfy { $0.path == "/keys" })
        }
    }
}
