import NIOCore
import ProcessMemory
import TestSupport
import Testing

@testable import CurlTransport

/// What responses draw from the process's memory budget, and that all of it goes back.
@Suite struct MemoryTests {
    private let budget = MemoryBudget(limit: 1 << 20)
    private var configuration: CurlEngineConfiguration { CurlEngineConfiguration(memory: budget) }

    private func withBudget(
        _ respond: @escaping ScriptedHTTPServer.Respond, _ body: (CurlEngine, ScriptedHTTPServer) async throws -> Void
    ) async throws {
        try await withServer(configuration, respond) { engine, server in
            try await body(engine, server)
            try await requireSoon { budget.statistics.used == 0 }
        }
        #expect(budget.statistics.used == 0)
    }

    @Test func aCollectedBodyIsHeldAsLongAsItsResponse() async throws {
        let body = patternBytes(512 << 10)
        try await withBudget { _ in
            .whole(status: 200, headers: [], body: body)
        } _: { engine, server in
            var response: CurlResponse? = try await engine.execute(CurlRequest(url: server.url))
            #expect(response?.body == body)
            #expect(budget.statistics.used == 512 << 10)
            let reservation = response?.reservation
            response = nil
            #expect(budget.statistics.used == 512 << 10)
            withExtendedLifetime(reservation) {}
        }
        #expect(budget.statistics.refusals == 0)
    }

    @Test func smallBodiesDrawNothing() async throws {
        try await withBudget { _ in
            .whole(status: 200, headers: [], body: patternBytes(64 << 10))
        } _: { (engine, server) async throws in
            #expect(try await engine.execute(CurlRequest(url: server.url)).reservation == nil)
        }
        #expect(budget.statistics.peak == 0)
    }

    @Test(arguments: [true, false]) func aBodyWithoutRoomEndsItsTransfer(_ isAnnounced: Bool) async throws {
        try await withBudget { _ in
            isAnnounced
                ? .whole(status: 200, headers: [], body: patternBytes(2 << 20))
                : .produce(status: 200, headers: []) { try await $0.write(patternBytes(2 << 20)) }
        } _: { engine, server in
            let error = await failure { _ = try await engine.execute(CurlRequest(url: server.url)) }
            #expect(error?.kind == .overloaded)
            #expect(error?.requestSent == true)
        }
        #expect(budget.statistics.refusals == EngineHost.allCases.count)
        #expect(budget.statistics.peak <= 1 << 20)
    }

    @Test func aCancelledBodyGivesItsMemoryBack() async throws {
        try await withBudget { _ in
            .produce(status: 200, headers: []) { writer in
                try await writer.write(patternBytes(512 << 10))
                try await Task.sleep(for: .seconds(60))
            }
        } _: { engine, server in
            let task = Task { try await engine.execute(CurlRequest(url: server.url)) }
            try await requireSoon { budget.statistics.used == 512 << 10 }
            task.cancel()
            #expect(await failure { _ = try await task.value }?.kind == .cancelled)
        }
    }

    @Test func aBodyThatIsCutShortGivesItsMemoryBack() async throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n"
        try await withBudget { _ in
            .raw(head + String(repeating: "x", count: 500_000), close: true)
        } _: { (engine, server) async throws in
            #expect(await failure { _ = try await engine.execute(CurlRequest(url: server.url)) }?.kind == .closedEarly)
        }
        #expect(budget.statistics.peak >= 500_000)
    }

    @Test func aResponseThatIsCollectedFromAStreamDrawsToo() async throws {
        try await withBudget { _ in
            .whole(status: 200, headers: [], body: patternBytes(2 << 20))
        } _: { engine, server in
            let response = try await engine.stream(CurlRequest(url: server.url))
            #expect(await failure { _ = try await response.body.collect(upTo: 4 << 20) }?.kind == .overloaded)
        }
    }

    // MARK: Streams

    @Test(arguments: [true, false]) func aStreamFlowsWithAndWithoutRoom(_ hasRoom: Bool) async throws {
        let size = 16 << 20
        #expect(hasRoom || budget.draw(1 << 20))
        try await withServer(configuration) { _ in
            .whole(status: 200, headers: [], body: patternBytes(size))
        } _: { engine, server in
            let response = try await engine.stream(CurlRequest(url: server.url, maximumResponseBytes: 0))
            var body = ByteBuffer()
            for try await chunk in response.body { body.writeImmutableBuffer(chunk) }
            #expect(body == patternBytes(size))
            try await requireSoon { budget.statistics.used == (hasRoom ? 0 : 1 << 20) }
        }
        if hasRoom {
            #expect(budget.statistics.refusals == 0)
        } else {
            #expect(budget.statistics.peak == 1 << 20)
            budget.release(1 << 20)
        }
        #expect(budget.statistics.used == 0)
    }

    @Test func aReaderThatWaitsHoldsItsWindowAlone() async throws {
        try await withBudget { _ in
            .produce(status: 200, headers: []) { writer in
                for _ in 0..<1024 { try await writer.write(patternBytes(64 << 10)) }
            }
        } _: { engine, server in
            var response: CurlStreamedResponse? = try await engine.stream(
                CurlRequest(url: server.url, timeout: .zero, maximumResponseBytes: 0))
            // The window of 256 KiB, less what is free.
            try await requireSoon { budget.statistics.used >= (256 - 64) << 10 }
            #expect(budget.statistics.used < 256 << 10)
            withExtendedLifetime(response) {}
            response = nil
        }
    }

    @Test func aReceiverThatLeavesInTheMiddleGivesItsMemoryBack() async throws {
        try await withBudget { _ in
            .produce(status: 200, headers: []) { writer in
                for _ in 0..<1024 { try await writer.write(patternBytes(64 << 10)) }
            }
        } _: { engine, server in
            let loop = anyLoop()
            let receiver = RecordingReceiver(loop)
            let transfer = engine.start(
                CurlRequest(url: server.url, timeout: .zero, maximumResponseBytes: 0, mode: .streaming), on: loop,
                receiver: receiver)
            transfer.pause()
            try await requireSoon { !receiver.seen.heads.isEmpty }
            transfer.cancel()
            #expect(try await receiver.finished().isFailure)
        }
    }
}

extension Result {
    fileprivate var isFailure: Bool { if case .failure = self { true } else { false } }
}
