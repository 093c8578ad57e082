import HTTPSyntax
import JSON
import MCP
import MCPClient
import MCPServer
import Synchronization
import TestSupport
import Testing

@testable import MCPAggregator

/// Requests that are served without a task, and those that turn out to need one.
@Suite struct DirectTests {
    /// One of the two ways of a request, with the headers that go with it.
    private struct Request {
        let body: [UInt8]
        let fields: DirectFields

        init(_ method: String, _ params: JSONObject = [:], id: JSONValue = 1, session: String? = nil) {
            var params = params
            var fields = DirectFields()
            fields.accept = AcceptField.both
            fields.sessionID = session
            if session == nil {
                params["_meta"] = [
                    MCPMeta.protocolVersion: .string(MCPVersion.latestModern.rawValue),
                    MCPMeta.clientCapabilities: [:], MCPMeta.logLevel: "debug",
                ]
                fields.protocolVersion = MCPVersion.latestModern.rawValue
                fields.method = method
                fields.name = params["name"]?.string
            }
            self.fields = fields
            body =
                JSONValue.object([
                    "jsonrpc": "2.0", "id": id, "method": .string(method), "params": .object(params),
                ]).serialized
        }

        /// The same body with other fields.
        init(_ request: Request, _ fields: DirectFields) {
            body = request.body
            self.fields = fields
        }

        func http(_ attachment: (any Sendable)? = nil, started: ContinuousClock.Instant? = nil) -> MCPHTTPRequest {
            let all = [
                ("Accept", fields.accept), ("MCP-Protocol-Version", fields.protocolVersion),
                ("Mcp-Method", fields.method),
                ("Mcp-Name", fields.name), ("Mcp-Session-Id", fields.sessionID),
            ]
            let headers = MCPHTTPHeaders(all.compactMap { field in field.1.map { (name: field.0, value: $0) } })
            var request = MCPHTTPRequest(method: "POST", headers: headers, body: body, attachment: attachment)
            request.started = started
            return request
        }
    }

    /// Ends of requests, in the order in which they came.
    private final class Ends: Sendable {
        let all = Mutex<[DirectEnd]>([])
        var count: Int { all.withLock { $0.count } }

        var response: JSONValue? {
            guard case .response(let bytes)? = all.withLock({ $0.first }) else { return nil }
            return try? JSONValue(parsing: bytes)
        }

        var other: (call: any BegunCall, started: ContinuousClock.Instant)? {
            guard case .other(let call, let started)? = all.withLock({ $0.first }) else { return nil }
            return (call, started)
        }
    }

    private func begin(_ request: Request, at endpoint: StreamableHTTP, _ ends: Ends) -> DirectExchange? {
        request.body.withUnsafeBytes { body in
            endpoint.serveDirectly(
                body, request.fields, principal: nil, attachment: nil, executor: nil, reservation: nil
            ) { end in ends.all.withLock { $0.append(end) } }
        }
    }

    private func json(_ response: MCPHTTPResponse) throws -> JSONValue {
        guard case .whole(200, _, let bytes) = response else { return .string("\(response)") }
        return try JSONValue(parsing: bytes)
    }

    private static func call(_ name: String = "find") -> JSONObject { ["name": .string(name), "arguments": ["a": 1]] }

    /// Makes an endpoint whose lists are known in both eras, and a session.
    private func endpoint(
        _ upstreams: [ScriptedUpstream]
    ) async throws -> (endpoint: StreamableHTTP, router: EndpointRouter, session: String) {
        let router = EndpointRouter(upstreams.map { EndpointMember($0) }, logger: quiet)
        let endpoint = MCPServer.forwarding(to: router)
        _ = try await endpoint.toolNames()
        let session = try #require(endpoint.openSession(version: .latestLegacy, principal: nil))
        _ = await endpoint.handle(Request(MCPMethod.toolsList, session: session).http())
        return (endpoint, router, session)
    }

    @Test func theAnswerIsTheSameAsInATask() async throws {
        let (endpoint, router, session) = try await endpoint([.tools("crm", ["find"]), .tools("erp", ["book"])])
        for session in [nil, session] {
            for request in [
                Request(MCPMethod.toolsList, session: session),
                Request(MCPMethod.toolsCall, Self.call(), session: session),
                Request(MCPMethod.toolsCall, Self.call("book"), id: "text", session: session),
            ] {
                let ends = Ends()
                #expect(begin(request, at: endpoint, ends) != nil)
                #expect(await eventually { ends.count == 1 })
                let response = try #require(ends.response)
                #expect(response == (try json(await endpoint.handle(request.http()))))
                #expect(response["error"] == nil)
            }
        }
        #expect(router.requestsUnderWay == 0)
    }

    @Test func whatHasToWaitOrIsWrongIsLeft() async throws {
        let upstream = ScriptedUpstream.tools("crm", ["find"])
        let router = EndpointRouter([EndpointMember(upstream)], logger: quiet)
        let endpoint = MCPServer.forwarding(to: router)
        // Nothing is known yet.
        #expect(begin(Request(MCPMethod.toolsCall, Self.call()), at: endpoint, Ends()) == nil)
        _ = try await endpoint.toolNames()
        var wrong = [
            Request(MCPMethod.toolsCall, Self.call("unknown")), Request(MCPMethod.promptsList),
            Request(MCPMethod.toolsCall, Self.call(), session: "unknown"),
        ]
        for change in [
            { (fields: inout DirectFields) in fields.name = "other" }, { $0.name = nil }, { $0.method = nil },
            { $0.protocolVersion = nil }, { $0.protocolVersion = "2025-11-25" }, { $0.accept = "text/event-stream" },
        ] as [(inout DirectFields) -> Void] {
            let request = Request(MCPMethod.toolsCall, Self.call())
            var fields = request.fields
            change(&fields)
            wrong.append(Request(request, fields))
        }
        for request in wrong { #expect(begin(request, at: endpoint, Ends()) == nil) }
        #expect(upstream.count(MCPMethod.toolsCall) == 0)
        #expect(router.requestsUnderWay == 0)
    }

    /// An upstream whose calls send a log message and wait for the gate, or fail.
    private func slow(_ gate: Gate, fails: Bool = false) -> ScriptedUpstream {
        ScriptedUpstream("slow") { request in
            guard request.method == MCPMethod.toolsCall else {
                return UpstreamResult(["tools": [["name": "find", "inputSchema": ["type": "object"]]]], era: .modern)
            }
            if fails { throw EndpointError(label: "upstream_timeout", executed: "unknown", detail: "nothing came") }
            if request.params["arguments"] == nil, request.arguments?.value["a"]?.int == 1 {
                request.onNotification(
                    JSONRPCNotification(method: MCPMethod.message, params: ["level": "info", "data": "working"]))
            }
            try await gate.wait()
            return UpstreamResult(["content": [["type": "text", "text": "found"]]], era: .modern)
        }
    }

    @Test(arguments: [false, true])
    func aCallThatSaysMoreGoesOnInATask(_ isLegacy: Bool) async throws {
        let gate = Gate()
        let (endpoint, router, session) = try await endpoint([slow(gate)])
        let request = Request(MCPMethod.toolsCall, Self.call(), session: isLegacy ? session : nil)
        let ends = Ends()
        #expect(begin(request, at: endpoint, ends) != nil)
        #expect(await eventually { ends.count == 1 })
        let other = try #require(ends.other)
        #expect(router.requestsUnderWay == 1)
        async let response = endpoint.handle(request.http(other.call, started: other.started))
        guard case .stream(_, _, let body) = await response else {
            Issue.record("no stream")
            return
        }
        gate.open()
        let text = Mutex("")
        #expect(
            await eventually {
                if case .bytes(let bytes) = body.take() {
                    text.withLock { $0 += String(decoding: bytes, as: UTF8.self) }
                }
                return text.withLock { $0.contains("found") }
            })
        #expect(text.withLock { $0.contains("working") })
        #expect(await eventually { body.take().isEnd })
    }

    @Test(arguments: [false, true])
    func aFailureIsAnsweredInATask(_ isLegacy: Bool) async throws {
        let upstream = slow(Gate(), fails: true)
        let (endpoint, _, session) = try await endpoint([upstream])
        let request = Request(MCPMethod.toolsCall, Self.call(), session: isLegacy ? session : nil)
        let ends = Ends()
        #expect(begin(request, at: endpoint, ends) != nil)
        #expect(await eventually { ends.count == 1 })
        let other = try #require(ends.other)
        let response = try json(await endpoint.handle(request.http(other.call, started: other.started)))
        #expect(response["error"]?["data"]?["label"]?.string == "upstream_timeout")
        #expect(response["error"]?["data"]?["executed"]?.string == "unknown")
        // The call was made once.
        #expect(upstream.count(MCPMethod.toolsCall) == 1)
    }

    /// So that its bytes are translated beside the event loop.
    @Test func aLongResultIsTranslatedInATask() async throws {
        let text = String(repeating: "x", count: ParsingQueue.longAnswer)
        let upstream = ScriptedUpstream("long") { request in
            guard request.method == MCPMethod.toolsCall else {
                return UpstreamResult(["tools": [["name": "find", "inputSchema": ["type": "object"]]]], era: .modern)
            }
            return UpstreamResult(["content": [["type": "text", "text": .string(text)]]], era: .modern)
        }
        let (endpoint, router, _) = try await endpoint([upstream])
        let request = Request(MCPMethod.toolsCall, Self.call())
        let ends = Ends()
        #expect(begin(request, at: endpoint, ends) != nil)
        #expect(await eventually { ends.count == 1 })
        let other = try #require(ends.other)
        let response = try json(await endpoint.handle(request.http(other.call, started: other.started)))
        #expect(response["result"]?["content"]?[0]?["text"]?.string == text)
        #expect(upstream.count(MCPMethod.toolsCall) == 1)
        #expect(router.requestsUnderWay == 0)
    }

    @Test func aLongCallGoesOnInATask() async throws {
        let gate = Gate()
        let (endpoint, _, _) = try await endpoint([slow(gate)])
        var silent = Self.call()
        silent["arguments"] = [:]
        let request = Request(MCPMethod.toolsCall, silent)
        let ends = Ends()
        #expect(begin(request, at: endpoint, ends) != nil)
        let begun = ContinuousClock.now
        endpoint.tick(now: begun)
        #expect(ends.count == 0)
        endpoint.tick(now: begun + .seconds(6))
        let other = try #require(ends.other)
        #expect(other.started <= begun)
        let http = request.http(other.call, started: other.started)
        let response = Mutex<MCPHTTPResponse?>(nil)
        let task = Task {
            let answer = await endpoint.handle(http)
            response.withLock { $0 = answer }
        }
        // The time that it has taken before counts too.
        #expect(
            await eventually {
                endpoint.tick(now: begun + .seconds(6))
                if case .stream? = response.withLock({ $0 }) { return true }
                return false
            })
        gate.open()
        await task.value
    }

    @Test(arguments: [false, true])
    func aClientThatLeavesCancelsItsCallIn2026(_ isLegacy: Bool) async throws {
        let gate = Gate()
        let (endpoint, router, session) = try await endpoint([slow(gate)])
        var silent = Self.call()
        silent["arguments"] = [:]
        let ends = Ends()
        let exchange = try #require(
            begin(Request(MCPMethod.toolsCall, silent, session: isLegacy ? session : nil), at: endpoint, ends))
        exchange.clientLeft()
        if isLegacy {
            #expect(router.requestsUnderWay == 1)
            gate.open()
            #expect(await eventually { ends.count == 1 })
        } else {
            #expect(await eventually { router.requestsUnderWay == 0 })
            #expect(ends.count == 0)
        }
    }

    @Test func aLegacyCallIsCancelledByItsClient() async throws {
        let gate = Gate()
        let (endpoint, router, session) = try await endpoint([slow(gate)])
        var silent = Self.call()
        silent["arguments"] = [:]
        let request = Request(MCPMethod.toolsCall, silent, id: "long", session: session)
        let ends = Ends()
        #expect(begin(request, at: endpoint, ends) != nil)
        // The id is in use.
        #expect(begin(request, at: endpoint, Ends()) == nil)
        let cancel: JSONValue = [
            "jsonrpc": "2.0", "method": "notifications/cancelled", "params": ["requestId": "long"],
        ]
        var http = request.http()
        http.body = cancel.serialized
        #expect(await endpoint.handle(http).status == 202)
        #expect(await eventually { ends.count == 1 })
        #expect(ends.response?["error"] != nil)
        #expect(router.requestsUnderWay == 0)
        // And free again.
        gate.open()
        let after = Ends()
        #expect(begin(request, at: endpoint, after) != nil)
        #expect(await eventually { after.response?["result"] != nil })
    }
}

extension MCPResponseStream.Taken {
    fileprivate var isEnd: Bool { if case .end = self { true } else { false } }
}
