import Crypto
import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// `gateway tools` and `gateway pin`, before the running tool-server.
    @Suite struct ToolCommands {
        private func gateway(_ arguments: String...) async throws -> ChildProcess.Finished {
            try await ChildProcess.run(.init(BuiltProduct.gateway.path, arguments))
        }

        /// A configuration file with an endpoint over the tool-server, once trusted and once not.
        private func configuration(
            in directory: TemporaryDirectory, _ changes: JSONObject = [:]
        ) throws -> String {
            let url = JSONValue.string(try RunningStack.current.upstream)
            var document: JSONObject = [
                "upstreams": ["tools": ["url": url, "trusted": true], "other": ["url": url]],
                "mcp": [
                    "endpoints": [
                        "/mcp/": [
                            "upstreams": ["tools": ["allow": ["echo", "search_*"]], "other": ["prefix": "other_"]]
                        ],
                        "/mcp/other": ["upstreams": ["other": [:]]],
                    ]
                ], "chat": ["types": [:]],
            ]
            for (key, value) in changes { document[key] = value }
            return try directory.write(JSONValue.object(document).text, to: "gateway.json")
        }

        // MARK: tools

        @Test func toolsOfEveryEndpointAreListedWithTheirUpstreams() async throws {
            let directory = try TemporaryDirectory("tools")
            let file = try configuration(in: directory)
            let all = try await gateway("tools", "--config", file)
            #expect(all.succeeded, "\(all.error)")
            let rows = all.output.split(separator: "\n").map {
                $0.split(separator: " ", omittingEmptySubsequences: true)
            }
            #expect(rows.first?.prefix(3) == ["ENDPOINT", "TOOL", "UPSTREAM"])
            #expect(rows.contains { $0.prefix(4) == ["/mcp/", "echo", "tools", "-"] })
            #expect(rows.contains { $0.prefix(4) == ["/mcp/", "other_echo", "other", "echo"] })
            #expect(rows.contains { $0.prefix(4) == ["/mcp/other", "echo", "other", "-"] })
            #expect(!rows.contains { $0.prefix(2) == ["/mcp/", "chat"] })
            #expect(all.error.isEmpty)

            let one = try await gateway("tools", "--config", file, "--endpoint", "/mcp/other/", "--json")
            #expect(one.succeeded, "\(one.error)")
            let endpoints = try JSONValue(parsing: Array(one.output.utf8))["endpoints"]?.array
            #expect(endpoints?.count == 1 && endpoints?[0]["path"] == "/mcp/other")
            let tool = endpoints?[0]["tools"]?.array?.first { $0["name"] == "echo" }
            #expect(tool?["upstream"] == "other" && tool?["ownName"] == "echo")
            #expect(tool?["definition"]?["inputSchema"]?["properties"]?["message"] != nil)

            let unknown = try await gateway("tools", "--config", file, "--endpoint", "/nothing")
            #expect(unknown.exit == .status(1) && unknown.output.isEmpty)
            #expect(unknown.error.contains("/nothing: no such MCP endpoint; there are: /mcp/, /mcp/other"))
        }

        @Test func withoutEndpointsThePassThroughIsListed() async throws {
            let directory = try TemporaryDirectory("tools")
            let url = JSONValue.string(try RunningStack.current.upstream)
            let document: JSONValue = [
                "upstreams": ["tools": ["url": url, "trusted": true]],
                "passthrough": ["tools": ["allow": ["search_*", "echo"], "deny": ["search_any"]]],
                "chat": ["types": [:]],
            ]
            let tools = try await gateway(
                "tools", "--config", directory.write(document.text, to: "gateway.json"), "--json")
            #expect(tools.succeeded, "\(tools.error)")
            let names =
                try JSONValue(parsing: Array(tools.output.utf8))["endpoints"]?[0]?["tools"]?.array?
                .compactMap { $0["name"]?.string } ?? []
            #expect(names.contains("search_projects") && names.contains("echo"))
            #expect(!names.contains("search_any") && !names.contains("chat"))
        }

        @Test func anUpstreamThatIsAwayIsNamedAndTheOthersAreListed() async throws {
            let directory = try TemporaryDirectory("tools")
            let url = JSONValue.string(try RunningStack.current.upstream)
            let file = try configuration(
                in: directory,
                [
                    "upstreams": [
                        "tools": ["url": url, "trusted": true],
                        "other": ["url": "http://127.0.0.1:1/mcp/", "retryWindow": "0s"],
                    ]
                ])
            let tools = try await gateway("tools", "--config", file, "--endpoint", "/mcp")
            #expect(tools.exit == .status(1))
            #expect(tools.output.contains("echo"))
            #expect(tools.error.contains("/mcp/: upstream other cannot be listed: upstream_unreachable"))
        }

        // MARK: pin

        @Test func toolsArePinnedAndCompared() async throws {
            let directory = try TemporaryDirectory("pin")
            let file = try configuration(in: directory, ["lock": "tools.lock"])
            let lock = directory.path("tools.lock")

            let early = try await gateway("pin", "--config", file, "--diff")
            #expect(early.exit == .status(1) && early.error.contains("there is no lock file"))
            let unusable = try await gateway("check", "--config", file)
            #expect(unusable.exit == .status(1))
            #expect(unusable.error.contains("lock: expected a file that `gateway pin` has written"))
            #expect(unusable.error.contains("No such file"))

            let pin = try await gateway("pin", "--config", file)
            #expect(pin.succeeded, "\(pin.error)")
            #expect(pin.output.contains(#"new: tool "echo" of upstream other"#))
            let text = try String(contentsOfFile: lock, encoding: .utf8)
            let document = try JSONValue(parsing: Array(text.utf8))
            // Only what is not trusted.
            #expect(document["upstreams"]?.object?.keys == ["other"])
            #expect(document["upstreams"]?["other"]?["echo"]?[0]?["sha256"]?.string?.count == 64)
            let same = try await gateway("pin", "--config", file, "--diff")
            #expect(same.succeeded && same.output.isEmpty, "\(same.output)\(same.error)")
            let good = try await gateway("check", "--config", file)
            #expect(good.succeeded, "\(good.output)\(good.error)")
            // A second run writes the same.
            _ = try await gateway("pin", "--config", file)
            #expect(try String(contentsOfFile: lock, encoding: .utf8) == text)
        }

        @Test func aToolThatHasChangedIsHiddenUntilItIsPinnedAgain() async throws {
            let directory = try TemporaryDirectory("pin")
            let file = try configuration(in: directory, ["lock": "tools.lock"])
            let lock = directory.path("tools.lock")
            _ = try await gateway("pin", "--config", file)
            // As if the server had other tools when it was reviewed.
            try pretend(lock) { definition in
                definition["description"] = "Says what it is told."
            }
            let diff = try await gateway("pin", "--config", file, "--diff")
            #expect(diff.exit == .status(1))
            #expect(diff.output.contains(#"changed: tool "echo" of upstream other"#))
            #expect(diff.output.contains(#"-   "description": "Says what it is told.","#))
            let check = try await gateway("check", "--config", file)
            #expect(check.exit == .status(1))
            #expect(check.output.contains(#"upstream other: the definition of the tool "echo" has changed"#))
            let tools = try await gateway("tools", "--config", file, "--endpoint", "/mcp/")
            #expect(tools.succeeded)
            #expect(!tools.output.contains("other_echo") && tools.output.contains("other_search_any"))
            #expect(tools.error.contains("/mcp/: upstream other: hidden until they are pinned: echo"))
            let pin = try await gateway("pin", "--config", file)
            #expect(pin.succeeded && pin.output.contains("changed: tool"))
            #expect(try await gateway("check", "--config", file).succeeded)
        }

        /// Changes the pinned definition of `echo`, with its hash.
        private func pretend(_ lock: String, _ change: (inout JSONObject) -> Void) throws {
            var document = try #require(
                try JSONValue(parsing: Array(Data(contentsOf: URL(fileURLWithPath: lock)))).object)
            var tools = try #require(document["upstreams"]?["other"]?.object)
            var definition = try #require(tools["echo"]?[0]?["definition"]?.object)
            change(&definition)
            let hash = SHA256.hash(data: JSONValue.object(definition).canonical).map { String(format: "%02x", $0) }
                .joined()
            tools["echo"] = [["definition": .object(definition), "sha256": .string(hash)]]
            document["upstreams"] = ["other": .object(tools)]
            try Data(JSONValue.object(document).text.utf8).write(to: URL(fileURLWithPath: lock))
        }

        @Test func aLockFileThatIsBrokenIsRefusedByEveryCommand() async throws {
            let directory = try TemporaryDirectory("pin")
            let file = try configuration(in: directory, ["lock": "tools.lock"])
            _ = try await gateway("pin", "--config", file)
            let lock = directory.path("tools.lock")
            let whole = try String(contentsOfFile: lock, encoding: .utf8)
            for broken in ["", String(whole.prefix(whole.count / 2)), whole.replacing("\"echo\"", with: "\"echa\"")] {
                _ = try directory.write(broken, to: "tools.lock")
                for command in ["check", "tools", "serve"] {
                    let refused = try await gateway(command, "--config", file)
                    #expect(refused.exit == .status(1), "\(command): \(refused)")
                    #expect(
                        refused.error.contains("lock: expected a file that `gateway pin` has written, found \(lock)"))
                }
                // It may hold what somebody has reviewed: nothing is written over it.
                let pin = try await gateway("pin", "--config", file)
                #expect(pin.exit == .status(1) && pin.error.contains(lock))
                #expect(try String(contentsOfFile: lock, encoding: .utf8) == broken)
            }
        }

        @Test func anUpstreamThatIsAwayKeepsItsPins() async throws {
            let directory = try TemporaryDirectory("pin")
            _ = try await gateway("pin", "--config", configuration(in: directory))
            let lock = directory.path("tools.lock")
            let before = try String(contentsOfFile: lock, encoding: .utf8)
            #expect(before.contains("echo"))
            let file = try configuration(
                in: directory,
                [
                    "upstreams": [
                        "other": ["url": "http://127.0.0.1:1/mcp/", "retryWindow": "0s"],
                        "tools": ["url": "http://127.0.0.1:1/mcp/", "trusted": true],
                    ]
                ])
            for arguments in [["pin", "--config", file], ["pin", "--config", file, "--diff"]] {
                let pin = try await ChildProcess.run(.init(BuiltProduct.gateway.path, arguments))
                #expect(pin.exit == .status(1))
                #expect(pin.error.contains("upstream other cannot be read: upstream_unreachable"))
                #expect(try String(contentsOfFile: lock, encoding: .utf8) == before)
            }
        }
    }
}
