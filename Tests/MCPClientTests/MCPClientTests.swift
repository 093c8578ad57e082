import CurlTransport
import JSON
import Logging
import MCP
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import MCPClient

/// The async driver.
@Suite(.timeLimit(.minutes(2 * Sanitizer.slowness))) struct MCPClientTests {
    func with(
        _ rules: FakeMCPServer.Rules, handlers: MCPClientHandlers = MCPClientHandlers(),
        signing: (@Sendable (inout CurlRequest) -> Void)? = nil,
        _ body: (FakeMCPServer, MCPClient) async throws -> Void
    ) async throws {
        let server = try await FakeMCPServer(rules)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let engine = CurlEngine(label: "test", configuration: CurlEngineConfiguration(), logger: logger)
        var configuration = MCPUpstreamConfiguration(name: "tools", url: server.url, trusted: true)
        configuration.connectTimeout = configuration.connectTimeout.underSanitizer
        configuration.signing = signing
        let upstream = MCPUpstream(
            configuration: configuration,
            clientInfo: Implementation(name: "test", version: "1"), capabilities: handlers.capabilities, logger: logger)
        let client = MCPClient(
            upstream: upstream, engine: engine, eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            handlers: handlers)
        do {
            try await body(server, client)
        } catch {
            server.http.stop()
            await engine.shutdown()
            throw error
        }
        server.http.stop()
        await engine.shutdown()
    }

    static func rules(_ change: (inout FakeMCPServer.Rules) -> Void) -> FakeMCPServer.Rules {
        var rules = FakeMCPServer.Rules()
        change(&rules)
        return rules
    }

    @Test(arguments: [false, true])
    func aServerIsDescribedListedAndCalled(_ modern: Bool) async throws {
        try await with(Self.rules { $0.modern = modern }) { _, client in
            let description = try await client.connect()
            #expect(description.version.era == (modern ? .modern : .legacy))
            #expect(description.serverInfo?.name == "fake")
            #expect(description.capabilities.tools != nil)
            #expect(try await client.listTools().map(\.name) == ["read", "write"])
            let result = try await client.callTool("read", arguments: ["a": 1])
            #expect(result.structuredContent?["arguments"]?["a"] == 1)
            try await client.ping()
        }
    }

    /// Handshake, list, call, stream and the session's end alike: what a server may demand of each request.
    @Test(arguments: [false, true])
    func everyRequestIsSignedByItself(_ modern: Bool) async throws {
        let number = Mutex(0)
        let sign: @Sendable (inout CurlRequest) -> Void = { request in
            request.headers.append(name: "Proof", value: "\(number.withLock { $0 += 1; return $0 }) \(request.method)")
        }
        try await with(Self.rules { $0.modern = modern }, signing: sign) { server, client in
            _ = try await client.listTools()
            _ = try await client.callTool("read", arguments: [:])
            await client.close()
            let requests = server.http.requests
            #expect(Set(requests.map(\.method)) == (modern ? ["POST"] : ["POST", "DELETE"]))
            let proofs = requests.map { $0.headers["Proof"] }
            #expect(proofs.allSatisfy { $0.count == 1 })
            #expect(Set(proofs.flatMap { $0 }).count == requests.count)
            #expect(zip(requests, proofs).allSatisfy { $1.first?.hasSuffix(" \($0.method)") == true })
        }
    }

    @Test func aRefusalHasTheServersNonce() async throws {
        let refusal: @Sendable (ScriptedRequest, JSONValue) async -> ScriptedResponse? = { _, _ in
            .empty(401, headers: [("WWW-Authenticate", #"DPoP error="use_dpop_nonce""#), ("DPoP-Nonce", "n1")])
        }
        try await with(Self.rules { $0.any = refusal }) { _, client in
            await #expect { try await client.connect() } throws: { error in
                (error as? MCPCallError)?.kind == .unauthorized && (error as? MCPCallError)?.proofNonce == "n1"
            }
        }
    }

    @Test func aJSONRPCErrorIsThrownWithItsCode() async throws {
        try await with(Self.rules { _ in }) { _, client in
            await #expect { try await client.request("prompts/list") } throws: { error in
                (error as? MCPCallError)?.rpcError?.code == -32601
            }
        }
    }

    @Test func cancellingTheTaskCancelsTheCall() async throws {
        try await with(Self.rules { $0.call = { _, _ in .hang } }) { server, client in
            let task = Task { try await client.callTool("write") }
            try await server.http.waitUntil { $0.requests.contains { $0.text.contains("tools/call") } }
            task.cancel()
            await #expect { try await task.value } throws: { ($0 as? MCPCallError)?.kind == .cancelled }
            try await server.http.waitUntil { $0.requests.contains { $0.text.contains("notifications/cancelled") } }
        }
    }

    @Test func modernQuestionsAreAnsweredInFurtherRounds() async throws {
        let rounds = Mutex<[JSONValue]>([])
        let rules = Self.rules { rules in
            rules.modern = true
            rules.call = { _, message in
                let round = rounds.withLock { rounds in
                    rounds.append(message)
                    return rounds.count
                }
                let id = message["id"]?.text ?? ""
                if round == 1 {
                    return .json(
                        #"{"jsonrpc":"2.0","id":\#(id),"result":{"resultType":"input_required","requestState":"s\u0041 1","inputRequests":{"name":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}}}}"#
                    )
                }
                return .json(#"{"jsonrpc":"2.0","id":\#(id),"result":{"resultType":"complete","content":[]}}"#)
            }
        }
        let handlers = MCPClientHandlers(elicit: { question in
            ElicitResult(action: .accept, content: ["asked": .string(question.message)])
        })
        try await with(rules, handlers: handlers) { _, client in
            _ = try await client.callTool("write", arguments: ["a": 1])
            let calls = rounds.withLock { $0 }
            #expect(calls.count == 2)
            #expect(calls[0]["id"] != calls[1]["id"])
            #expect(calls[1]["params"]?["requestState"] == "sA 1")
            #expect(calls[1]["params"]?["arguments"]?["a"] == 1)
            #expect(calls[1]["params"]?["inputResponses"]?["name"]?["content"]?["asked"] == "Who?")
            #expect(calls[0]["params"]?["_meta"]?[MCPMeta.clientCapabilities]?["elicitation"] != nil)
        }
    }

    @Test func aQuestionWithoutAHandlerIsAClearFailure() async throws {
        let rules = Self.rules { rules in
            rules.modern = true
            rules.call = { _, message in
                .json(
                    #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? ""),"result":{"resultType":"input_required","inputRequests":{"r":{"method":"roots/list"}}}}"#
                )
            }
        }
        try await with(rules) { _, client in
            await #expect { try await client.callTool("write") } throws: { error in
                (error as? MCPCallError)?.detail.contains("roots/list") == true
            }
        }
    }

    @Test func legacyQuestionsGoToTheHandlers() async throws {
        let answers = Mutex<[JSONValue]>([])
        let rules = Self.rules { rules in
            rules.any = { _, message in
                if message["id"] == "q" { answers.withLock { $0.append(message) } }
                return nil
            }
            rules.call = { _, message in
                let question =
                    #"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#
                return .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
                    try await writer.write("data: \(question)\n\n")
                    while answers.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(1)) }
                    try await writer.write(
                        #"data: {"jsonrpc":"2.0","id":\#(message["id"]?.text ?? ""),"result":{"content":[]}}"# + "\n\n")
                }
            }
        }
        let handlers = MCPClientHandlers(roots: { [Root(uri: "file:///x", name: "x")] })
        try await with(rules, handlers: handlers) { _, client in
            _ = try await client.callTool("write")
            #expect(answers.withLock { $0.first?["result"]?["roots"]?[0]?["uri"] } == "file:///x")
        }
    }

    @Test func notificationsAndProgressAreHeard() async throws {
        let heard = Mutex<[String]>([])
        let handlers = MCPClientHandlers(onNotification: { note in heard.withLock { $0.append(note.method) } })
        try await with(Self.rules { $0.events = true }, handlers: handlers) { _, client in
            _ = try await client.callTool("read") { _ in }
            #expect(heard.withLock { $0.contains("notifications/message") })
        }
    }

    @Test func closingEndsTheSessions() async throws {
        try await with(Self.rules { _ in }) { server, client in
            try await client.connect()
            await client.close()
            #expect(server.http.requests.last?.method == "DELETE")
        }
    }
}
