import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import CurlTransport

@Suite struct StreamingTests {
    @Test func piecesArriveAsTheyAreSent() async throws {
        let (gate, open) = AsyncStream<Void>.makeStream()
        try await withServer { _ in
            .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
                try await writer.write("data: 1\n\n")
                for await _ in gate { break }
                try await writer.write("data: 2\n\n")
            }
        } _: { engine, server in
            let response = try await engine.stream(CurlRequest(url: server.url, idleTimeout: .seconds(10)))
            #expect(response.status == 200)
            #expect(response.headers.first(name: "content-type") == "text/event-stream")
            var pieces = response.body.makeAsyncIterator()
            #expect(try await pieces.next().map { String(buffer: $0) } == "data: 1\n\n")
            open.yield()
            #expect(try await pieces.next().map { String(buffer: $0) } == "data: 2\n\n")
            #expect(try await pieces.next() == nil)
            #expect(try await pieces.next() == nil)
        }
    }

    @Test func receiversGetHeadThenBodyThenEnd() async throws {
        let body = patternBytes(1 << 20)
        try await withServer { _ in
            .whole(status: 203, headers: [("X", "y")], body: body)
        } _: { engine, server in
            let loop = anyLoop()
            let receiver = RecordingReceiver(loop)
            engine.start(CurlRequest(url: server.url, mode: .streaming), on: loop, receiver: receiver)
            let response = try await receiver.finished().get()
            #expect(response.status == 203)
            #expect(response.body.readableBytes == 0)
            let seen = receiver.seen
            #expect(seen.heads.map(\.status) == [203])
            #expect(seen.heads.first?.headers.first(name: "x") == "y")
            #expect(seen.body == body)
            #expect(seen.results.count == 1)
            #expect(seen.offLoop == 0)
        }
    }

    @Test func emptyBodiesStillHaveAHead() async throws {
        try await withServer { _ in
            .empty(204)
        } _: { engine, server in
            let response = try await engine.stream(CurlRequest(method: "POST", url: server.url))
            #expect(response.status == 204)
            #expect(try await response.body.collect(upTo: 0).readableBytes == 0)
        }
    }

    /// A server that sends 64 MiB as fast as it can.
    private static let flood: ScriptedResponse = .produce(status: 200, headers: []) { writer in
        let chunk = patternBytes(64 << 10)
        for _ in 0..<1024 { try await writer.write(chunk) }
    }

    /// Waits until the server could not send anything for a while.
    private func untilTheServerIsStuck(_ server: ScriptedHTTPServer) async throws -> Int {
        var last = -1
        while true {
            let sent = server.log.bytesSent
            if sent == last, sent > 0 { return sent }
            last = sent
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    @Test func aReaderThatWaitsStopsTheServer() async throws {
        let idleTimeout = Duration.seconds(2).underSanitizer
        try await withServer(CurlEngineConfiguration(streamWindow: 128 << 10)) { _ in
            Self.flood
        } _: {
            engine, server in
            let response = try await engine.stream(
                CurlRequest(url: server.url, timeout: .zero, idleTimeout: idleTimeout, maximumResponseBytes: 0))
            var chunks = response.body.makeAsyncIterator()
            var received = try #require(try await chunks.next()).readableBytes
            let sent = try await untilTheServerIsStuck(server)
            // The window, one libcurl buffer, and what the kernel keeps on both sides.
            #expect(sent < 24 << 20)
            // The reader's slowness is not the server's silence.
            try await Task.sleep(for: idleTimeout + .milliseconds(500))
            while let chunk = try await chunks.next() { received += chunk.readableBytes }
            #expect(received == 64 << 20)
        }
    }

    @Test func pausedTransfersDeliverAtMostTheWindow() async throws {
        let window = 64 << 10
        try await withServer(CurlEngineConfiguration(streamWindow: window)) { _ in
            Self.flood
        } _: {
            engine, server in
            let loop = anyLoop()
            let transfer = Mutex<CurlTransfer?>(nil)
            let receiver = RecordingReceiver(loop) { transfer.withLock { $0?.pause() } }
            let request = CurlRequest(url: server.url, timeout: .zero, maximumResponseBytes: 0, mode: .streaming)
            try await loop.submit {
                transfer.withLock { $0 = engine.start(request, on: loop, receiver: receiver) }
            }.get()
            let sent = try await untilTheServerIsStuck(server)
            #expect(sent < 24 << 20)
            #expect(receiver.seen.body.readableBytes <= window + (16 << 10))
            #expect(receiver.seen.results.isEmpty)
            transfer.withLock { $0?.resume() }
            _ = try await receiver.finished().get()
            #expect(receiver.seen.body.readableBytes == 64 << 20)
        }
    }

    @Test func contentSurvivesPausing() async throws {
        let body = patternBytes(8 << 20)
        try await withServer(CurlEngineConfiguration(streamWindow: 32 << 10)) { _ in
            .whole(status: 200, headers: [], body: body)
        } _: { engine, server in
            let response = try await engine.stream(CurlRequest(url: server.url))
            var received = ByteBuffer()
            for try await chunk in response.body {
                received.writeImmutableBuffer(chunk)
                if Bool.random() { await Task.yield() }
            }
            #expect(received == body)
        }
    }

    @Test func lettingGoOfTheBodyEndsTheTransfer() async throws {
        try await withServer { _ in
            Self.flood
        } _: { engine, server in
            do {
                let response = try await engine.stream(
                    CurlRequest(url: server.url, timeout: .zero, maximumResponseBytes: 0))
                #expect(response.status == 200)
            }
            try await server.waitUntil { $0.openConnections == 0 }
            try await requireSoon { engine.statistics.active == 0 }
        }
    }

    @Test func anErrorInTheMiddleReachesTheReader() async throws {
        try await withServer { _ in
            .closeMidBody("{\"half\":")
        } _: { engine, server in
            let response = try await engine.stream(CurlRequest(url: server.url))
            var chunks = response.body.makeAsyncIterator()
            #expect(try await chunks.next().map { String(buffer: $0) } == "{\"half\":")
            let error = await failure { _ = try await chunks.next() }
            #expect(error?.kind == .closedEarly)
        }
    }

    @Test func streamsHaveALimitToo() async throws {
        try await withServer { _ in
            Self.flood
        } _: { engine, server in
            let response = try await engine.stream(CurlRequest(url: server.url, maximumResponseBytes: 1 << 20))
            var received = 0
            let error = await failure {
                for try await chunk in response.body { received += chunk.readableBytes }
            }
            #expect(error?.kind == .tooLarge)
            #expect(received <= 1 << 20)
        }
    }

    @Test func failuresBeforeTheHeadAreThrownByStream() async throws {
        try await withServer { _ in
            .closeBeforeResponse
        } _: { engine, server in
            let error = await failure { _ = try await engine.stream(CurlRequest(url: server.url)) }
            #expect(error?.kind == .closedEarly)
        }
    }
}
