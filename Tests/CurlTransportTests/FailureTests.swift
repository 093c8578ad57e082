import Glibc
import NIOCore
import TestSupport
import Testing

@testable import CurlTransport

@Suite struct FailureTests {
    @Test(arguments: EngineHost.allCases) func refusedConnectionsSentNothing(_ host: EngineHost) async throws {
        let server = try await ScriptedHTTPServer { _ in .json("{}") }
        try await server.stopAndWait()
        try await withEngine(on: host) { engine in
            let error = await failure {
                _ = try await engine.execute(
                    CurlRequest(method: "POST", url: server.url, body: ByteBuffer(string: "x")))
            }
            #expect(error?.kind == .couldNotConnect)
            #expect(error?.curlCode == (host == .thread ? 7 : 0))
            #expect(error?.requestSent == false)
        }
    }

    @Test(arguments: EngineHost.allCases) func missingUnixSocketsSentNothing(_ host: EngineHost) async throws {
        try await withEngine(on: host) { engine in
            let error = await failure {
                _ = try await engine.execute(
                    CurlRequest(url: "http://localhost/", unixSocketPath: "/nonexistent/socket"))
            }
            #expect(error?.kind == .couldNotConnect)
            #expect(error?.requestSent == false)
        }
    }

    @Test(arguments: EngineHost.allCases) func unknownHostsSentNothing(_ host: EngineHost) async throws {
        try await withEngine(on: host) { engine in
            let error = await failure {
                _ = try await engine.execute(
                    CurlRequest(url: "http://host.invalid/", timeout: .seconds(20), connectTimeout: .seconds(20)))
            }
            #expect(error?.kind == .couldNotResolve)
            #expect(error?.requestSent == false)
        }
    }

    @Test(
        arguments: ["ftp://127.0.0.1/", "file:///etc/passwd", "http://", "no url", "http://a b/", "http://x/\0y"],
        EngineHost.allCases)
    func unusableURLsAreRefused(_ url: String, _ host: EngineHost) async throws {
        try await withEngine(on: host) { engine in
            let error = await failure { _ = try await engine.execute(CurlRequest(url: url)) }
            #expect(error?.kind == .invalidRequest)
            #expect(error?.requestSent == false)
        }
    }

    @Test func headersAndMethodsThatWouldSplitTheRequestAreNotSent() async throws {
        try await withServer { _ in
            .json("{}")
        } _: { engine, server in
            var requests = ["a\r\nB: c", "a\nb", "a\0b"].map { CurlRequest(url: server.url, headers: [("X", $0)]) }
            requests.append(CurlRequest(url: server.url, headers: [("X: y\r\nZ", "1")]))
            requests.append(CurlRequest(method: "GET / HTTP/1.1\r\nX: y", url: server.url))
            for request in requests {
                let error = await failure { _ = try await engine.execute(request) }
                #expect(error?.kind == .invalidRequest)
                #expect(error?.requestSent == false)
            }
            #expect(server.log.acceptedConnections == 0)
        }
    }

    @Test(arguments: EngineHost.allCases) func connectTimeoutSentNothing(_ host: EngineHost) async throws {
        // Two connections fill the queue of a listener that never accepts; Linux drops what comes after them.
        let listener = try BlockingServer(backlog: 0, nil)
        defer { listener.stop() }
        try await withEngine(on: host) { engine in
            let fillers = (0..<3).map { _ in RecordingReceiver(anyLoop()) }
            for filler in fillers { engine.start(CurlRequest(url: listener.url), on: anyLoop(), receiver: filler) }
            try await Task.sleep(for: .milliseconds(50))
            let error = await failure {
                _ = try await engine.execute(CurlRequest(url: listener.url, connectTimeout: .milliseconds(100)))
            }
            #expect(error?.kind == .timedOut)
            #expect(error?.requestSent == false)
        }
    }

    @Test func totalTimeoutCloses() async throws {
        try await withServer { _ in
            .hang
        } _: { engine, server in
            let clock = ContinuousClock()
            let start = clock.now
            let error = await failure {
                _ = try await engine.execute(CurlRequest(url: server.url, timeout: .milliseconds(150)))
            }
            #expect(error?.kind == .timedOut)
            #expect(error?.requestSent == true)
            #expect(clock.now - start >= .milliseconds(149))
            #expect(clock.now - start < .seconds(3).underSanitizer)
            try await server.waitUntil { $0.openConnections == 0 }
        }
    }

    @Test func totalTimeoutCutsSteadyStreams() async throws {
        let pieces = (0..<1000).map { _ in (after: Duration.milliseconds(10), bytes: "x") }
        try await withServer { _ in
            .stream(status: 200, headers: [], pieces: pieces)
        } _: { engine, server in
            let error = await failure {
                _ = try await engine.execute(
                    CurlRequest(url: server.url, timeout: .milliseconds(200), idleTimeout: .seconds(5)))
            }
            #expect(error?.kind == .timedOut)
        }
    }

    @Test func idleTimeoutCountsFromTheLastByte() async throws {
        let pieces =
            (0..<6).map { _ in (after: Duration.milliseconds(250).underSanitizer, bytes: "x") }
            + [(.seconds(20).underSanitizer, "end")]
        try await withServer { _ in
            .stream(status: 200, headers: [], pieces: pieces)
        } _: { engine, server in
            let clock = ContinuousClock()
            let start = clock.now
            let error = await failure {
                _ = try await engine.execute(
                    CurlRequest(url: server.url, timeout: .zero, idleTimeout: .seconds(1).underSanitizer))
            }
            #expect(error?.kind == .timedOut)
            #expect(error?.requestSent == true)
            #expect(clock.now - start > .milliseconds(1500).underSanitizer)
            #expect(clock.now - start < .seconds(5).underSanitizer)
            try await server.waitUntil { $0.openConnections == 0 }
        }
    }

    @Test(arguments: [false, true])
    func responsesOverTheLimitEnd(_ announced: Bool) async throws {
        let body = patternBytes(100_001)
        try await withServer { _ in
            announced
                ? .whole(status: 200, headers: [], body: body)
                : .produce(status: 200, headers: []) { try await $0.write(body) }
        } _: { engine, server in
            let error = await failure {
                _ = try await engine.execute(CurlRequest(url: server.url, maximumResponseBytes: 100_000))
            }
            #expect(error?.kind == .tooLarge)
            #expect(error?.requestSent == true)
            try await server.waitUntil { $0.openConnections == 0 }
            let response = try await engine.execute(CurlRequest(url: server.url, maximumResponseBytes: 100_001))
            #expect(response.body == body)
        }
    }

    @Test func headsOverTheLimitEnd() async throws {
        let headers = (0..<1000).map { ("X-\($0)", String(repeating: "v", count: 100)) }
        try await withServer { _ in
            .empty(200, headers: headers)
        } _: { engine, server in
            let error = await failure { _ = try await engine.execute(CurlRequest(url: server.url)) }
            #expect(error?.kind == .tooLarge)
        }
    }

    @Test(
        arguments: [
            "rubbish without a status line\r\n\r\n", "\0\0\0\0\0\0\0\0",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnothex\r\nbody",
        ])
    func rubbishIsAnInvalidResponse(_ bytes: String) async throws {
        try await withServer { _ in
            .raw(bytes, close: true)
        } _: { engine, server in
            let error = await failure { _ = try await engine.execute(CurlRequest(url: server.url)) }
            #expect(error?.kind == .invalidResponse)
            #expect(error?.requestSent == true)
        }
    }

    @Test(arguments: [ScriptedResponse.closeBeforeResponse, .resetBeforeResponse, .closeMidBody()])
    func connectionsThatCloseEarly(_ response: ScriptedResponse) async throws {
        try await withServer { _ in
            response
        } _: { engine, server in
            let error = await failure {
                _ = try await engine.execute(
                    CurlRequest(method: "POST", url: server.url, body: ByteBuffer(string: "x")))
            }
            #expect(error?.kind == .closedEarly)
            #expect(error?.requestSent == true)
            #expect(server.requests.count == 1)
        }
    }

    @Test func chunkedBodiesThatCloseEarly() async throws {
        let bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        try await withServer { _ in
            .raw(bytes, close: true)
        } _: { engine, server in
            let error = await failure { _ = try await engine.execute(CurlRequest(url: server.url)) }
            #expect(error?.kind == .closedEarly)
        }
    }

    @Test func tlsToAPlainServerSentNothing() async throws {
        try await withServer { _ in
            .json("{}")
        } _: { engine, server in
            let url = server.url.replacing("http:", with: "https:")
            let error = await failure { _ = try await engine.execute(CurlRequest(url: url)) }
            #expect(error?.kind == .tlsFailed)
            #expect(error?.requestSent == false)
            #expect(server.requests.isEmpty)
        }
    }

    @Test func aFailureLeavesTheEngineUsable() async throws {
        try await withServer {
            $0.path == "/bad" ? .closeBeforeResponse : .text("ok")
        } _: { engine, server in
            for _ in 0..<20 {
                _ = await failure { _ = try await engine.execute(CurlRequest(url: server.url + "/bad")) }
                let response = try await engine.execute(CurlRequest(url: server.url + "/good"))
                #expect(String(buffer: response.body) == "ok")
            }
        }
    }
}
