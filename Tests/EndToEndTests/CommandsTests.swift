import Foundation
import JSON
import JSONSchema
import TestSupport
import Testing

extension EndToEnd {
    /// The subcommands of both executables.
    @Suite struct Commands {
        private func toolServer(_ arguments: String...) async throws -> ChildProcess.Finished {
            try await ChildProcess.run(.init(BuiltProduct.toolServer.path, arguments))
        }

        private func gateway(_ arguments: String...) async throws -> ChildProcess.Finished {
            try await ChildProcess.run(.init(BuiltProduct.gateway.path, arguments))
        }

        @Test func seedPrintsPasswordsOnceAndChangesNothingTheSecondTime() async throws {
            let directory = try TemporaryDirectory("seed")
            let database = directory.path("new.sqlite")
            let first = try await toolServer("seed", "--database", database)
            #expect(first.succeeded, "\(first.error)")
            let line = try #require(first.output.split(separator: "\n").first { $0.contains("alice") })
            let password = try #require(line.split(separator: " ").last)
            let search = #"{"query":"a"}"#
            let before = try await toolServer("call", "search_projects", search, "--database", database)
            let second = try await toolServer("seed", "--database", database)
            #expect(second.succeeded, "\(second.error)")
            #expect(!second.output.contains("password"))
            let after = try await toolServer("call", "search_projects", search, "--database", database)
            #expect(before.succeeded && before.output == after.output)

            let server = try await RunningService.toolServer(database: database)
            let login = try await server.client.post(
                "/auth/login", json: ["username": "alice", "password": .string(String(password))])
            #expect(login.cookie("sessionid") != nil, "\(first.output)")
            try await server.stop()
        }

        @Test func usersAndSessionsAreMadeFromTheCommandLine() async throws {
            let stack = try RunningStack.current
            let name = "made\(UInt32.random(in: 0 ... .max))"
            try await stack.addUser(name, alias: "M", password: "a long enough password")
            let cookie = try await stack.session(of: name)
            #expect(!cookie.isEmpty && !cookie.contains(where: \.isWhitespace))
            let user = try await stack.gateway.client.chat(["type": "get_user_info"], cookie: cookie)
            #expect(user.replies == [["username": .string(name), "alias": "M"]])

            let twice = try await toolServer("user", "add", name, "--database", stack.database)
            #expect(twice.exit == .status(1))
            #expect(twice.error.contains(name))
            let unknown = try await toolServer("session", "new", "nobody-at-all", "--database", stack.database)
            #expect(unknown.exit == .status(1))
            #expect(unknown.error.contains("nobody-at-all"))
            #expect(unknown.output.isEmpty)
        }

        @Test func toolsAreListedForPeopleAndPrograms() async throws {
            let table = try await toolServer("tools")
            #expect(table.succeeded, "\(table.error)")
            for name in PassThrough.tools { #expect(table.output.contains(name)) }
            let list = try await toolServer("tools", "--json")
            #expect(list.succeeded, "\(list.error)")
            let json = try JSONValue(parsing: Array(list.output.utf8))
            let names = (json.array ?? json["tools"]?.array ?? []).compactMap { $0["name"]?.string }
            #expect(PassThrough.tools.isSubset(of: names))
        }

        @Test func oneCallPrintsItsResult() async throws {
            let database = try RunningStack.current.database
            let good = try await toolServer("call", "echo", #"{"message":"Hello"}"#, "--database", database)
            #expect(good.succeeded, "\(good.error)")
            #expect(try JSONValue(parsing: Array(good.output.utf8)) == ["Echo": "Hello"])
            for (name, arguments) in [("nothing", "{}"), ("echo", "{"), ("search_any", #"{"model":"x","query":"x"}"#)] {
                let bad = try await toolServer("call", name, arguments, "--database", database)
                #expect(bad.exit == .status(1), "\(name): \(bad)")
            }
        }

        @Test func theShippedConfigurationIsValid() async throws {
            let stack = try RunningStack.current
            let directory = try TemporaryDirectory("check")
            let here = try Checkout.text("gateway.json").replacing("http://127.0.0.1:8001/mcp/", with: stack.upstream)
            #expect(here.contains(stack.upstream))
            let check = try await gateway("check", "--config", directory.write(here, to: "gateway.json"))
            #expect(check.succeeded, "\(check.output)\(check.error)")
        }

        @Test func routesAreATableOfTypesAndTools() async throws {
            let routes = try await gateway("routes", "--config", Checkout.path("gateway.json"))
            #expect(routes.succeeded, "\(routes.error)")
            for word in ["search_projects", "search_any", "get_user_info", "ai_prompt", "history", "chat_history"] {
                #expect(routes.output.contains(word))
            }
        }

        @Test func theSchemaDescribesTheShippedConfiguration() async throws {
            let schema = try await gateway("schema")
            #expect(schema.succeeded, "\(schema.error)")
            let rules = try JSONSchema(JSONValue(parsing: Array(schema.output.utf8)))
            let shipped = try JSONValue(parsing: Array(Checkout.text("gateway.json").utf8))
            #expect(rules.validate(shipped).isEmpty)
        }

        /// Of both processes' sections: the keys come from the executable that reads them.
        @Test func theSchemaKnowsTheToolServersKeys() async throws {
            let schema = try JSONValue(parsing: Array(try await gateway("schema").output.utf8))
            let section = try #require(schema["properties"]?["toolServer"])
            #expect(section["properties"]?["database"]?["x-environment"] == "TOOL_SERVER_DATABASE")
            #expect(section["properties"]?["ai"]?["properties"]?["model"]?["description"]?.string != nil)
            let own = try JSONValue(parsing: Array(try await toolServer("schema").output.utf8))
            #expect(own["properties"] == section["properties"])
            let rules = try JSONSchema(schema)
            for example in ["deploy/examples/django/gateway.json", "deploy/examples/strangler/gateway.json"] {
                let document = try JSONValue(parsing: Array(Checkout.text(example).utf8))
                #expect(rules.validate(document).isEmpty, "\(example): \(rules.validate(document))")
            }
            let misspelt: JSONValue = ["toolServer": ["databse": "x"]]
            #expect(!rules.validate(misspelt).isEmpty)
        }

        @Test func theGatewaysSchemaNeedsNoToolServer() async throws {
            let directory = try TemporaryDirectory("alone")
            let alone = directory.path("gateway")
            try FileManager.default.copyItem(atPath: BuiltProduct.gateway.path, toPath: alone)
            let schema = try await ChildProcess.run(.init(alone, ["schema"]))
            #expect(schema.succeeded, "\(schema.error)")
            let section = try JSONValue(parsing: Array(schema.output.utf8))["properties"]?["toolServer"]
            #expect(section?["properties"] == nil && section?["type"] == "object")
        }
    }
}
