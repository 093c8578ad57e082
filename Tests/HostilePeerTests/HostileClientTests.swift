import TestSupport
import Testing

extension HostilePeers {
    /// Clients that send mutated request lines, heads, bodies, messages and credentials to both processes.
    @Suite struct HostileClients {
        private static func request(_ line: String, _ headers: [String] = [], _ body: String = "") -> [UInt8] {
            let length = body.isEmpty ? [] : ["Content-Length: \(body.utf8.count)", "Content-Type: application/json"]
            let head = [line + " HTTP/1.1", "Host: 127.0.0.1"] + length + headers
            return Array((head.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
        }

        private static let accept = "Accept: application/json, text/event-stream"
        private static let modern = [
            "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo", accept,
        ]
        private static let call =
            #"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"message":"x"},"#
            + #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#
        private static let initialize =
            #"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"#
            + #""clientInfo":{"name":"c","version":"1"}}}"#
        private static let credentials = [
            "Cookie: a=b; sessionid=0123456789abcdef", "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.",
            "X-Forwarded-For: 1.2.3.4, ::1", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ]

        /// Requests as a good client sends them.
        private static let requests: [[UInt8]] = [
            request("POST /api/chat/", credentials, #"{"type":"search_projects","query":"urgent"}"#),
            request("POST /api/chat/", ["Accept: text/event-stream"], #"{"type":"bad"}"#),
            request("POST /mcp/all/", modern, call), request("POST /mcp/", modern, call),
            request("POST /mcp/all/", [accept], initialize), request("POST /mcp/", [accept], initialize),
            request("POST /mcp/all/", [accept], "[\(initialize),\(call)]"),
            request("GET /mcp/", ["Accept: text/event-stream", "Mcp-Session-Id: x", "Last-Event-ID: 1-1"]),
            request("DELETE /mcp/all/", ["Mcp-Session-Id: \(String(repeating: "A", count: 200))"]),
            request("POST /mcp/echo", credentials, #"{"message":"x"}"#),
            request("POST /mcp/", [], #"{"command":"search_any","arguments":{"model":"projects","query":"x"}}"#),
            request("POST /mcp/search_projects", [], #"{"query":"x","limit":5,"cursor":"abc"}"#),
            request("POST /auth/login", [], #"{"username":"alice","password":"x"}"#),
            request("GET /", ["Accept-Encoding: gzip", "If-None-Match: \"x\""]), request("GET /openapi.json?a=b%20c"),
            request("OPTIONS /api/chat/", ["Origin: http://127.0.0.1", "Access-Control-Request-Method: POST"]),
            Array(
                "POST /mcp/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"me\r\n3;a=b\r\n\"}x\r\n0\r\nT: r\r\n\r\n"
                    .utf8),
        ]

        @Test func mutatedRequestsHarmNobody() async throws {
            try await HostileStack.with(upstream: { _ in .hang }) { stack in
                let ports = [stack.gateway.port, stack.toolServer.port]
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for lane in 0..<8 {
                        group.addTask {
                            var mutator = Mutator(seed: HostilePeers.seed &+ UInt64(lane))
                            for run in 0..<HostilePeers.runs {
                                let client = try RawSocketClient(port: ports[run % 2], patience: 1)
                                var bytes = mutator.mutate(mutator.pick(Self.requests))
                                // Sometimes a second one behind it, on the same connection.
                                if mutator.below(4) == 0 { bytes += mutator.pick(Self.requests) }
                                await client.send(bytes: bytes)
                                // Some leave at once, some wait for whatever comes.
                                guard mutator.below(3) > 0 else { continue }
                                client.finishSending()
                                if mutator.below(4) == 0 { _ = await client.receive { !$0.isEmpty } }
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }

        /// Texts of a megabyte of combining marks, which take an hour to be compared as Swift compares strings.
        @Test func textsOfCombiningMarksHarmNobody() async throws {
            let marks = "a" + String(repeating: "\u{0301}\u{0316}", count: 250_000)
            let escaped = "a" + String(repeating: "\\u0301\\u0316", count: 100_000)
            try await HostileStack.with { stack in
                for text in [marks, escaped] {
                    for (path, body) in [
                        ("/mcp/", #"{"jsonrpc":"2.0","id":1,"method":"X"}"#),
                        ("/mcp/", #"{"jsonrpc":"2.0","id":"X","method":"tools/call","params":{"name":"X"}}"#),
                        ("/mcp/", #"{"jsonrpc":"2.0","id":"X","method":"initialize","params":{}}"#),
                        ("/mcp/", #"{"command":"X","arguments":{"X":"X"}}"#), ("/mcp/search_any", #"{"model":"X"}"#),
                        ("/mcp/search_any", #"{"model":"projects","query":"X"}"#), ("/mcp/echo", #"{"X":1}"#),
                    ] {
                        let body = Array(body.replacing("X", with: text).utf8)
                        _ = try await stack.toolServer.client.send("POST", path, body: body)
                        let endpoint = "/mcp/all/" + path.dropFirst("/mcp/".count)
                        _ = try await stack.gateway.client.send("POST", endpoint, body: body)
                        _ = try await stack.gateway.client.send("POST", "/api/chat/", body: body)
                    }
                }
            }
        }

        @Test func largeBodiesOfManyClientsStayWithinTheBudget() async throws {
            try await HostileStack.with { stack in
                let services = [
                    (stack.gateway.port, "/api/chat/", 2_600_000), (stack.toolServer.port, "/mcp/echo", 4_100_000),
                ]
                var held: [RawSocketClient] = []
                for (port, path, size) in services {
                    // Together more than the budget of 64 MiB; each is complete but for a byte.
                    for _ in 0..<((72 << 20) / size) {
                        let client = try RawSocketClient(port: port, patience: 2)
                        let head = "POST \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: \(size)\r\n\r\n"
                        await client.send(bytes: Array(head.utf8) + [UInt8](repeating: 0x20, count: size - 1))
                        held.append(client)
                    }
                }
                for service in [stack.gateway, stack.toolServer] {
                    let used = try await service.admin.get("/status/memory").json
                    #expect(used["refusals"]?.int ?? 0 > 0, "\(used.text)")
                }
                withExtendedLifetime(held) {}
            }
        }
    }
}
