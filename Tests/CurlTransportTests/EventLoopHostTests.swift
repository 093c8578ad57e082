import Logging
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import CurlTransport

/// An engine on an event loop, used from that loop.
@Suite struct EventLoopHostTests {
    /// Runs `body` with an engine on a loop of its own.
    private func withLoop(_ body: (any EventLoop, CurlEngine) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let engine = CurlEngine(label: "hosted", eventLoop: group.any())
        try await body(group.any(), engine)
        await engine.shutdown()
        try await group.shutdownGracefully()
    }

    @Test func aTransferStartedOnTheLoopIsAnsweredThere() async throws {
        let server = try await ScriptedHTTPServer { _ in .json(#"{"a":1}"#) }
        defer { server.stop() }
        try await withLoop { eventLoop, engine in
            let receiver = RecordingReceiver(eventLoop)
            // The first may come before the engine's channel is open, the others after.
            for number in 1...3 {
                try await eventLoop.submit {
                    _ = engine.start(CurlRequest(url: server.url), on: eventLoop, receiver: receiver)
                }.get()
                try await requireSoon { receiver.seen.results.count == number }
            }
            #expect(receiver.seen.offLoop == 0)
            #expect(engine.statistics.succeeded == 3)
            #expect(engine.statistics.openedConnections == 1)
        }
    }

    @Test func nobodyHearsOfATransferBeforeItIsReturned() async throws {
        try await withLoop { eventLoop, engine in
            let receiver = RecordingReceiver(eventLoop)
            let early = try await eventLoop.submit {
                // Nothing is sent, so the outcome is known at once.
                _ = engine.start(CurlRequest(method: "NO GOOD", url: "http://x/"), on: eventLoop, receiver: receiver)
                return receiver.seen.results.count
            }.get()
            #expect(early == 0)
            _ = try await receiver.finished()
            #expect(receiver.error?.kind == .invalidRequest)
        }
    }

    @Test func aTransferCancelledInTheSameTurnIsNeverSent() async throws {
        let server = try await ScriptedHTTPServer { _ in .json("{}") }
        defer { server.stop() }
        try await withLoop { eventLoop, engine in
            let receiver = RecordingReceiver(eventLoop)
            try await eventLoop.submit {
                engine.start(CurlRequest(url: server.url), on: eventLoop, receiver: receiver).cancel()
            }.get()
            _ = try await receiver.finished()
            #expect(receiver.error?.kind == .cancelled)
            #expect(receiver.error?.requestSent == false)
            #expect(server.requests.isEmpty)
        }
    }

    @Test func aLimitEndsATransferWithoutAnyEvent() async throws {
        let server = try await ScriptedHTTPServer { _ in .hang }
        defer { server.stop() }
        try await withLoop { eventLoop, engine in
            // Longer limits of other transfers must not delay the shorter one.
            let slow = RecordingReceiver(eventLoop)
            let fast = RecordingReceiver(eventLoop)
            let idle = RecordingReceiver(eventLoop)
            try await eventLoop.submit {
                engine.start(
                    CurlRequest(url: server.url, timeout: .seconds(20)), on: eventLoop, receiver: slow)
                engine.start(
                    CurlRequest(url: server.url, timeout: .milliseconds(200)), on: eventLoop, receiver: fast)
                engine.start(
                    CurlRequest(url: server.url, timeout: .seconds(20), idleTimeout: .milliseconds(200)),
                    on: eventLoop, receiver: idle)
            }.get()
            _ = try await fast.finished()
            _ = try await idle.finished()
            #expect(fast.error?.kind == .timedOut)
            #expect(idle.error?.kind == .timedOut)
            #expect(slow.seen.results.isEmpty)
        }
    }

    @Test func shuttingDownEndsWhatIsUnderWay() async throws {
        let server = try await ScriptedHTTPServer { _ in .hang }
        defer { server.stop() }
        try await withLoop { eventLoop, engine in
            let receiver = RecordingReceiver(eventLoop)
            engine.start(CurlRequest(url: server.url), on: eventLoop, receiver: receiver)
            try await requireSoon { server.requests.count == 1 }
            await engine.shutdown()
            _ = try await receiver.finished()
            #expect(receiver.error?.kind == .shutdown)
            let late = RecordingReceiver(eventLoop)
            try await eventLoop.submit {
                _ = engine.start(CurlRequest(url: server.url), on: eventLoop, receiver: late)
            }.get()
            _ = try await late.finished()
            #expect(late.error?.kind == .shutdown)
        }
    }

    @Test func whereTheKernelRefusesThereIsAThread() async throws {
        let server = try await ScriptedHTTPServer { _ in .text("ok") }
        defer { server.stop() }
        let eventLoop = anyLoop()
        let engine = CurlEngine(
            label: "refused", configuration: CurlEngineConfiguration(), eventLoop: eventLoop,
            logger: Logger(label: "curl")
        ) { _, _, _ in nil }
        let receiver = RecordingReceiver(eventLoop)
        try await eventLoop.submit {
            _ = engine.start(CurlRequest(url: server.url), on: eventLoop, receiver: receiver)
        }.get()
        #expect(try await receiver.finished().get().status == 200)
        #expect(receiver.seen.offLoop == 0)
        await engine.shutdown()
    }
}
