import Glibc
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import CurlTransport

@Suite struct UploadTests {
    @Test(arguments: [true, false])
    func bodiesAreSentWhileTheyAreWritten(_ lengthKnown: Bool) async throws {
        let body = patternBytes(5 << 20)
        try await withServer {
            .text("\($0.method) \($0.body.readableBytes)")
        } _: { engine, server in
            let source = CurlBodySource(length: lengthKnown ? body.readableBytes : nil)
            let loop = anyLoop()
            let receiver = RecordingReceiver(loop)
            engine.start(
                CurlRequest(method: "POST", url: server.url, body: .stream(source)), on: loop, receiver: receiver)
            // One chunk outstanding at any time.
            var rest = body
            while let chunk = rest.readSlice(length: min(100_000, rest.readableBytes)), chunk.readableBytes > 0 {
                await withCheckedContinuation { continuation in
                    source.write(chunk) {
                        if !loop.inEventLoop { Issue.record("consumed was not called on the loop") }
                        continuation.resume()
                    }
                }
            }
            source.finish()
            let response = try await receiver.finished().get()
            #expect(String(buffer: response.body) == "POST \(body.readableBytes)")
            let request = try #require(server.requests.first)
            #expect(request.body == body)
            #expect(request.header("Transfer-Encoding") == (lengthKnown ? nil : "chunked"))
            #expect(request.header("Content-Length") == (lengthKnown ? "\(body.readableBytes)" : nil))
            #expect(request.header("Expect") == nil)
            // The handle forgets the upload.
            _ = try await engine.execute(CurlRequest(url: server.url))
            #expect(server.requests.last?.method == "GET")
            #expect(
                server.requests.last?.headerLines == [
                    "Host: 127.0.0.1:\(server.port)", "Accept-Encoding: identity",
                ])
            #expect(server.log.acceptedConnections == 1)
        }
    }

    @Test func whatIsWrittenArrivesBeforeTheEnd() async throws {
        try await withServer {
            .text($0.text)
        } _: { engine, server in
            let source = CurlBodySource()
            async let response = engine.execute(
                CurlRequest(method: "PUT", url: server.url, body: .stream(source), timeout: .zero))
            for round in 1...3 {
                source.write(ByteBuffer(string: "abc"))
                try await server.waitUntil { $0.bodyBytesReceived == 3 * round }
            }
            source.finish()
            let text = try await String(buffer: response.body)
            #expect(text == "abcabcabc")
        }
    }

    @Test func emptyStreamedBodies() async throws {
        try await withServer {
            .text("\($0.body.readableBytes)")
        } _: { engine, server in
            let source = CurlBodySource()
            source.finish()
            let response = try await engine.execute(
                CurlRequest(method: "POST", url: server.url, body: .stream(source)))
            #expect(String(buffer: response.body) == "0")
        }
    }

    @Test(arguments: EngineHost.allCases) func aServerThatDoesNotReadStopsTheWriter(_ host: EngineHost) async throws {
        let server = try BlockingServer { connection in
            var byte: UInt8 = 0
            while recv(connection.descriptor, &byte, 0, 0) == 0 { usleep(10_000) }
        }
        defer { server.stop() }
        try await withEngine(on: host) { engine in
            let source = CurlBodySource()
            let loop = anyLoop()
            let receiver = RecordingReceiver(loop)
            let transfer = engine.start(
                CurlRequest(method: "POST", url: server.url, body: .stream(source), timeout: .zero), on: loop,
                receiver: receiver)
            let chunk = patternBytes(1 << 20)
            let taken = Atomic<Int>(0)
            @Sendable func write() {
                source.write(chunk) {
                    taken.add(1, ordering: .relaxed)
                    write()
                }
            }
            write()
            var last = -1
            while taken.load(ordering: .relaxed) != last {
                last = taken.load(ordering: .relaxed)
                try await Task.sleep(for: .milliseconds(300))
            }
            #expect(last < 24)
            transfer.cancel()
            #expect(await failure { _ = try await receiver.finished().get() }?.kind == .cancelled)
        }
    }

    @Test func anEarlyAnswerEndsTheUpload() async throws {
        let answer = ScriptedResponse.text("too much", status: 413, headers: [("Connection", "close")])
        try await withServer(answeringEarly: answer) { engine, server in
            let source = CurlBodySource(length: 100 << 20)
            async let response = engine.execute(CurlRequest(method: "POST", url: server.url, body: .stream(source)))
            source.write(ByteBuffer(string: "beginning"))
            let status = try await response.status
            #expect(status == 413)
            try await requireSoon { engine.statistics.active == 0 }
        }
    }

    @Test func aSourceThatFailsBreaksTheRequest() async throws {
        try await withServer { _ in
            .json("{}")
        } _: { engine, server in
            let source = CurlBodySource()
            source.write(ByteBuffer(string: "half"))
            let receiver = RecordingReceiver(anyLoop())
            engine.start(
                CurlRequest(method: "POST", url: server.url, body: .stream(source)), on: anyLoop(), receiver: receiver)
            try await server.waitUntil { $0.bodyBytesReceived == 4 }
            source.fail()
            try await requireSoon { receiver.error != nil }
            #expect(receiver.error?.kind == .cancelled)
            #expect(receiver.error?.requestSent == true)
            try await server.waitUntil { $0.openConnections == 0 }
            #expect(server.requests.isEmpty)
        }
    }

    @Test(arguments: EngineHost.allCases) func aServerThatClosesWhileTheSourceWaitsEndsTheUpload(_ host: EngineHost)
        async throws
    {
        let server = try BlockingServer { connection in
            var buffer = [UInt8](repeating: 0, count: 4096)
            var text = ""
            while !text.hasSuffix("beginning\r\n") {
                let count = recv(connection.descriptor, &buffer, buffer.count, 0)
                if count <= 0 { return }
                text += String(decoding: buffer[..<count], as: UTF8.self)
            }
        }
        defer { server.stop() }
        try await withEngine(on: host) { engine in
            let source = CurlBodySource()
            source.write(ByteBuffer(string: "beginning"))
            let error = await failure {
                _ = try await engine.execute(
                    CurlRequest(method: "POST", url: server.url, body: .stream(source), timeout: .seconds(20)))
            }
            #expect(error?.kind == .closedEarly)
            #expect(error?.requestSent == true)
        }
    }

    @Test func unsentChunksAreFreedWithTheTransfer() async throws {
        final class Token: Sendable {}
        try await withServer(answeringEarly: .hang) { engine, server in
            let source = CurlBodySource(length: 1)
            let loop = anyLoop()
            let receiver = RecordingReceiver(loop)
            weak var leaked: Token?
            let transfer = engine.start(
                CurlRequest(method: "POST", url: server.url, body: .stream(source)), on: loop, receiver: receiver)
            source.write(ByteBuffer(string: "1"))
            do {
                let token = Token()
                leaked = token
                source.write(ByteBuffer(string: "never asked for")) { _ = token }
            }
            try await server.waitUntil { $0.requests.count == 1 }
            transfer.cancel()
            _ = try await receiver.finished()
            try await requireSoon { leaked == nil }
            source.write(ByteBuffer(string: "late"))
            source.finish()
        }
    }
}
