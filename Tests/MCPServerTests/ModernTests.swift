import Foundation
import JSON
import MCP
import Synchronization
import TestSupport
import Testing

@testable import MCPServer

@Suite("2026-07-28 over Streamable HTTP")
struct ModernTests {
    @Test("a call is answered as JSON, with resultType, serverInfo, structured content and the same as text")
    func plainCall() async throws {
        let reply = try await Fixture().modern("tools/call", ["name": "echo", "arguments": ["message": "hi"]])
        #expect(reply.status == 200)
        #expect(!reply.isStream)
        #expect(reply.result["resultType"] == "complete")
        #expect(reply.result["structuredContent"] == ["Echo": "hi"])
        #expect(reply.result["content"]?[0]?["text"] == #"{"Echo":"hi"}"#)
        #expect(reply.result["_meta"]?[MCPMeta.serverInfo]?["name"] == "fixture")
        #expect(!reply.headers.contains { $0.0 == "Mcp-Session-Id" })
    }

    @Test("discovery names versions, capabilities and instructions")
    func discovery() async throws {
        let reply = try await Fixture().modern("server/discover")
        #expect(reply.result["supportedVersions"]?.array?.contains("2026-07-28") == true)
        #expect(reply.result["capabilities"]?["tools"] != nil)
        #expect(reply.result["capabilities"]?["completions"] != nil)
        #expect(reply.result["instructions"] == "Say hello.")
        #expect(reply.result["ttlMs"]?.int == 60_000)
        #expect(reply.result["cacheScope"] == "private")
    }

    @Test("a session header is ignored and none is minted")
    func sessionHeader() async throws {
        let fixture = try Fixture()
        let reply = try await fixture.modern("tools/list", headers: ["Mcp-Session-Id": "nonsense"])
        #expect(reply.status == 200)
        #expect(fixture.http.sessionCount == 0)
    }

    @Test(
        "required metadata that is missing is -32602 with 400",
        arguments: [MCPMeta.protocolVersion, MCPMeta.clientCapabilities])
    func missingMetadata(key: String) async throws {
        var body = Fixture.modernBody("tools/list").object ?? [:]
        var params = body["params"]?.object ?? [:]
        var meta = params["_meta"]?.object ?? [:]
        meta.removeValue(forKey: key)
        params["_meta"] = .object(meta)
        body["params"] = .object(params)
        let fixture = try Fixture()
        let reply = try await Reply(
            await fixture.post(.object(body), headers: Fixture.modernHeaders("tools/list")))
        #expect(reply.status == 400)
        #expect(reply.code == -32602)
        #expect(reply.last["id"] == 1)
    }

    @Test("a modern version header without metadata is a modern request")
    func headerOnly() async throws {
        let body = JSONRPCRequest(id: "x", method: "tools/list").json
        let fixture = try Fixture()
        let reply = try await Reply(await fixture.post(body, headers: Fixture.modernHeaders("tools/list")))
        #expect(reply.status == 400)
        #expect(reply.code == -32602)
        let later = try await Reply(await fixture.post(body, headers: ["MCP-Protocol-Version": "2031-01-01"]))
        #expect(later.status == 400)
        #expect(later.code == -32022)
        #expect(later.last["error"]?["data"]?["requested"] == "2031-01-01")
    }

    @Test(
        "a header that is missing or not as the body is -32020 with 400",
        arguments: [
            ("MCP-Protocol-Version", nil), ("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Method", nil),
            ("Mcp-Method", "tools/list"), ("Mcp-Method", "TOOLS/CALL"), ("Mcp-Name", nil), ("Mcp-Name", "other"),
            ("Mcp-Name", "=?base64?###?="), ("Mcp-Name", "ech\u{F6}"),
        ] as [(String, String?)])
    func headerMismatch(name: String, value: String?) async throws {
        let params: JSONObject = ["name": "echo", "arguments": ["message": "hi"]]
        var headers = Fixture.modernHeaders("tools/call", params)
        headers[name] = value
        let fixture = try Fixture()
        let reply = try await Reply(
            await fixture.post(Fixture.modernBody("tools/call", params), headers: headers))
        #expect(reply.status == 400)
        #expect(reply.code == -32020)
    }

    @Test("header names ignore case, values may be wrapped in Base64 and padded")
    func headerForms() async throws {
        let params: JSONObject = ["name": "echo", "arguments": ["message": "hi"]]
        let headers: MCPHTTPHeaders = [
            "mcp-protocol-version": " 2026-07-28\t", "MCP-METHOD": "tools/call", "mcp-NAME": "=?base64?ZWNobw==?=",
        ]
        let fixture = try Fixture()
        let reply = try await Reply(
            await fixture.post(Fixture.modernBody("tools/call", params), headers: headers))
        #expect(reply.status == 200)
    }

    @Test("a version that is not implemented is -32022 with what is")
    func unsupportedVersion() async throws {
        let reply = try await Fixture().modern(
            "tools/list", meta: [MCPMeta.protocolVersion: "1900-01-01"],
            headers: ["MCP-Protocol-Version": "1900-01-01"])
        #expect(reply.status == 400)
        #expect(reply.code == -32022)
        #expect(reply.last["error"]?["data"]?["requested"] == "1900-01-01")
        #expect(reply.last["error"]?["data"]?["supported"]?.array?.contains("2026-07-28") == true)
    }

    @Test(
        "methods of the other era and unknown ones are 404 with -32601",
        arguments: ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "nope"])
    func unknownMethod(method: String) async throws {
        let reply = try await Fixture().modern(method)
        #expect(reply.status == 404)
        #expect(reply.code == -32601)
        #expect(reply.last["id"] == 1)
    }

    @Test("an unknown tool is -32602, a failing one a result, a thrown error stays inside")
    func toolFailures() async throws {
        let fixture = try Fixture(tools: [
            ScriptedTool("fails") { _, _ in throw ToolError("No such thing", status: 404) },
            ScriptedTool("crashes") { _, _ in throw TestFailure("secret") },
        ])
        #expect(try await fixture.modern("tools/call", ["name": "none"]).code == -32602)
        let failed = try await fixture.modern("tools/call", ["name": "fails"])
        #expect(failed.result["isError"] == true)
        #expect(failed.result["content"]?[0]?["text"] == "No such thing")
        #expect(failed.result["_meta"]?[MCPMeta.status] == 404)
        let crashed = try await fixture.modern("tools/call", ["name": "crashes"])
        #expect(crashed.result["content"]?[0]?["text"] == "Internal error")
    }

    @Test("an unknown resource is -32602 with its URI")
    func unknownResource() async throws {
        let reply = try await Fixture().modern("resources/read", ["uri": "test://99"])
        #expect(reply.code == -32602)
        #expect(reply.last["error"]?["data"]?["uri"] == "test://99")
    }

    @Test(
        "cacheable results carry their hints, others do not",
        arguments: [
            ("tools/list", [:]), ("prompts/list", [:]), ("resources/list", [:]), ("resources/templates/list", [:]),
            ("resources/read", ["uri": "test://1"]),
        ] as [(String, JSONObject)])
    func cacheHints(method: String, params: JSONObject) async throws {
        let reply = try await Fixture().modern(method, params)
        #expect(reply.result["ttlMs"]?.int != nil)
        #expect(reply.result["cacheScope"]?.string != nil)
    }

    @Test("a notification is accepted with 202 and no body, whatever its headers")
    func notification() async throws {
        let body = JSONRPCNotification(
            method: "notifications/whatever", params: ["_meta": [MCPMeta.protocolVersion: "2026-07-28"]]
        ).json
        let reply = try await Reply(await Fixture().post(body))
        #expect(reply.status == 202)
        #expect(reply.body.isEmpty)
    }

    @Test("progress turns the answer into a stream that ends with it")
    func progress() async throws {
        let fixture = try Fixture(tools: [
            ScriptedTool("steps") { _, context in
                await context.progress(1, total: 2, message: "one")
                await context.progress(1)
                await context.progress(2, total: 2)
                return .text("done")
            }
        ])
        let reply = try await fixture.modern("tools/call", ["name": "steps"], meta: ["progressToken": "t"])
        #expect(reply.isStream)
        #expect(reply.headers.contains { $0 == ("X-Accel-Buffering", "no") })
        #expect(reply.messages.count == 3)
        #expect(reply.messages[0]["params"]?["progressToken"] == "t")
        #expect(reply.events.allSatisfy { $0.id == nil })
        #expect(reply.result["content"]?[0]?["text"] == "done")
        let silent = try await fixture.modern("tools/call", ["name": "steps"])
        #expect(!silent.isStream)
        let plain = try await fixture.modern(
            "tools/call", ["name": "steps"], meta: ["progressToken": "t"], headers: ["Accept": "application/json"])
        #expect(!plain.isStream)
        #expect(plain.messages.count == 1)
    }

    @Test("log messages come only when asked for, and from the level asked for")
    func logging() async throws {
        let fixture = try Fixture(tools: [
            ScriptedTool("talks") { _, context in
                await context.log(.debug, data: "detail")
                await context.log(.warning, logger: "test", data: ["a": 1])
                return .text("done")
            }
        ])
        #expect(try await fixture.modern("tools/call", ["name": "talks"]).messages.count == 1)
        let reply = try await fixture.modern("tools/call", ["name": "talks"], meta: [MCPMeta.logLevel: "info"])
        #expect(reply.messages.count == 2)
        #expect(reply.messages[0]["params"]?["level"] == "warning")
        let wrong = try await fixture.modern("tools/call", ["name": "talks"], meta: [MCPMeta.logLevel: "loud"])
        #expect(wrong.status == 400)
        #expect(wrong.code == -32602)
    }

    @Test("leaving the stream cancels the call")
    func leavingCancels() async throws {
        let gate = Gate()
        let cancelled = OneShot<Bool>()
        let fixture = try Fixture(tools: [
            ScriptedTool("waits") { _, context in
                await context.progress(1)
                do { try await gate.wait() } catch {
                    cancelled.set(true)
                    throw error
                }
                cancelled.set(false)
                return .text("done")
            }
        ])
        let params: JSONObject = ["name": "waits"]
        let response = await fixture.post(
            Fixture.modernBody("tools/call", params, meta: ["progressToken": 1]),
            headers: Fixture.modernHeaders("tools/call", params))
        let client = try StreamClient(response)
        #expect(try await client.message()?["method"] == "notifications/progress")
        client.leave()
        #expect(await cancelled.value())
        #expect(try await client.message() == nil)
    }

    @Test("a client that leaves before the response begins cancels the call too")
    func leavingEarlyCancels() async throws {
        let gate = Gate()
        let started = OneShot<Void>()
        let cancelled = OneShot<Bool>()
        let fixture = try Fixture(tools: [
            ScriptedTool("waits") { _, _ in
                started.set(())
                do { try await gate.wait() } catch {
                    cancelled.set(true)
                    throw error
                }
                return .text("done")
            }
        ])
        let request = Task { try await fixture.modern("tools/call", ["name": "waits"]) }
        await started.value()
        request.cancel()
        #expect(await cancelled.value())
        _ = try? await request.value
    }

    @Test("a long call becomes a stream, kept alive by comments")
    func longCall() async throws {
        let gate = Gate()
        let started = OneShot<Void>()
        let fixture = try Fixture(tools: [
            ScriptedTool("waits") { _, _ in
                started.set(())
                try await gate.wait()
                return .text("done")
            }
        ])
        let request = Task { try await fixture.modern("tools/call", ["name": "waits"]) }
        await started.value()
        fixture.http.tick(now: .now + .seconds(60))
        gate.open()
        let reply = try await request.value
        #expect(reply.isStream)
        #expect(reply.result["content"]?[0]?["text"] == "done")
        #expect(fixture.http.exchanges.count == 0)
    }

    @Test("clients may share request ids")
    func sharedIDs() async throws {
        let fixture = try Fixture()
        let texts = try await withThrowingTaskGroup(of: (String, String?).self) { group in
            for number in 0..<50 {
                group.addTask {
                    let reply = try await fixture.modern(
                        "tools/call", ["name": "echo", "arguments": ["message": .string("\(number)")]], id: 7)
                    return ("\(number)", reply.result["structuredContent"]?["Echo"]?.string)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(texts.allSatisfy { $0.0 == $0.1 })
    }

    @Test("GET and DELETE are not part of the revision", arguments: ["GET", "DELETE"])
    func otherMethods(method: String) async throws {
        let fixture = try Fixture()
        let response = await fixture.http.handle(
            MCPHTTPRequest(method: method, headers: ["MCP-Protocol-Version": "2026-07-28", "Accept": "*/*"]))
        #expect(response.status == 405)
    }
}
