import HTTPServer
import JSON
import Logging
import MCP
import MCPServer
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import MCPServerHTTP

/// Something that happens once and can be waited for.
private final class Signal: Sendable {
    private let stream: AsyncStream<Bool>
    private let continuation: AsyncStream<Bool>.Continuation
    init() { (stream, continuation) = AsyncStream.makeStream() }
    func fire(_ value: Bool = true) {
        continuation.yield(value)
        continuation.finish()
    }
    /// To be called once; nil when its task is cancelled.
    func wait() async -> Bool? {
        for await value in stream { return value }
        return nil
    }
}

private struct Steps: Tool {
    let go = Signal()
    let outcome = Signal()
    var definition: ToolDefinition { ToolDefinition(name: "steps", description: "Takes steps.") }

    func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        await context.progress(1)
        let released = await go.wait() != nil
        outcome.fire(released && !Task.isCancelled)
        try Task.checkCancellation()
        return .text("done")
    }
}

/// An endpoint on a real socket.
private struct Running {
    let steps = Steps()
    let streamable: StreamableHTTP
    let http: HTTPServer
    let port: Int

    init() async throws {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let server = MCPServer(info: Implementation(name: "socket", version: "1"), logger: logger)
        try server.register(tool: steps)
        let streamable = StreamableHTTP(server: server)
        self.streamable = streamable
        let endpoint = MCPHTTPEndpoint(streamable: streamable) { head in
            switch head.headers.first(name: "Authorization") {
            case nil: .anonymous
            case "Bearer good": .principal(Principal(id: "1", name: "alice"))
            default: .rejected(status: 401, wwwAuthenticate: "Bearer error=\"invalid_token\"", message: "Bad token")
            }
        }
        http = HTTPServer(
            configuration: HTTPServerConfiguration(addresses: [.hostPort("127.0.0.1", 0)]),
            group: MultiThreadedEventLoopGroup.singleton, logger: logger
        ) { _ in endpoint.handler() }
        port = try #require(try await http.start().first?.port)
    }

    func stop() async { await http.drain(within: .seconds(1)) }

    func post(_ body: JSONValue, _ headers: [String] = []) async throws -> RawSocketClient {
        let text = body.text
        let head =
            [
                "POST /mcp HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json",
                "Accept: application/json, text/event-stream", "Content-Length: \(text.utf8.count)",
            ] + headers
        let client = try RawSocketClient(port: port)
        await client.send(head.joined(separator: "\r\n") + "\r\n\r\n" + text)
        return client
    }

    static let modern = ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: steps"]

    static func call(_ modern: Bool) -> JSONValue {
        var meta: JSONObject = ["progressToken": "t"]
        if modern {
            meta[MCPMeta.protocolVersion] = "2026-07-28"
            meta[MCPMeta.clientCapabilities] = [:]
        }
        return JSONRPCRequest(id: 1, method: "tools/call", params: ["name": "steps", "_meta": .object(meta)]).json
    }
}

@Suite("MCP on sockets")
struct MCPHTTPEndpointTests {
    @Test("messages of a call arrive while it runs, then its result, and the connection stays usable")
    func streaming() async throws {
        let running = try await Running()
        let client = try await running.post(Running.call(true), Running.modern)
        let first = await client.receive { $0.contains("notifications/progress") }
        #expect(first.hasPrefix("HTTP/1.1 200"))
        #expect(first.contains("text/event-stream"))
        #expect(first.contains("X-Accel-Buffering: no"))
        #expect(!first.contains("done"))
        running.steps.go.fire()
        let rest = await client.receive { $0.contains("0\r\n\r\n") }
        #expect(rest.contains("done"))
        await client.send("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(await client.receive { $0.contains("Not found") }.hasPrefix("HTTP/1.1 404"))
        await running.stop()
    }

    @Test("a client that leaves cancels its 2026-07-28 call")
    func modernDisconnect() async throws {
        let running = try await Running()
        var client: RawSocketClient? = try await running.post(Running.call(true), Running.modern)
        _ = await client?.receive { $0.contains("notifications/progress") }
        client = nil
        #expect(await running.steps.outcome.wait() == false)
        await running.stop()
    }

    @Test("a client that leaves does not cancel its legacy call, and fetches the rest later")
    func legacyDisconnect() async throws {
        let running = try await Running()
        let session = try #require(running.streamable.openSession(principal: nil))
        var client: RawSocketClient? = try await running.post(
            Running.call(false), ["Mcp-Session-Id: \(session)", "MCP-Protocol-Version: 2025-11-25"])
        let first = await client?.receive { $0.contains("notifications/progress") }
        #expect(first?.contains("id: 1-2") == true)
        client = nil
        running.steps.go.fire()
        #expect(await running.steps.outcome.wait() == true)
        let second = try RawSocketClient(port: running.port)
        await second.send(
            "GET /mcp HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nMcp-Session-Id: \(session)\r\n"
                + "Last-Event-ID: 1-2\r\n\r\n")
        let rest = await second.receive { $0.contains("0\r\n\r\n") }
        #expect(rest.contains("done"))
        #expect(!rest.contains("notifications/progress"))
        await running.stop()
    }

    @Test("the head of a quiet GET stream is sent at once")
    func quietStream() async throws {
        let running = try await Running()
        let session = try #require(running.streamable.openSession(version: .v2025_06_18, principal: nil))
        let client = try RawSocketClient(port: running.port)
        await client.send(
            "GET /mcp/ HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nMcp-Session-Id: \(session)\r\n\r\n")
        #expect(await client.receive { $0.contains("\r\n\r\n") }.hasPrefix("HTTP/1.1 200"))
        await running.stop()
    }

    @Test("a body over the limit is 413")
    func largeBody() async throws {
        let running = try await Running()
        let client = try RawSocketClient(port: running.port)
        await client.send(
            "POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: \(MCPHTTPEndpoint.defaultBodyLimit + 1)\r\n\r\n")
        #expect(await client.receive { $0.contains("\r\n") }.hasPrefix("HTTP/1.1 413"))
        await running.stop()
    }

    @Test("refused credentials answer with their challenge; a session belongs to its user")
    func authentication() async throws {
        let running = try await Running()
        let ping = JSONRPCRequest(id: 1, method: "ping").json
        let refused = try await running.post(ping, ["Authorization: Bearer bad"])
        let answer = await refused.receive { $0.contains("Bad token") }
        #expect(answer.hasPrefix("HTTP/1.1 401"))
        #expect(answer.contains("WWW-Authenticate: Bearer error=\"invalid_token\""))
        let session = try #require(running.streamable.openSession(principal: Principal(id: "1", name: "alice")))
        let mine = try await running.post(ping, ["Authorization: Bearer good", "Mcp-Session-Id: \(session)"])
        #expect(await mine.receive { $0.contains("result") }.hasPrefix("HTTP/1.1 200"))
        let stolen = try await running.post(ping, ["Mcp-Session-Id: \(session)"])
        #expect(await stolen.receive { $0.contains("error") }.hasPrefix("HTTP/1.1 404"))
        await running.stop()
    }

    @Test("a whole call over one connection, many times")
    func keepAlive() async throws {
        let running = try await Running()
        let session = try #require(running.streamable.openSession(principal: nil))
        let body = JSONRPCRequest(id: 1, method: "ping").json.text
        let client = try RawSocketClient(port: running.port)
        for _ in 0..<50 {
            await client.send(
                "POST /mcp HTTP/1.1\r\nHost: x\r\nMcp-Session-Id: \(session)\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                    + body)
            let answer = await client.receive { $0.hasSuffix("\"result\":{}}") }
            #expect(answer.hasPrefix("HTTP/1.1 200"))
        }
        await running.stop()
    }
}
