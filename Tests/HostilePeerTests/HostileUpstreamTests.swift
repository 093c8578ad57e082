import JSON
import NIOCore
import Synchronization
import TestSupport
import Testing

extension HostilePeers {
    /// Upstreams whose answers break every rule, behind the chat API, an MCP endpoint and the pass-through.
    @Suite struct HostileUpstreams {
        /// An MCP server of the era of `initialize`, each of whose answers a rule may replace.
        private final class Server: Sendable {
            typealias Rule = @Sendable (_ method: String, _ id: String, _ good: ScriptedResponse) -> ScriptedResponse?
            private let rule = Mutex<Rule>({ _, _, _ in nil })

            func use(_ rule: @escaping Rule) { self.rule.withLock { $0 = rule } }

            func answer(_ request: ScriptedRequest) -> ScriptedResponse {
                let message = ScriptedMCPMessage(request)
                let method = message?.method ?? request.method
                let good = good(request, message, method)
                let rule = rule.withLock { $0 }
                return rule(method, message?.id?.text ?? "null", good) ?? good
            }

            private func good(
                _ request: ScriptedRequest, _ message: ScriptedMCPMessage?, _ method: String
            ) -> ScriptedResponse {
                guard let message, let id = message.id else { return .empty(request.method == "GET" ? 405 : 202) }
                switch method {
                case "initialize": return message.opened()
                case "tools/list": return message.result(["tools": HostileUpstreams.tools, "nextCursor": .null])
                case "tools/call":
                    return message.result([
                        "content": [["type": "text", "text": "fine"]], "structuredContent": ["results": [1, 2, 3]],
                    ])
                case "ping": return message.result([:])
                default:
                    return .json(
                        #"{"jsonrpc":"2.0","id":\#(id.text),"error":{"code":-32601,"message":"no such method"}}"#)
                }
            }
        }

        private static let tools: JSONValue = [
            [
                "name": "read", "title": "Read", "description": "Reads.", "annotations": ["readOnlyHint": true],
                "inputSchema": [
                    "type": "object",
                    "properties": [
                        "a": ["type": "string", "pattern": "^(a|b)*[0-9]{1,20}$", "maxLength": 100],
                        "b": ["$ref": "#/$defs/n"], "c": ["enum": [1, "2", .null]],
                    ],
                    "$defs": ["n": ["type": ["integer", "null"], "minimum": -5, "multipleOf": 5]],
                ],
                "outputSchema": ["type": "object", "properties": ["results": ["type": "array"]]],
            ]
        ]

        private static let methods = [
            "server/discover", "initialize", "notifications/initialized", "tools/list", "tools/call", "ping", "GET",
        ]

        private static let upstreamLabels: Set<String> = [
            "upstream_invalid", "upstream_unreachable", "upstream_rejected", "upstream_failed", "upstream_timeout",
            "upstream_rate_limited", "unauthorized", "forbidden", "overloaded", "tool_error", "invalid_argument",
        ]

        /// Calls the tool through the chat API; returns the label of the failure, nil for a reply.
        private static func chat(_ stack: HostileStack) async throws -> String? {
            let response = try await stack.gateway.client.chat(
                ["type": "bad"], headers: [("Accept", "application/problem+json")])
            if response.status == 200 { return nil }
            #expect((400..<600).contains(response.status))
            return try #require(response.label, "\(response.status) \(response.text)")
        }

        /// Calls the tool through the MCP endpoint; returns the label of the failure, nil for a result.
        private static func endpoint(_ stack: HostileStack) async throws -> String? {
            let response = try await stack.gateway.client.post(
                "/mcp/all/",
                json: [
                    "jsonrpc": "2.0", "id": 1, "method": "tools/call",
                    "params": [
                        "name": "bad_read", "arguments": [:],
                        "_meta": [
                            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                            "io.modelcontextprotocol/clientCapabilities": [:],
                        ],
                    ],
                ],
                headers: [
                    ("Accept", "application/json"), ("MCP-Protocol-Version", "2026-07-28"),
                    ("Mcp-Method", "tools/call"),
                    ("Mcp-Name", "bad_read"),
                ])
            let message = try response.json
            if message["result"] != nil { return nil }
            // A list that cannot be read has no tools; the server's own errors come as they are.
            if let label = message["error"]?["data"]?["label"]?.string { return label }
            let code = try #require(message["error"]?["code"]?.int, "\(response.text)")
            return "\(code)"
        }

        /// Every wrong answer to a tool call, and a seeded number of wrong answers to all other methods: the calls fail
        /// with the label that says why, the upstream recovers, and the log stays bounded.
        @Test func wrongAnswersAreFailuresWithTheRightLabel() async throws {
            let server = Server()
            try await HostileStack.with(upstream: { server.answer($0) }) { stack in
                for wrong in WrongAnswer.all {
                    server.use { method, id, _ in method == "tools/call" ? wrong.response(id) : nil }
                    let chat = try await Self.chat(stack)
                    #expect(chat == wrong.label, "\(wrong.name)")
                    let endpoint = try await Self.endpoint(stack)
                    // An error of the server's own comes as it is.
                    #expect(endpoint == (wrong.name == "a result and an error" ? "1" : wrong.label), "\(wrong.name)")
                }
                var mutator = Mutator(seed: HostilePeers.seed)
                for _ in 0..<HostilePeers.runs / 4 {
                    let (wrong, broken) = (mutator.pick(WrongAnswer.all), mutator.pick(Self.methods))
                    server.use { method, id, _ in method == broken ? wrong.response(id) : nil }
                    if let label = try await Self.chat(stack) {
                        #expect(Self.upstreamLabels.contains(label), "\(broken): \(wrong.name): \(label)")
                    }
                    _ = try await Self.endpoint(stack)
                    _ = try? await stack.gateway.client.send("POST", "/mcp/", body: Array("{}".utf8))
                }
                server.use { _, _, _ in nil }
                #expect(try await eventually(within: .seconds(30)) { try await Self.chat(stack) == nil })
                let warnings = stack.gateway.process.logLines.filter {
                    ["warning", "error"].contains($0["level"]?.string ?? "") && $0.text.contains("\"bad\"")
                }
                #expect(warnings.count <= 60, "\(warnings.suffix(20).map(\.text).joined(separator: "\n"))")
            }
        }

        /// Mutations of everything that the server sends: status lines, heads, bodies, tools with their schemas, pages.
        @Test func mutatedAnswersHarmNobody() async throws {
            let server = Server()
            let mutator = Mutex(Mutator(seed: HostilePeers.seed))
            try await HostileStack.with(upstream: { server.answer($0) }) { stack in
                for run in 0..<HostilePeers.runs {
                    let broken = mutator.withLock { $0.pick(Self.methods) }
                    server.use { method, _, good in
                        guard method == broken else { return nil }
                        let bytes = Self.bytes(good)
                        return .rawBytes(mutator.withLock { $0.mutate(bytes) }, close: true)
                    }
                    if let label = try await Self.chat(stack) {
                        #expect(Self.upstreamLabels.contains(label), "\(run): \(broken): \(label)")
                    }
                    _ = try await Self.endpoint(stack)
                    // What is passed through may be anything, but the gateway answers or closes.
                    if run % 4 == 0 { _ = try? await stack.gateway.client.get("/mcp/") }
                }
                server.use { _, _, _ in nil }
                #expect(try await eventually(within: .seconds(30)) { try await Self.chat(stack) == nil })
            }
        }

        private static func bytes(_ response: ScriptedResponse) -> [UInt8] {
            guard case .whole(let status, let headers, let body) = response else { return [] }
            let lines =
                ["HTTP/1.1 \(status) OK", "Content-Length: \(body.readableBytes)"] + headers.map { "\($0): \($1)" }
            return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + Array(body.readableBytesView)
        }
    }
}
