import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// What cannot start says so in one line, and leaves nothing running.
    @Suite struct StartFailures {
        /// A mistyped name makes no file, and says that there is none.
        @Test(arguments: [
            ["session", "new", "alice"], ["session", "list", "alice"], ["session", "revoke", "alice", "--all"],
            ["user", "disable", "alice"], ["user", "enable", "alice"], ["user", "password", "alice"],
            ["key", "list"], ["key", "revoke", "x"], ["key", "create", "x", "--user", "alice"],
            ["documents", "list"], ["documents", "remove", "1"], ["export", "alice"], ["delete", "alice", "--yes"],
        ])
        func commandsOnADatabaseThatIsNotThereMakeNone(arguments: [String]) async throws {
            let directory = try TemporaryDirectory()
            let database = directory.path("mistyped.sqlite")
            try await fails(
                .toolServer, arguments + ["--database", database], naming: "mistyped.sqlite", "no such file")
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path).isEmpty)
        }

        private func fails(
            _ product: BuiltProduct, _ arguments: [String], naming words: String...,
            location: SourceLocation = #_sourceLocation
        ) async throws {
            let finished = try await ChildProcess.run(.init(product.path, arguments))
            #expect(finished.exit == .status(1), "\(finished)", sourceLocation: location)
            #expect(finished.output.isEmpty, sourceLocation: location)
            let errors = finished.errorLines.filter { !$0.contains(#""level":"info""#) }
            #expect(errors.count == 1, "\(finished.error)", sourceLocation: location)
            for word in words {
                #expect(errors.first?.contains(word) == true, "\(finished.error)", sourceLocation: location)
            }
        }

        @Test func aPortInUseIsNamed() async throws {
            let stack = try RunningStack.current
            let taken = stack.gateway.address
            try await fails(
                .gateway,
                [
                    "--config", Checkout.path("gateway.json"), "--listen", taken, "--admin", "127.0.0.1:0",
                    "--upstream", stack.upstream,
                ], naming: taken, "in use")
            try await fails(
                .gateway,
                [
                    "--config", Checkout.path("gateway.json"), "--listen", "127.0.0.1:0", "--admin", taken,
                    "--upstream", stack.upstream,
                ], naming: taken, "in use")
            try await fails(
                .toolServer,
                ["--transport", "http", "--port", "\(stack.toolServer.port)", "--database", stack.database],
                naming: "\(stack.toolServer.port)", "in use")
        }

        @Test func aConfigurationThatCannotBeReadIsNamed() async throws {
            let directory = try TemporaryDirectory("config")
            try await fails(.gateway, ["--config", directory.path("absent.json")], naming: "absent.json")
            try await fails(.gateway, ["--config", directory.url.path], naming: directory.url.path)
            try await fails(
                .toolServer, ["--config", directory.path("absent.json"), "--transport", "http", "--port", "0"],
                naming: "absent.json")
        }

        @Test func anInvalidConfigurationNamesThePathAndWhatWasExpected() async throws {
            let directory = try TemporaryDirectory("config")
            let syntax = try directory.write("{\"listen\": ", to: "syntax.json")
            try await fails(.gateway, ["--config", syntax], naming: "syntax.json")
            let unknown = try directory.write(#"{"listem": "127.0.0.1:0"}"#, to: "unknown.json")
            try await fails(.gateway, ["--config", unknown], naming: "listem", "listen")
            let wrong = try directory.write(#"{"limits": 7}"#, to: "wrong.json")
            try await fails(.gateway, ["--config", wrong], naming: "limits")
        }

        @Test func checkNamesEveryMistakeOnALineOfItsOwn() async throws {
            let directory = try TemporaryDirectory("config")
            let path = try directory.write(
                #"""
                {"upstreams": {"tools": {"url": "http://127.0.0.1:1/mcp/", "concurency": 1}},
                 "chat": {"defaultType": "a", "types": {"a": {"tool": 5}}}}
                """#, to: "two.json")
            let finished = try await ChildProcess.run(.init(BuiltProduct.gateway.path, ["check", "--config", path]))
            #expect(finished.exit == .status(1))
            let lines = finished.errorLines
            #expect(
                lines.filter { !$0.hasPrefix("    ") }.dropLast() == [
                    "\(path): chat.types.a.tool: expected a string, found 5",
                    #"\#(path): upstreams.tools.concurency: expected the key "concurrency", found an unknown key"#,
                ])
            #expect(
                lines.dropLast().dropFirst().prefix(2) == [
                    "    Line 2 of the file.", #"    Example: "tool": "search_projects""#,
                ])
            #expect(lines.contains(#"    Example: "concurrency": 1024"#), "\(lines)")
            #expect(lines.last?.contains("2 problems. `gateway schema` describes every key") == true)
        }

        @Test func checkTellsWhereAFileWasLookedFor() async throws {
            let directory = try TemporaryDirectory("config")
            for arguments in [["check"], ["check", "--config", "gateway.json"]] {
                let finished = try await ChildProcess.run(
                    .init(BuiltProduct.gateway.path, arguments, directory: directory.url.path))
                #expect(finished.exit == .status(1))
                #expect(finished.error.contains("gateway.json: cannot be read (No such file or directory)"))
                let whole = directory.url.resolvingSymlinksInPath().path + "/gateway.json"
                #expect(finished.error.contains("looked for at \(whole)."), "\(finished.error)")
                #expect(finished.error.contains("/etc/chat-gateway/gateway.json") == (arguments.count == 1))
                #expect(finished.error.contains("gateway init"))
            }
        }

        @Test func theToolServersCheckExplainsItsSection() async throws {
            let directory = try TemporaryDirectory("config")
            let path = try directory.write("{\"toolServer\": {\n\"port\": \"http\"}}", to: "gateway.json")
            let finished = try await ChildProcess.run(.init(BuiltProduct.toolServer.path, ["check", "--config", path]))
            #expect(finished.exit == .status(1))
            #expect(finished.errorLines.first?.contains("toolServer.port: expected") == true, "\(finished.error)")
            #expect(
                finished.errorLines.dropFirst().prefix(2) == ["    Line 2 of the file.", "    Example: \"port\": 8001"])
        }

        @Test func aDatabaseThatCannotBeOpenedIsNamed() async throws {
            let directory = try TemporaryDirectory("database")
            let text = try directory.write(String(repeating: "this is no database\n", count: 100), to: "text.sqlite")
            let absent = directory.path("no/such/directory/chat.sqlite")
            for database in [text, absent, directory.url.path] {
                try await fails(
                    .toolServer, ["--transport", "http", "--port", "0", "--database", database], naming: database)
                try await fails(.toolServer, ["seed", "--database", database], naming: database)
            }
        }

        @Test(arguments: [
            (BuiltProduct.gateway, ["--no-such-option"]), (.gateway, ["serve", "--listen"]),
            (.toolServer, ["--transport", "pigeon"]), (.toolServer, ["call"]), (.toolServer, ["user", "add"]),
        ])
        func wrongUsageIsExitCodeTwo(_ product: BuiltProduct, _ arguments: [String]) async throws {
            let finished = try await ChildProcess.run(.init(product.path, arguments))
            #expect(finished.exit == .status(2))
            #expect(!finished.error.isEmpty)
            #expect(finished.output.isEmpty)
        }

        @Test(arguments: [BuiltProduct.gateway, .toolServer])
        func helpIsNoError(_ product: BuiltProduct) async throws {
            let finished = try await ChildProcess.run(.init(product.path, ["--help"]))
            #expect(finished.succeeded)
            #expect(finished.output.contains("USAGE"))
        }
    }
}
