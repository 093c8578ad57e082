import CurlTransport
import Dispatch
import JSON
import MCPClient
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Long answers are read beside the event loop, each part of the work: where the queue is held, everybody else is
/// served, and the order of what an upstream sends stays.
@Suite(.serialized, .timeLimit(.minutes(2))) struct LongAnswerTests {
    /// Work that holds the queue of long answers. Each opening lets the work pass that waits behind it.
    private final class Gate: Sendable {
        private let semaphore = DispatchSemaphore(value: 0)
        private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()

        init() async throws { try await close() }

        private func close() async throws {
            let (loop, semaphore) = (eventLoop, semaphore)
            try await loop.submit {
                ParsingQueue.answers.run(on: loop) {
                    semaphore.wait()
                } then: { _ in
                }
            }.get()
        }

        /// Lets what waits pass, and nothing after it.
        func step() async throws {
            try await close()
            semaphore.signal()
        }

        /// Lets everything pass, however many gates were closed.
        func open() { for _ in 0..<8 { semaphore.signal() } }
    }

    private static let long = String(repeating: "x", count: 2 * ParsingQueue.longAnswer)
    private static let short = #"{"type":"search_projects","query":"short"}"#

    /// An upstream whose tool has a long result for the query `long`.
    private func upstream(
        events: Bool, other: @escaping @Sendable (ScriptedRequest) async -> ScriptedResponse? = { _ in nil }
    ) async throws -> FakeToolServer {
        try await FakeToolServer(other: other) { call in
            guard call.arguments["query"] == "long" else { return .results(["short"]) }
            guard events else { return .results([.string(Self.long)]) }
            let result: JSONObject = ["structuredContent": ["results": [.string(Self.long)]], "content": []]
            let message = #"{"jsonrpc":"2.0","id":\#(call.id.text),"result":\#(JSONValue.object(result).text)}"#
            return .response(.events([(.zero, "data: \(message)\n\n")]))
        }
    }

    /// Calls that are answered while others wait.
    private func callNeighbours(_ test: TestGateway) async throws {
        for _ in 0..<20 { #expect(try await test.chat(Self.short).json?["replies"] == ["short"]) }
    }

    @Test(arguments: [false, true], [false, true])
    func aReplyIsReadAndWrittenBesideTheEventLoop(upstreamStreams: Bool, clientStreams: Bool) async throws {
        let upstream = try await upstream(events: upstreamStreams)
        try await TestGateway.with(upstream) { (test) async throws in
            await test.waitUntilReady()
            let gate = try await Gate()
            defer { gate.open() }
            let isAnswered = Flag()
            let headers: CurlHeaders = clientStreams ? [("Accept", "text/event-stream")] : []
            let long = Task {
                defer { isAnswered.set() }
                return try await test.chat(#"{"type":"search_projects","query":"long"}"#, headers: headers)
            }
            try #require(await eventually { upstream.calls.contains { $0.arguments["query"] == "long" } })
            try await callNeighbours(test)
            // The message has been read, and its reply is still to be made.
            try await gate.step()
            try await callNeighbours(test)
            #expect(!isAnswered.isSet)
            gate.open()
            let response = try await long.value
            #expect(response.status == 200)
            #expect(response.body.readableBytes > Self.long.utf8.count)
            #expect(response.text.hasPrefix(clientStreams ? "event: reply\ndata: {" : #"{"type":"#))
        }
    }

    @Test func aClientThatLeavesMeanwhileIsForgotten() async throws {
        let upstream = try await upstream(events: true)
        try await TestGateway.with(upstream) { (test) async throws in
            await test.waitUntilReady()
            let gate = try await Gate()
            defer { gate.open() }
            do {
                let client = try RawSocketClient(port: test.port)
                let body = #"{"type":"search_projects","query":"long"}"#
                await client.send(
                    "POST /api/chat/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                try #require(await eventually { upstream.calls.contains { $0.arguments["query"] == "long" } })
                try await callNeighbours(test)
            }
            gate.open()
            try await callNeighbours(test)
            #expect(await eventually { test.gateway.memory.statistics.used == 0 })
        }
    }

    @Test func aFilteredStreamKeepsItsOrder() async throws {
        let hidden = #"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"hidden"},{"name":"a","description":""#
        let events = ["data: \(hidden)\(Self.long)\"}]}}\n\n", "data: second\n\n", "data: \(hidden)\"}]}}\n\n"]
        let upstream = try await upstream(events: false) { request in
            guard request.headers.contains(name: "X-Forwarded-Proto") else { return nil }
            return .events([(.zero, "data: first\n\n")] + events.map { (.milliseconds(20), $0) })
        }
        let tools: JSONObject = ["passthrough": ["tools": ["deny": ["hidden"]]]]
        try await TestGateway.with(upstream, tools) { (test) async throws in
            await test.waitUntilReady()
            let gate = try await Gate()
            defer { gate.open() }
            let ask = #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#
            let stream = Task {
                try await test.send("POST", "/mcp/", headers: [("Mcp-Session-Id", "s")], body: ask)
            }
            try #require(
                await eventually { upstream.requests.contains { $0.headers.contains(name: "X-Forwarded-Proto") } })
            try await callNeighbours(test)
            gate.open()
            let filtered = #"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","description":""#
            let text = try await stream.value.text
            #expect(
                text == "data: first\n\ndata: \(filtered)\(Self.long)\"}]}}\n\ndata: second\n\n"
                    + "data: \(filtered)\"}]}}\n\n")
        }
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { value.load(ordering: .relaxed) }
        func set() { value.store(true, ordering: .relaxed) }
    }
}
