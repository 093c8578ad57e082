import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// The tool-server with its data in PostgreSQL.
    @Suite struct PostgreSQL {
        private func toolServer(_ arguments: String...) async throws -> ChildProcess.Finished {
            try await ChildProcess.run(.init(BuiltProduct.toolServer.path, arguments))
        }

        @Test func everyCommandTakesTheURL() async throws {
            let url = try await PostgreSQLServer.shared().urlOfNewSchema()
            let first = try await toolServer("seed", "--database", url)
            #expect(first.succeeded, "\(first.error)")
            #expect(first.output.contains("created user alice with password"))
            #expect(try await toolServer("seed", "--database", url).output == "nothing to add\n")
            #expect(try await toolServer("user", "add", "carol", "--alias", "C", "--database", url).succeeded)
            let twice = try await toolServer("user", "add", "carol", "--database", url)
            #expect(twice.exit == .status(1))
            #expect(twice.errorLines == ["tool-server: an account named \"carol\" exists already"])
            let session = try await toolServer("session", "new", "carol", "--database", url)
            #expect(session.succeeded, "\(session.error)")
            let documents = try await toolServer("documents", "list", "--database", url)
            #expect(documents.output.contains("Holiday and Leave Policy"))
            let called = try await toolServer(
                "call", "search_any", #"{"model":"projects","query":"URGENT"}"#, "--database", url)
            #expect(called.output.contains("/psm/project/123/"))

            // Two servers on one database: what one is told, the other knows.
            let one = try await RunningService.toolServer(database: url)
            let other = try await RunningService.toolServer(database: url)
            let cookie = session.output.trimmingCharacters(in: .newlines)
            for server in [one, other] {
                let user = try await server.client.post(
                    "/mcp/get_user_info", "{}", headers: [("Cookie", "sessionid=" + cookie)])
                #expect(user.text.contains(#""username":"carol""#), "\(user.text)")
            }
            try await one.stop()
            try await other.stop()
        }

        @Test func theServerStartsWithoutItsDatabaseWhenToldToWait() async throws {
            let database = try await PostgreSQLServer()
            try await database.start()
            let url = database.url()
            try await database.stop()
            let refused = try await toolServer("serve", "--transport", "http", "--port", "0", "--database", url)
            #expect(refused.exit == .status(1))
            #expect(refused.errorLines.last?.hasPrefix("tool-server: cannot open database postgres://") == true)

            let directory = try TemporaryDirectory("wait")
            let configuration = try directory.write(
                #"{"toolServer":{"sqlTools":{"people":{"statement":"SELECT count(*) AS n FROM account"}}}}"#,
                to: "gateway.json")
            let server = try await RunningService.start(
                .toolServer,
                [
                    "serve", "--transport", "http", "--port", "0", "--admin", "127.0.0.1:0", "--wait", "--database",
                    url, "--config", configuration,
                ])
            let tools = try await MCPTestClient(server.client).modernResult("tools/list", id: 1)["tools"]
            #expect(tools?.array?.contains { $0["name"] == "people" } == true)
            let notReady = try await server.admin.get("/readyz")
            #expect(notReady.status == 503)
            #expect(notReady.text.contains("database: unavailable"))
            let call = try await server.client.post("/mcp/search_any", #"{"model":"projects","query":"a"}"#)
            #expect(call.status == 503)
            #expect(call.text.contains("The database is unavailable"), "\(call.text)")
            let cookie = String(repeating: "a", count: 43)
            let people = try await server.client.post("/mcp/people", "{}")
            #expect(people.text.contains("The database is unavailable"), "\(people.text)")
            let member = try await server.client.post(
                "/mcp/get_user_info", "{}", headers: [("Cookie", "sessionid=" + cookie)])
            #expect(member.status == 503, "\(member.text)")
            let gateway = try await RunningService.gateway(upstream: "http://\(server.address)/mcp/")
            let asked: [(JSONValue, String?)] = [
                (["type": "search_any", "model": "projects", "query": "a"], nil), (["type": "get_user_info"], cookie),
                (["type": "chat", "message": "a"], nil), (["type": "chat", "message": "a"], cookie),
            ]
            for (payload, cookie) in asked {
                let response = try await gateway.client.chat(payload, cookie: cookie)
                #expect(response.status == 503)
                #expect(response.header("Retry-After") == "1")
                #expect(try response.json == ["error": "The database is unavailable"])
            }
            // The tool-server answers: it is no upstream that is down.
            #expect(try await gateway.admin.get("/readyz").status == 200)
            try await gateway.stop()

            try await database.start()
            try await server.ready()
            let found = try await server.client.post("/mcp/search_any", #"{"model":"projects","query":"a"}"#)
            #expect(found.status == 200, "\(found.text)")
            #expect(try await server.client.post("/mcp/people", "{}").json == ["results": [["n": 0]]])

            // And again, without being told.
            try await database.stop()
            #expect(try await server.admin.get("/readyz").status == 503)
            try await database.start()
            try await server.ready()
            try await server.stop()
            try await database.stop()
        }

        @Test func thePasswordInTheURLIsNeverLogged() async throws {
            let certificates = try await Certificates.make()
            let database = try await PostgreSQLServer()
            let port = try freePort()
            let (password, wrong) = ("s3cret-7c19", "wr0ng-5d2e")
            try await database.start(port: port, certificates, password: password)
            func url(_ password: String) -> String {
                "postgres://\(PostgreSQLServer.user):\(password)@localhost:\(port)/postgres?sslmode=verify-full"
                    + "&sslrootcert=\(certificates.path("authority.pem"))"
            }
            let refused = try await toolServer("seed", "--database", url(wrong))
            #expect(refused.exit == .status(1))
            #expect(refused.error.contains("password authentication failed"), "\(refused.error)")
            #expect(!refused.error.contains(wrong))

            let server = try await RunningService.start(
                .toolServer,
                ["serve", "--transport", "http", "--port", "0", "--admin", "127.0.0.1:0", "--database", url(password)],
                environment: ["TOOL_SERVER_LOG_LEVEL": "trace"])
            try await server.ready()
            let search = #"{"model":"projects","query":"a"}"#
            #expect(try await server.client.post("/mcp/search_any", search).status == 200)
            try await database.stop()
            #expect(try await server.client.post("/mcp/search_any", search).status == 503)
            #expect(try await server.admin.get("/readyz").text.contains("database: unavailable"))
            let metrics = try await server.admin.get("/metrics").text
            try await server.stop()
            #expect(server.process.log.contains("store failed"))
            for text in [server.process.log, metrics] { #expect(!text.contains(password)) }
        }

        @Test func theDjangoExampleRunsOnPostgreSQL() async throws {
            let url = try await PostgreSQLServer.shared().urlOfNewSchema()
            try await PostgreSQLServer.shared().sql(
                """
                CREATE TABLE django_session (
                    session_key varchar(40) PRIMARY KEY, session_data text NOT NULL, expire_date timestamptz NOT NULL)
                """, url: url)
            let directory = try TemporaryDirectory("django")
            let check = try await ChildProcess.run(
                .init(
                    BuiltProduct.toolServer.path,
                    ["check", "--config", Checkout.path("deploy/examples/django/gateway.json"), "--database", url],
                    environment: [
                        "DJANGO_SECRET_KEY": "key", "TOOL_SERVER_STATE_DATABASE": directory.path("state.sqlite"),
                    ]))
            #expect(check.exit == .status(1))
            // The site's other tables are missing, and each is named.
            for table in ["psm_project", "ai_chatmessage", "ai_user"] {
                #expect(check.error.contains(table), "\(check.error)")
            }
            #expect(!check.error.contains("django_session"))
        }
    }
}
