import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// Keys, rules and revocation, from the command line to the answers of both processes.
    @Suite struct Identity {
        private typealias Headers = HTTPTestClient.Headers

        /// Both processes with a configuration, on demo data of their own.
        private struct Pair {
            let directory: TemporaryDirectory
            let configuration: String
            let toolServer: RunningService
            let gateway: RunningService
            /// Whatever was secret: no log and no metric may hold it.
            var secrets: [String] = []

            static func start(_ settings: JSONObject, forward: JSONValue? = nil) async throws -> Pair {
                let directory = try TemporaryDirectory("identity")
                let database = directory.path("chat.sqlite")
                try await DemoDatabase.shared.copy(to: database)
                var settings = settings
                settings["database"] = .string(database)
                var document =
                    try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: Checkout.path("gateway.json")))))
                    .object ?? [:]
                document["toolServer"] = .object(settings)
                if let forward { document["forward"] = forward }
                let configuration = try directory.write(JSONValue.object(document).text, to: "gateway.json")
                let toolServer = try await RunningService.start(
                    .toolServer,
                    [
                        "--config", configuration, "--transport", "http", "--port", "0", "--admin", "127.0.0.1:0",
                    ])
                try await toolServer.ready()
                let gateway = try await RunningService.gateway(
                    upstream: toolServer.url + "/mcp/", configuration: configuration)
                try await gateway.ready()
                return Pair(
                    directory: directory, configuration: configuration, toolServer: toolServer, gateway: gateway)
            }

            func run(_ arguments: String...) async throws -> String {
                let done = try await ChildProcess.run(
                    .init(BuiltProduct.toolServer.path, arguments + ["--config", configuration]))
                guard done.succeeded else { throw ProcessError("\(arguments): \(done.exit)\n\(done.error)") }
                return done.output.trimmingCharacters(in: .whitespacesAndNewlines)
            }

            func fails(_ arguments: String...) async throws -> String {
                let done = try await ChildProcess.run(
                    .init(BuiltProduct.toolServer.path, arguments + ["--config", configuration]))
                #expect(done.exit == .status(1), "\(arguments): \(done)")
                return done.error
            }

            /// Ends both, and looks for the secrets in what they said.
            func stop() async throws {
                let metrics = try await [gateway, toolServer].asyncMap { try await $0.admin.get("/metrics").text }
                try await gateway.stop()
                try await toolServer.stop()
                for text in metrics + [gateway.process.log, toolServer.process.log] {
                    for secret in secrets { #expect(!text.contains(secret)) }
                }
            }
        }

        private func bearer(_ key: String) -> Headers { [("Authorization", "Bearer \(key)")] }

        @Test func aKeyLivesFromItsMakingToItsRevocation() async throws {
            var pair = try await Pair.start([
                "identity": ["builtin", "apiKey"], "logLevel": "debug",
                "tools": ["search_projects": ["scopes": ["records:read"]]],
            ])
            let key = try await pair.run("key", "create", "ci", "--scope", "records:read", "--user", "alice")
            let narrow = try await pair.run("key", "create", "narrow", "--expires", "90d")
            pair.secrets = [String(key.dropFirst(8)), String(narrow.dropFirst(8))]
            #expect(key.hasPrefix("tsk_") && key.utf8.count == 47)
            #expect(try await pair.fails("key", "create", "ci").contains("ci"))
            #expect(try await pair.fails("key", "create", "x", "--user", "nobody-at-all").contains("nobody-at-all"))
            _ = try await ChildProcess.run(
                .init(BuiltProduct.toolServer.path, ["key", "create", "x", "--expires", "x"]))

            let search: JSONValue = ["type": "search_projects", "query": "urgent"]
            let chat = pair.gateway.client
            let found = try await chat.chat(search, headers: bearer(key))
            #expect(found.status == 200, "\(found.text)")
            #expect(found.replies?.contains("Urgent Q2") == true)
            let who = try await chat.chat(["type": "get_user_info"], headers: bearer(key))
            #expect(who.replies == [["username": "alice", "alias": "Al"]])
            let insufficient = try await chat.chat(search, headers: bearer(narrow))
            #expect(insufficient.status == 403)
            #expect(insufficient.header("WWW-Authenticate")?.contains("insufficient_scope") == true)
            let anonymous = try await chat.chat(search)
            #expect(anonymous.status == 401)
            #expect(anonymous.header("WWW-Authenticate")?.contains(#"scope="records:read""#) == true)
            let wrong = try await chat.chat(search, headers: bearer("tsk_" + String(repeating: "A", count: 43)))
            #expect(wrong.status == 401)
            #expect(wrong.header("WWW-Authenticate")?.contains("The API key is unknown") == true)

            let mcp = MCPTestClient(chat, headers: bearer(key))
            let tools = try await mcp.modernResult("tools/list", id: 1)
            #expect(tools["tools"]?.array?.contains { $0["name"] == "search_projects" } == true)
            let fewer = try await MCPTestClient(chat).modernResult("tools/list", id: 2)
            #expect(fewer["tools"]?.array?.contains { $0["name"] == "search_projects" } == false)

            let list = try await pair.run("key", "list")
            let rows = list.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
            #expect(rows.count == 2)
            #expect(rows.first?.prefix(5) == ["ci", "active", key.prefix(8) + "…", "records:read", "alice"])
            #expect(rows.first?.last != "-")
            for secret in pair.secrets { #expect(!list.contains(secret)) }

            #expect(try await pair.run("key", "revoke", "ci") == "revoked key ci")
            let revoked = try await chat.chat(search, headers: bearer(key))
            #expect(revoked.status == 401)
            #expect(revoked.header("WWW-Authenticate")?.contains("revoked") == true)
            #expect(try await pair.fails("key", "revoke", "ci").contains("ci"))
            #expect(try await pair.run("key", "list").contains("ci\trevoked"))
            try await pair.stop()
        }

        @Test func sessionsAndUsersAreEndedFromTheCommandLine() async throws {
            var pair = try await Pair.start(["identity": ["builtin", "apiKey"]])
            let (first, second) = (
                try await pair.run("session", "new", "alice"), try await pair.run("session", "new", "alice")
            )
            let key = try await pair.run("key", "create", "alices", "--user", "alice")
            pair.secrets = [first, second, String(key.dropFirst(8))]
            let chat = pair.gateway.client
            func isAlice(_ cookie: String) async throws -> Bool {
                try await chat.chat(["type": "get_user_info"], cookie: cookie).status == 200
            }
            #expect(try await (isAlice(first), isAlice(second)) == (true, true))

            let ids = try await pair.run("session", "list", "alice").split(separator: "\n").compactMap {
                $0.split(separator: "\t").first.map(String.init)
            }
            #expect(ids.count == 2)
            _ = try await pair.run("session", "revoke", "alice", ids[1])
            #expect(try await isAlice(first) != isAlice(second))
            #expect(try await pair.fails("session", "revoke", "alice", ids[1]).contains(ids[1]))
            #expect(try await pair.fails("session", "list", "nobody-at-all").contains("nobody-at-all"))
            #expect(try await pair.run("session", "revoke", "alice", "--all") == "revoked 1 session of alice")
            #expect(try await (isAlice(first), isAlice(second)) == (false, false))

            let third = try await pair.run("session", "new", "alice")
            let password = try pair.directory.write("another long password\n", to: "password")
            let changed = try await pair.run("user", "password", "alice", "--password-file", password)
            #expect(changed == "changed the password of user alice")
            #expect(try await !isAlice(third))
            let login = try await chat.post(
                "/auth/login", json: ["username": "alice", "password": "another long password"])
            let fourth = try #require(login.cookie("sessionid"))
            pair.secrets += [third, fourth, "another long password"]
            #expect(try await isAlice(fourth))

            #expect(try await pair.run("user", "disable", "alice") == "disabled user alice")
            #expect(try await !isAlice(fourth))
            let refused = try await chat.chat(["type": "get_user_info"], headers: bearer(key))
            #expect(refused.status == 401)
            let again = try await chat.post(
                "/auth/login", json: ["username": "alice", "password": "another long password"])
            #expect(again.status == 401)
            #expect(try await pair.fails("session", "new", "alice").contains("alice"))
            _ = try await pair.run("user", "enable", "alice")
            #expect(try await !isAlice(fourth))
            #expect(try await chat.chat(["type": "get_user_info"], headers: bearer(key)).status == 200)
            try await pair.stop()
        }

        @Test func aProxysUsersReachTheToolsThroughTheGateway() async throws {
            var pair = try await Pair.start(
                [
                    "identity": ["trustedHeader", "apiKey"], "requireAuthentication": true,
                    "trustedHeader": [
                        "peers": ["127.0.0.1"], "secret": "the end-to-end proxy's secret", "users": "directory",
                    ],
                ],
                forward: [
                    "headers": ["X-Auth-User", "X-Auth-Secret", "X-API-Key"],
                    "credentials": ["X-Auth-User", "X-Auth-Secret", "X-API-Key"],
                ])
            pair.secrets = ["the end-to-end proxy's secret"]
            let chat = pair.gateway.client
            func who(_ headers: Headers) async throws -> HTTPTestResponse {
                try await chat.chat(["type": "get_user_info"], headers: headers)
            }
            let secret = ("X-Auth-Secret", "the end-to-end proxy's secret")
            for _ in 0..<3 {
                for name in ["alice", "bob"] {
                    let answer = try await who([("X-Auth-User", name), secret])
                    #expect(answer.replies?.first?["username"]?.string == name, "\(answer.status) \(answer.text)")
                }
            }
            #expect(try await who([]).status == 401)
            #expect(try await who([("X-Auth-User", "alice")]).status == 401)
            #expect(try await who([("X-Auth-User", "nobody-at-all"), secret]).status == 401)
            let key = try await pair.run("key", "create", "program", "--user", "bob")
            pair.secrets.append(String(key.dropFirst(8)))
            #expect(try await who([("X-API-Key", key)]).replies?.first?["username"] == "bob")
            try await pair.stop()
        }

        @Test func theProtectedResourceIsDescribedThroughTheGateway() async throws {
            let keys = #"""
                {"keys":[{"kty":"EC","crv":"P-256","kid":"1","use":"sig",
                "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}
                """#
            let directory = try TemporaryDirectory("keys")
            let pair = try await Pair.start([
                "identity": ["builtin", "jwt"], "publicURL": "https://chat.example/mcp", "requireAuthentication": true,
                "jwt": [
                    "issuer": "https://id.example", "audience": ["https://chat.example/mcp"],
                    "jwksFile": .string(try directory.write(keys, to: "keys.json")),
                ],
            ])
            let metadata = "https://chat.example/.well-known/oauth-protected-resource/mcp"
            for path in ["", "/mcp"] {
                let answer = try await pair.gateway.client.get("/.well-known/oauth-protected-resource" + path)
                #expect(answer.status == 200)
                #expect(try answer.json["resource"] == "https://chat.example/mcp")
                #expect(try answer.json["authorization_servers"] == ["https://id.example"])
            }
            let refused = try await pair.gateway.client.post(
                "/mcp/", json: ["jsonrpc": "2.0", "id": 1, "method": "tools/list"], headers: MCPTestClient.accept)
            #expect(refused.status == 401)
            #expect(refused.header("WWW-Authenticate") == #"Bearer resource_metadata="\#(metadata)""#)
            let forged = try await pair.gateway.client.chat(
                ["type": "search_projects", "query": "x"], headers: bearer("eyJhbGciOiJub25lIn0.e30."))
            #expect(forged.status == 401)
            #expect(forged.header("WWW-Authenticate")?.contains("invalid_token") == true)
            #expect(try await pair.gateway.client.get("/.well-known/openid-configuration").status == 404)
            try await pair.stop()
        }

        @Test(arguments: ["tokens", "oauth"])
        func theExampleIsValid(name: String) async throws {
            let example = Checkout.path("deploy/examples/\(name)/gateway.json")
            for product in [(BuiltProduct.toolServer, "tools"), (.gateway, "routes")] {
                let done = try await ChildProcess.run(.init(product.0.path, [product.1, "--config", example]))
                #expect(done.succeeded, "\(done.error)")
                #expect(done.output.contains("search_any"))
            }
        }

        @Test func aKeyGivesTheClientOfStdioItsRights() async throws {
            let directory = try TemporaryDirectory("stdio-key")
            let database = directory.path("chat.sqlite")
            try await DemoDatabase.shared.copy(to: database)
            let made = try await ChildProcess.run(
                .init(BuiltProduct.toolServer.path, ["key", "create", "desk", "--user", "bob", "--database", database]))
            #expect(made.error.contains("toolServer.identity does not have apiKey"))
            let key = made.output.trimmingCharacters(in: .whitespacesAndNewlines)
            func start(_ key: String?) async throws -> ChildProcess {
                var environment = ["TOOL_SERVER_IDENTITY": "apiKey", "TOOL_SERVER_REQUIRE_AUTHENTICATION": "true"]
                environment["TOOL_SERVER_API_KEY"] = key
                return try await ChildProcess.start(
                    .init(
                        BuiltProduct.toolServer.path, ["--database", database], environment: environment,
                        keepsInput: true))
            }
            let process = try await start(key)
            try process.write(
                #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_user_info","_meta":{"#
                    + #""io.modelcontextprotocol/protocolVersion":"2026-07-28","#
                    + #""io.modelcontextprotocol/clientCapabilities":{}}}}"# + "\n")
            await eventually(within: .seconds(20)) { process.output.contains("\n") || process.exit != nil }
            #expect(process.output.contains(#""username":"bob""#), "\(process.log)")
            process.closeInput()
            #expect(try await process.exit() == .status(0))
            #expect(!process.log.contains(key.dropFirst(8)))
            for (wrong, reason) in [(nil, "found nothing"), ("tsk_wrong", "malformed")] as [(String?, String)] {
                let refused = try await start(wrong)
                #expect(try await refused.exit() == .status(1))
                #expect(refused.log.contains("toolServer.stdioKey: expected an API key"))
                #expect(refused.log.contains(reason))
            }
        }
    }
}

extension Array {
    fileprivate func asyncMap<T>(_ transform: (Element) async throws -> T) async rethrows -> [T] {
        var values: [T] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
