import JSON
import MCP
import Synchronization
import TestSupport
import Testing

@testable import MCPServer

@Suite("Legacy revisions over Streamable HTTP")
struct LegacyTests {
    @Test("initialize negotiates each revision and opens a session", arguments: MCPVersion.legacy)
    func handshake(version: MCPVersion) async throws {
        let fixture = try Fixture()
        let client = try await fixture.initialize(version)
        #expect(client.session.utf8.count >= 22)
        #expect(client.session.utf8.allSatisfy { (0x21...0x7E).contains($0) })
        let response = await client.notify("notifications/initialized")
        #expect(response.status == 202)
        let reply = try await client.call("tools/call", ["name": "echo", "arguments": ["message": "hi"]])
        #expect(reply.status == 200)
        #expect(!reply.isStream)
        #expect(reply.result["content"]?[0]?["text"] == #"{"Echo":"hi"}"#)
        #expect((reply.result["structuredContent"] != nil) == version.hasStructuredContent)
        #expect(reply.result["resultType"] == nil)
    }

    @Test(
        "an unknown or modern version asked for is answered with the latest legacy one",
        arguments: ["1999-01-01", "2026-07-28"])
    func negotiation(asked: String) async throws {
        let reply = try await Reply(await Fixture().post(Fixture.initializeBody(asked)))
        #expect(reply.result["protocolVersion"] == "2025-11-25")
    }

    @Test("initialize may carry any version header and a stale session id")
    func initializeHeaders() async throws {
        let fixture = try Fixture()
        let response = await fixture.post(
            Fixture.initializeBody("2025-06-18"),
            headers: ["MCP-Protocol-Version": "2026-07-28", "Mcp-Session-Id": "stale"])
        #expect(response.status == 200)
        #expect(response.headers.contains { $0.0 == "Mcp-Session-Id" && $0.1 != "stale" })
    }

    @Test("modern metadata means modern whatever the session")
    func modernInSession() async throws {
        let fixture = try Fixture()
        let client = try await fixture.initialize(.v2025_11_25)
        let reply = try await fixture.modern("tools/list", headers: ["Mcp-Session-Id": client.session])
        #expect(reply.result["resultType"] == "complete")
    }

    @Test(
        "a request without a session id is refused with exactly this body",
        arguments: [(RequestID.integer(31), "31"), (.string("31"), "\"31\"")])
    func missingSession(id: RequestID, text: String) async throws {
        let reply = try await Reply(await Fixture().post(JSONRPCRequest(id: id, method: "tools/list").json))
        #expect(reply.status == 400)
        let expected =
            #"{"jsonrpc":"2.0","id":"# + text
            + #","error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#
        #expect(String(decoding: reply.body, as: UTF8.self) == expected)
    }

    @Test("an unknown, ended or another principal's session is 404")
    func unknownSession() async throws {
        let fixture = try Fixture()
        let client = try await fixture.initialize(.v2025_06_18, principal: alice)
        func status(_ session: String, _ principal: Principal?) async -> Int {
            await fixture.post(
                JSONRPCRequest(id: 1, method: "ping").json, headers: ["Mcp-Session-Id": session],
                principal: principal
            ).status
        }
        #expect(await status(client.session, alice) == 200)
        #expect(await status(client.session, Principal(id: "1", name: "alice", scopes: ["new"])) == 200)
        #expect(await status(client.session, bob) == 404)
        #expect(await status(client.session, nil) == 404)
        #expect(await status("nonsense", alice) == 404)
        #expect(await client.get(principal: bob).status == 404)
        #expect(await client.delete().status == 204)
        #expect(await status(client.session, alice) == 404)
        #expect(await client.delete().status == 404)
    }

    @Test("an unsupported version header is 400, a supported other one is accepted")
    func versionHeader() async throws {
        let fixture = try Fixture()
        let client = try await fixture.initialize(.v2025_11_25)
        func status(_ version: String) async -> Int {
            await fixture.post(
                JSONRPCRequest(id: 1, method: "ping").json,
                headers: ["Mcp-Session-Id": client.session, "MCP-Protocol-Version": version]
            ).status
        }
        #expect(await status("2025-06-18") == 200)
        #expect(await status("1999-01-01") == 400)
        #expect(await status("nonsense") == 400)
    }

    @Test("malformed envelopes are 400 and the next request is served")
    func badEnvelopes() async throws {
        let fixture = try Fixture()
        let client = try await fixture.initialize(.v2025_11_25)
        let bodies: [(String, Int)] = [
            ("{", -32700), ("", -32700), ("\"x\"", -32600), ("{\"jsonrpc\":\"2.0\"}", -32600),
            (#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
            (#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
            (#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
            (#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
            (#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, -32602),
            (String(repeating: "[", count: 100), -32700),
        ]
        for (body, code) in bodies {
            let reply = try await Reply(await fixture.post(bytes: Array(body.utf8), headers: client.headers))
            #expect(reply.status == 400, "\(body)")
            #expect(reply.code == code, "\(body)")
            #expect(try await client.call("ping").result == [:])
        }
    }

    @Test("an unknown method is 200 with -32601, bad params are 200 with -32602")
    func protocolErrors() async throws {
        let client = try await Fixture().initialize(.v2025_11_25)
        for (method, params, code) in [
            ("nope", [:], -32601), ("server/discover", [:], -32601), ("tools/call", [:], -32602),
            ("tools/call", ["name": "none"], -32602), ("tools/call", ["name": "echo", "arguments": [1]], -32602),
            ("tools/list", ["cursor": "bad"], -32602), ("logging/setLevel", ["level": "loud"], -32602),
            ("prompts/get", ["name": "greet"], -32602), ("prompts/get", ["name": "none"], -32602),
        ] as [(String, JSONObject, Int)] {
            let reply = try await client.call(method, params)
            #expect(reply.status == 200)
            #expect(reply.code == code, "\(method)")
        }
        let unknown = try await client.call("resources/read", ["uri": "test://9"])
        #expect(unknown.code == -32002)
        #expect(unknown.last["error"]?["data"]?["uri"] == "test://9")
    }

    @Test("bad arguments are tool errors naming the field from 2025-11-25, -32602 before")
    func badArguments() async throws {
        let fixture = try Fixture()
        let latest = try await fixture.initialize(.v2025_11_25).call(
            "tools/call", ["name": "echo", "arguments": ["message": 7]])
        #expect(latest.result["isError"] == true)
        #expect(latest.result["content"]?[0]?["text"]?.string?.contains("message") == true)
        let older = try await fixture.initialize(.v2025_06_18).call(
            "tools/call", ["name": "echo", "arguments": ["message": 7]])
        #expect(older.code == -32602)
        #expect(older.last["error"]?["message"]?.string?.contains("message") == true)
    }

    @Test("lists, prompts, resources and completion")
    func features() async throws {
        let client = try await Fixture().initialize(.v2025_11_25)
        #expect(try await client.call("tools/list").result["tools"]?[0]?["name"] == "echo")
        #expect(try await client.call("prompts/list").result["prompts"]?[0]?["name"] == "greet")
        let prompt = try await client.call("prompts/get", ["name": "greet", "arguments": ["name": "Ann"]])
        #expect(prompt.result["messages"]?[0]?["content"]?["text"] == "Greet Ann")
        #expect(
            try await client.call("resources/read", ["uri": "test://1"]).result["contents"]?[0]?["text"] == "Body 1")
        let templates = try await client.call("resources/templates/list")
        #expect(templates.result["resourceTemplates"]?[0]?["uriTemplate"] == "test://{id}")
        let completion = try await client.call(
            "completion/complete",
            ["ref": ["type": "ref/prompt", "name": "greet"], "argument": ["name": "name", "value": "a"]])
        #expect(completion.result["completion"]?["values"] == ["alice"])
        let nothing = try await client.call(
            "completion/complete",
            ["ref": ["type": "ref/prompt", "name": "none"], "argument": ["name": "x", "value": "a"]])
        #expect(nothing.code == -32602)
    }

    @Test("pages follow one another by opaque cursors")
    func pagination() async throws {
        let fixture = try Fixture(
            server: MCPServerConfiguration(pageSize: 2),
            tools: ["a", "b", "c", "d"].map { name in ScriptedTool(name) { _, _ in .text(name) } })
        let client = try await fixture.initialize(.v2025_11_25)
        for (method, key, name, expected) in [
            ("tools/list", "tools", "name", ["echo", "a", "b", "c", "d"]),
            ("resources/list", "resources", "uri", ["test://0", "test://1", "test://2"]),
        ] {
            var found: [String] = []
            var cursor: JSONValue?
            repeat {
                let reply = try await client.call(method, cursor.map { ["cursor": $0] } ?? [:])
                found += reply.result[key]?.array?.compactMap { $0[name]?.string } ?? []
                cursor = reply.result["nextCursor"]
            } while cursor != nil
            #expect(found == expected)
        }
    }

    @Test("tools are listed and called by those who may see them only")
    func visibility() async throws {
        let fixture = try Fixture(tools: [ScriptedTool("secret", visible: { $0 == alice }) { _, _ in .text("s") }])
        let mine = try await fixture.initialize(.v2025_11_25, principal: alice)
        let theirs = try await fixture.initialize(.v2025_11_25, principal: bob)
        #expect(try await mine.call("tools/list").result["tools"]?.array?.count == 2)
        #expect(try await theirs.call("tools/list").result["tools"]?.array?.count == 1)
        #expect(try await mine.call("tools/call", ["name": "secret"]).code == nil)
        #expect(try await theirs.call("tools/call", ["name": "secret"]).code == -32602)
    }

    @Test("a duplicate id in flight is refused; free again, it is served; 31 is not \"31\"")
    func duplicates() async throws {
        let gate = Gate()
        let started = OneShot<Void>()
        let fixture = try Fixture(tools: [
            ScriptedTool("waits") { _, _ in
                started.set(())
                try await gate.wait()
                return .text("done")
            }
        ])
        let client = try await fixture.initialize(.v2025_11_25)
        let first = Task { try await client.call("tools/call", ["name": "waits"], id: 31) }
        await started.value()
        let second = try await client.call("ping", id: 31)
        #expect(second.code == -32600)
        #expect(try await client.call("ping", id: "31").result == [:])
        gate.open()
        #expect(try await first.value.result["content"]?[0]?["text"] == "done")
        #expect(try await client.call("ping", id: 31).result == [:])
    }

    @Test("notifications/cancelled cancels the call, which answers -32800")
    func cancellation() async throws {
        let gate = Gate()
        let started = OneShot<Void>()
        let fixture = try Fixture(tools: [
            ScriptedTool("waits") { _, _ in
                started.set(())
                try await gate.wait()
                return .text("done")
            }
        ])
        let client = try await fixture.initialize(.v2025_11_25)
        let call = Task { try await client.call("tools/call", ["name": "waits"], id: 5) }
        await started.value()
        #expect(await client.notify("notifications/cancelled", ["requestId": 99]).status == 202)
        #expect(await client.notify("notifications/cancelled", ["requestId": 5]).status == 202)
        #expect(try await call.value.code == -32800)
    }

    @Test("batches are received in 2025-03-26 and refused from 2025-06-18")
    func batches() async throws {
        let fixture = try Fixture()
        let client = try await fixture.initialize(.v2025_03_26)
        let batch: JSONValue = [
            ["jsonrpc": "2.0", "id": 1, "method": "ping"],
            ["jsonrpc": "2.0", "method": "notifications/initialized"],
            [
                "jsonrpc": "2.0", "id": 2, "method": "tools/call",
                "params": ["name": "echo", "arguments": ["message": "hi"]],
            ],
            ["jsonrpc": "2.0", "id": 3, "method": "initialize"], 7,
        ]
        let reply = try await Reply(await fixture.post(batch, headers: client.headers))
        #expect(reply.status == 200)
        let answers = reply.last.array ?? []
        #expect(answers.count == 4)
        #expect(Set(answers.compactMap { $0["id"]?.int }) == [1, 2, 3])
        #expect(answers.contains { $0["id"] == 3 && $0["error"]?["code"] == -32600 })
        #expect(answers.contains { $0["id"] == nil && $0["error"]?["code"] == -32600 })
        let silent = try await Reply(
            await fixture.post(
                [["jsonrpc": "2.0", "method": "notifications/initialized"]], headers: client.headers))
        #expect(silent.status == 202)
        #expect(await fixture.post([], headers: client.headers).status == 400)
        let later = try await fixture.initialize(.v2025_06_18)
        #expect(await fixture.post(batch, headers: later.headers).status == 400)
        #expect(await fixture.post(batch).status == 400)
    }

    @Test("log messages follow logging/setLevel")
    func logLevel() async throws {
        let fixture = try Fixture(tools: [
            ScriptedTool("talks") { _, context in
                await context.log(.debug, data: "detail")
                await context.log(.info, data: "news")
                return .text("done")
            }
        ])
        let client = try await fixture.initialize(.v2025_11_25)
        #expect(try await client.call("tools/call", ["name": "talks"]).messages.count == 2)
        _ = try await client.call("logging/setLevel", ["level": "error"])
        #expect(try await client.call("tools/call", ["name": "talks"]).messages.count == 1)
        _ = try await client.call("logging/setLevel", ["level": "debug"])
        #expect(try await client.call("tools/call", ["name": "talks"]).messages.count == 3)
    }

    @Test("server and client ask each other on the stream of the call")
    func questions() async throws {
        let fixture = try Fixture(tools: [
            ScriptedTool("asks") { _, context in
                let answer = try await context.sample(
                    CreateMessageParameters(
                        messages: [SamplingMessage(role: .user, content: [.text("2+2?")])], maxTokens: 10))
                return .text("It is \(answer.text)")
            }
        ])
        let client = try await fixture.initialize(.v2025_11_25)
        let stream = try StreamClient(await client.start("tools/call", ["name": "asks"]))
        let question = try #require(try await stream.message())
        try SchemaCheck.check(question, answering: "tools/call", .v2025_11_25)
        #expect(question["method"] == "sampling/createMessage")
        let id = try #require(question["id"].flatMap { RequestID($0) })
        #expect(await client.respond("unknown", [:]).status == 202)
        let response = await client.respond(
            id, ["role": "assistant", "content": ["type": "text", "text": "4"], "model": "m"])
        #expect(response.status == 202)
        #expect(try await stream.message()?["result"]?["content"]?[0]?["text"] == "It is 4")

        let mute = try await fixture.initialize(.v2025_11_25, capabilities: [:])
        let refused = try await mute.call("tools/call", ["name": "asks"])
        #expect(refused.result["isError"] == true)
        #expect(!refused.isStream)
    }
}
