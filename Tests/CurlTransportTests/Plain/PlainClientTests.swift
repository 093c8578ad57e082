import Glibc
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import CurlTransport

/// Connections on an event loop, used from that loop.
@Suite struct PlainClientTests {
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

    @Test func thoseThatWaitForAConnectionAreServedInOrderAndWithinTheirLimits() async throws {
        let gate = AsyncStream<Void>.makeStream()
        let server = try await ScriptedHTTPServer { request in
            if request.path == "/0" { for await _ in gate.stream { break } }
            return .text(request.path)
        }
        defer { server.stop() }
        try await withEngine(CurlEngineConfiguration(maxConnectionsPerHost: 1), on: .eventLoop) { engine in
            let loop = anyLoop()
            let receivers = (0..<5).map { _ in RecordingReceiver(loop) }
            var transfers: [CurlTransfer] = []
            for (index, receiver) in receivers.enumerated() {
                let limit: Duration = index == 2 ? .milliseconds(50) : .seconds(20)
                transfers.append(
                    engine.start(
                        CurlRequest(url: server.url + "/\(index)", timeout: limit), on: loop, receiver: receiver))
            }
            _ = try await receivers[2].finished()
            #expect(receivers[2].error?.kind == .timedOut)
            #expect(receivers[2].error?.requestSent == false)
            transfers[3].cancel()
            _ = try await receivers[3].finished()
            #expect(receivers[3].error?.kind == .cancelled)
            gate.continuation.yield()
            for index in [0, 1, 4] {
                let response = try await receivers[index].finished().get()
                #expect(String(buffer: response.body) == "/\(index)")
            }
            #expect(server.requests.map(\.path) == ["/0", "/1", "/4"])
            #expect(server.log.acceptedConnections == 1)
        }
    }

    @Test(arguments: ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake", "\n"])
    func bytesBehindAResponseAreNotTheNextResponse(_ excess: String) async throws {
        let server = try await ScriptedHTTPServer { request in
            .raw("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\(request.path)" + excess, close: false)
        }
        defer { server.stop() }
        try await withEngine(on: .eventLoop) { engine in
            for path in ["/abc", "/def", "/ghi"] {
                let response = try await engine.execute(CurlRequest(url: server.url + path))
                #expect(String(buffer: response.body) == path)
            }
            #expect(server.log.acceptedConnections == 3)
        }
    }

    @Test func bytesThatNothingAskedForEndTheConnection() async throws {
        let accepted = Mutex<[BlockingServer.Connection]>([])
        let server = try BlockingServer { connection in
            accepted.withLock { $0.append(connection) }
            while connection.readRequest() != nil {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        defer { server.stop() }
        try await withEngine(on: .eventLoop) { engine in
            _ = try await engine.execute(CurlRequest(url: server.url))
            accepted.withLock { $0[0] }.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake")
            try await requireSoon { engine.statistics.openSockets == 0 }
            let response = try await engine.execute(CurlRequest(url: server.url))
            #expect(String(buffer: response.body) == "ok")
            #expect(!response.timings.reusedConnection)
        }
    }

    @Test func aNameWithSeveralAddressesIsTriedUntilOneAnswers() async throws {
        // The server has only the one of IPv4.
        let server = try await ScriptedHTTPServer { _ in .text("ok") }
        defer { server.stop() }
        try await withEngine(on: .eventLoop) { engine in
            for _ in 0..<2 {
                let response = try await engine.execute(CurlRequest(url: "http://localhost:\(server.port)/"))
                #expect(String(buffer: response.body) == "ok")
            }
            #expect(server.requests.map { $0.header("Host") } == Array(repeating: "localhost:\(server.port)", count: 2))
            #expect(server.log.acceptedConnections == 1)
        }
    }

    @Test func anAnswerBeforeTheEndOfTheUploadLeavesTheUploadToItsEnd() async throws {
        let received = Mutex("")
        let server = try BlockingServer { connection in
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            var byte: UInt8 = 0
            while recv(connection.descriptor, &byte, 1, 0) == 1 {
                received.withLock { $0.append(Character(UnicodeScalar(byte))) }
            }
        }
        defer { server.stop() }
        try await withEngine(on: .eventLoop) { engine in
            let source = CurlBodySource(length: 8)
            let receiver = RecordingReceiver(anyLoop())
            engine.start(
                CurlRequest(method: "POST", url: server.url, body: .stream(source), mode: .streaming), on: anyLoop(),
                receiver: receiver)
            source.write(ByteBuffer(string: "four"))
            try await requireSoon { receiver.seen.body.readableBytes == 2 }
            #expect(receiver.seen.results.isEmpty)
            source.write(ByteBuffer(string: "more"))
            let response = try await receiver.finished().get()
            #expect(response.status == 200)
            try await requireSoon { received.withLock { $0.hasSuffix("\r\n\r\nfourmore") } }
        }
    }

    @Test func aBodyShorterThanItsLengthBreaksTheRequest() async throws {
        let server = try await ScriptedHTTPServer { _ in .text("ok") }
        defer { server.stop() }
        try await withEngine(on: .eventLoop) { engine in
            let source = CurlBodySource(length: 8)
            source.write(ByteBuffer(string: "four"))
            source.finish()
            let error = await failure {
                _ = try await engine.execute(CurlRequest(method: "POST", url: server.url, body: .stream(source)))
            }
            #expect(error?.kind == .cancelled)
            #expect(server.requests.isEmpty)
        }
    }

    @Test func aHostOfTheRequestsOwnReplacesTheURLs() async throws {
        let server = try await ScriptedHTTPServer { _ in .text("ok") }
        defer { server.stop() }
        try await withEngine(on: .eventLoop) { engine in
            _ = try await engine.execute(
                CurlRequest(url: server.url, headers: [("X-A", "1"), ("host", "example.com")]))
            #expect(server.requests.first?.headers["Host"] == ["example.com"])
        }
    }

    @Test func compressedContentIsDecodedPieceByPieceAndOnlyWhole() async throws {
        // Two members; the second is cut off under /cut.
        let member: [UInt8] = [
            0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 7, 0, 0x86, 0xA6, 0x10, 0x36, 5, 0, 0, 0,
        ]
        let server = try await ScriptedHTTPServer { request in
            .produce(
                status: 200,
                headers: [("Content-Encoding", request.path == "/br" ? "br" : "GZIP")]
            ) { writer in
                for byte in request.path == "/cut" ? member.dropLast(9) : member + member {
                    try await writer.write(ByteBuffer(bytes: [byte]))
                }
            }
        }
        defer { server.stop() }
        try await withEngine(on: .eventLoop) { engine in
            var request = CurlRequest(url: server.url)
            request.decodesContent = true
            let response = try await engine.execute(request)
            #expect(String(buffer: response.body) == "hellohello")
            for path in ["/cut", "/br"] {
                request.url = server.url + path
                let error = await failure { _ = try await engine.execute(request) }
                #expect(error?.kind == .invalidResponse)
            }
        }
    }

    @Test func countersAgreeWithWhatHappened() async throws {
        let server = try await ScriptedHTTPServer { $0.path == "/bad" ? .closeBeforeResponse : .text("ok") }
        defer { server.stop() }
        try await withEngine(on: .eventLoop) { engine in
            for _ in 0..<3 { _ = try await engine.execute(CurlRequest(url: server.url)) }
            _ = await failure { _ = try await engine.execute(CurlRequest(url: server.url + "/bad")) }
            let seen = engine.statistics
            #expect(seen.started == 4)
            #expect(seen.succeeded == 3)
            #expect(seen.failed == 1)
            #expect(seen.reusedConnections == 2)
            #expect(seen.openedConnections == 1)
            #expect(seen.active == 0)
        }
    }
}
