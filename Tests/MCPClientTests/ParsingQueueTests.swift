import Dispatch
import JSON
import MCP
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import MCPClient

/// Long documents are read beside the event loop. Where the queue is held, everything else goes on.
@Suite(.serialized, .timeLimit(.minutes(2 * Sanitizer.slowness))) struct ParsingQueueTests {
    private func with(
        _ rules: FakeMCPServer.Rules = FakeMCPServer.Rules(), lists: ParsingQueue = ParsingQueue(label: "test"),
        _ body: (FakeMCPServer, CallerHarness) async throws -> Void
    ) async throws {
        let server = try await FakeMCPServer(rules)
        let harness = CallerHarness(url: server.url, change: { $0.lists = lists })
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(server, harness))
        } catch {
            result = .failure(error)
        }
        server.http.stop()
        await harness.shutdown()
        try result.get()
    }

    /// Work that holds a queue until it is opened.
    private final class Gate: Sendable {
        private let semaphore = DispatchSemaphore(value: 0)

        init(_ queue: ParsingQueue, _ loop: any EventLoop) async throws {
            let semaphore = semaphore
            try await loop.submit {
                queue.run(on: loop) {
                    semaphore.wait()
                } then: { _ in
                }
            }.get()
        }

        func open() { semaphore.signal() }
    }

    @Test func callsAreAnsweredWhileAListIsRead() async throws {
        let lists = ParsingQueue(label: "test.lists")
        try await with(lists: lists) { server, harness in
            _ = try await harness.call().success
            let gate = try await Gate(lists, harness.loops[0])
            defer { gate.open() }
            let loading = Task { try await harness.refreshCatalog(within: .seconds(60)) }
            try #require(await eventually { server.count("tools/list") == 1 })
            for _ in 0..<20 { _ = try await harness.call().success }
            #expect(harness.upstream.catalog == nil)
            gate.open()
            #expect(try await loading.value["read"] != nil)
        }
    }

    @Test func callsAreAnsweredWhileALongAnswerIsRead() async throws {
        var rules = FakeMCPServer.Rules()
        rules.call = { request, message in
            guard request.text.contains("long") else { return nil }
            let text = String(repeating: "x", count: ParsingQueue.longAnswer)
            return .json(#"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? ""),"result":{"text":"\#(text)"}}"#)
        }
        try await with(rules) { server, harness in
            _ = try await harness.call().success
            let gate = try await Gate(.answers, harness.loops[0])
            defer { gate.open() }
            let long = Task { try await harness.call(arguments: #"{"q":"long"}"#, timeout: .seconds(60)).success }
            try #require(await eventually { server.count("tools/call") == 2 })
            for _ in 0..<20 { _ = try await harness.call().success }
            gate.open()
            #expect(try await long.value.message.readableBytes > ParsingQueue.longAnswer)
        }
    }

    /// On an event stream too, in the order of its events.
    @Test func callsAreAnsweredWhileALongEventIsRead() async throws {
        var rules = FakeMCPServer.Rules()
        rules.call = { request, message in
            guard request.text.contains("long") else { return nil }
            let text = String(repeating: "x", count: ParsingQueue.longAnswer)
            let token = message["params"]?["_meta"]?["progressToken"]?.text ?? ""
            let event = { (step: Int, text: String) in
                (
                    Duration.milliseconds(5),
                    """
                    data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":\(token),\
                    "progress":\(step),"message":"\(text)"}}\n\n
                    """
                )
            }
            let answer = #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? ""),"result":{"text":"\#(text)"}}"#
            return .events([event(1, "a"), event(2, text), event(3, "b"), (.zero, "data: \(answer)\n\n")])
        }
        try await with(rules) { server, harness in
            _ = try await harness.call().success
            let gate = try await Gate(.answers, harness.loops[0])
            defer { gate.open() }
            let steps = Mutex<[Double]>([])
            let long = Task {
                try await harness.call(
                    arguments: #"{"q":"long"}"#, timeout: .seconds(60),
                    onProgress: { step in steps.withLock { $0.append(step.progress) } }
                ).success
            }
            try #require(await eventually { steps.withLock { $0 } == [1] })
            for _ in 0..<20 { _ = try await harness.call().success }
            #expect(steps.withLock { $0 } == [1])
            gate.open()
            #expect(try await long.value.message.readableBytes > ParsingQueue.longAnswer)
            #expect(steps.withLock { $0 } == [1, 2, 3])
        }
    }

    @Test func aCallThatIsCancelledWhileItsAnswerIsReadEnds() async throws {
        var rules = FakeMCPServer.Rules()
        rules.call = { request, message in
            guard request.text.contains("long") else { return nil }
            let text = String(repeating: "x", count: 4 * ParsingQueue.longAnswer)
            let answer = #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? ""),"result":{"text":"\#(text)"}}"#
            return .events([(.zero, "data: \(answer)\n\n")])
        }
        try await with(rules) { server, harness in
            _ = try await harness.call().success
            let gate = try await Gate(.answers, harness.loops[0])
            defer { gate.open() }
            let outcome = try await harness.call(
                arguments: #"{"q":"long"}"#, timeout: .seconds(60),
                cancelWhen: {
                    try #require(await eventually { server.count("tools/call") == 2 })
                    for _ in 0..<20 { _ = try await harness.call().success }
                })
            guard case .failure(let failure) = outcome else { throw Unexpected(what: "\(outcome)") }
            #expect(failure.kind == .cancelled)
            gate.open()
            for _ in 0..<20 { _ = try await harness.call().success }
        }
    }

    /// What a long result is, is known when it has been read: nothing looks through it on the event loop.
    @Test func aLongResultIsReadWithItsType() throws {
        let text = String(repeating: "x", count: ParsingQueue.longAnswer)
        for (type, expected) in [("input_required", MessageScanner.ResultType.inputRequired), ("x", .unknown)] {
            let answer = #"{"jsonrpc":"2.0","id":1,"result":{"resultType":"\#(type)","text":"\#(text)"}}"#
            var reader = MessageResponseReader(id: 1, limit: 16 << 20)
            reader.head(status: 200, headers: [("Content-Type", "text/event-stream")])
            guard case .answer(let read)? = reader.chunk(ByteBuffer(string: "data: \(answer)\n\n")).first else {
                throw Unexpected(what: "no answer")
            }
            #expect(read.resultType == expected)
        }
    }

    @Test func aListThatIsAsItWasIsTheSameCatalog() async throws {
        for modern in [false, true] {
            var rules = FakeMCPServer.Rules()
            rules.modern = modern
            try await with(rules) { server, harness in
                let first = try await harness.refreshCatalog()
                let second = try await harness.refreshCatalog()
                #expect(server.count("tools/list") == 2)
                #expect(second.serial == first.serial)
                server.change { $0.tools = [["name": "new", "inputSchema": ["type": "object"]]] }
                let third = try await harness.refreshCatalog()
                #expect(third.serial != first.serial)
                #expect(third.entries.map(\.definition.name) == ["new"])
            }
        }
    }
}
