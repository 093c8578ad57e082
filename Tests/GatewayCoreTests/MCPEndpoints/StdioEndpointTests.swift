import CurlTransport
import Foundation
import JSON
import Logging
import MCP
import MCPAggregator
import MCPClient
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import GatewayCore

/// Calls of a stdio server from both fronts: its bounds are those of every upstream, and who leaves cancels the call.
@Suite struct StdioEndpointTests {
    /// A server whose tool `hang` never answers. It notes each call and each cancellation in a file of its own.
    private static let script = #"""
        answer() { printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$1"; }
        number=0
        note() { number=$((number + 1)); : > "$NOTES/$1.$number"; }
        while IFS= read -r line; do
          id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
          case "$line" in
            *'"server/discover"'*) answer '"error":{"code":-32601,"message":"Method not found"}' ;;
            *'"initialize"'*) answer '"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"hanging","version":"1"},"instructions":"Wait."}' ;;
            *'"tools/list"'*) answer '"result":{"tools":[{"name":"hang","inputSchema":{"type":"object"}}]}' ;;
            *'"notifications/cancelled"'*) note cancelled ;;
            *'"tools/call"'*) note called ;;
            *) [ -z "$id" ] || answer '"result":{}' ;;
          esac
        done
        """#

    private func with(queue: Int, _ body: (TestGateway, Notes) async throws -> Void) async throws {
        let notes = Notes(directory: try TemporaryDirectory("notes"))
        var document = try #require(TestConfiguration.document(upstream: "http://unused").object)
        document["upstreams"] = [
            "program": [
                "command": "sh", "args": ["-c", .string(Self.script)],
                "env": ["NOTES": .string(notes.directory.url.path)], "concurrency": 1,
                "queue": .number(JSONNumber(queue)), "probeInterval": "60s",
            ]
        ]
        document["chat"] = [
            "types": ["wait": ["upstream": "program", "tool": "hang", "timeout": "60s"]]
        ]
        document["mcp"] = ["endpoints": ["/mcp/": ["upstreams": ["program": [:]]]]]
        let read = JSONValue.object(document)
        try await TestGateway.start { try TestConfiguration.read(read) }.stopped { test in try await body(test, notes) }
    }

    /// Files that the server has made.
    private struct Notes: Sendable {
        let directory: TemporaryDirectory

        func count(_ kind: String) -> Int {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.url.path)) ?? []
            return names.count { $0.hasPrefix(kind + ".") }
        }
    }

    /// A server whose list of tools has no end: each page has a tool of 100 kB and another cursor.
    private static let endless = #"""
        text=$(head -c 100000 /dev/zero | tr '\0' x)
        number=0
        while IFS= read -r line; do
          id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
          case "$line" in
            *'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}\n' "$id" ;;
            *'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"endless","version":"1"}}}\n' "$id" ;;
            *'"tools/list"'*) number=$((number + 1)); printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"t%s","description":"%s","inputSchema":{"type":"object"}}],"nextCursor":"%s"}}\n' "$id" "$number" "$text" "$number" ;;
          esac
        done
        """#

    @Test func aListWithoutEndIsCut() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let server = StdioUpstream(
            name: "endless", .init(command: "sh", arguments: ["-c", Self.endless]),
            clientInfo: Implementation(name: "test", version: "1"), logger: Logger(label: "test"))
        let result = await withCheckedContinuation { continuation in
            loop.execute {
                StdioEndpoint(server, eventLoop: loop).check(
                    .anonymous, deadline: .now() + .seconds(60) * Sanitizer.slowness
                ) {
                    continuation.resume(returning: $0)
                }
            }
        }
        await server.close()
        let catalog = try result.get()
        #expect(catalog.entries.count == 83)
        #expect(catalog.warnings.map(\.kind) == [.cut])
    }

    /// A server whose tool has a result of two megabytes.
    private static let long = #"""
        text=$(head -c 2000000 /dev/zero | tr '\0' x)
        while IFS= read -r line; do
          id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
          case "$line" in
            *'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}\n' "$id" ;;
            *'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"long","version":"1"}}}\n' "$id" ;;
            *'"tools/list"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"long","inputSchema":{"type":"object"}}]}}\n' "$id" ;;
            *'"tools/call"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s"}]}}\n' "$id" "$text" ;;
          esac
        done
        """#

    @Test(arguments: [1, 64]) func anAnswerDrawsFromTheBudget(_ mebibytes: Int) async throws {
        var document = try #require(TestConfiguration.document(upstream: "http://unused").object)
        document["upstreams"] = [
            "program": ["command": "sh", "args": ["-c", .string(Self.long)], "probeInterval": "60s"]
        ]
        document["chat"] = ["types": ["long": ["upstream": "program", "tool": "long", "timeout": "60s"]]]
        document["limits"] = ["memory": .string("\(mebibytes)MiB")]
        let read = JSONValue.object(document)
        try await TestGateway.start { try TestConfiguration.read(read) }.stopped { test in
            let headers: CurlHeaders = [("Accept", "application/problem+json")]
            let response = try await test.chat(#"{"type": "long"}"#, headers: headers)
            if mebibytes == 1 {
                #expect(response.status == 503)
                #expect(response.json?["label"] == "overloaded")
                #expect(response.json?["executed"] == "yes")
            } else {
                #expect(response.status == 200)
                #expect(response.body.readableBytes > 2_000_000)
                #expect(test.gateway.memory.statistics.peak >= 2_000_000)
            }
            #expect(await eventually { test.gateway.memory.statistics.used == 0 })
        }
    }

    @Test func bothFrontsShareItsBounds() async throws {
        try await with(queue: 0) { (test, notes) async throws in
            #expect(await eventually { (try? await test.toolNames()) == ["hang"] })
            // A call beside one of the gateway's own questions at start is refused too.
            let first = Task {
                while !Task.isCancelled, notes.count("called") == 0 { _ = try? await test.callTool("hang") }
            }
            #expect(await eventually { notes.count("called") == 1 })
            let second = try await test.mcp(MCPMethod.toolsCall, ["name": "hang", "arguments": [:]])
            #expect(second["code"] == -32603)
            #expect(second["data"] == ["upstream": "program", "label": "overloaded", "executed": "no"])
            let chat = try await test.chat(#"{"type": "wait"}"#)
            #expect(chat.status == 503)
            #expect(chat.headers.first(name: "Retry-After") != nil)
            #expect(notes.count("called") == 1)
            first.cancel()
            _ = await first.value
        }
    }

    @Test func whoLeavesCancelsTheCall() async throws {
        try await with(queue: 8) { (test, notes) async throws in
            #expect(await eventually { (try? await test.toolNames()) == ["hang"] })
            let chat = Task { try await test.chat(#"{"type": "wait"}"#) }
            #expect(await eventually { notes.count("called") == 1 })
            chat.cancel()
            #expect(await eventually { notes.count("cancelled") == 1 })
            _ = try? await chat.value
            // Its place is free again.
            let call = Task { try? await test.callTool("hang") }
            #expect(await eventually { notes.count("called") == 2 })
            call.cancel()
            #expect(await eventually { notes.count("cancelled") == 2 })
            _ = await call.value
        }
    }
}
