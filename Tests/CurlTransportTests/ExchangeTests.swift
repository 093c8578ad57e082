import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import CurlTransport

@Suite struct ExchangeTests {
    @Test func sendsWhatItIsToldAndNothingElse() async throws {
        try await withServer { _ in
            .json("{}")
        } _: { engine, server in
            let headers: CurlHeaders = [
                ("X-One", "1"), ("X-Empty", ""), ("X-Two", "a"), ("X-Two", "b"), ("Content-Length", "999"),
                ("Transfer-Encoding", "chunked"), ("Expect", "100-continue"),
            ]
            _ = try await engine.execute(CurlRequest(url: server.url + "/p/../q?x=%20y", headers: headers))
            let request = try #require(server.requests.first)
            #expect(request.method == "GET")
            #expect(request.path == "/p/../q?x=%20y")
            #expect(
                request.headerLines == [
                    "Host: 127.0.0.1:\(server.port)", "X-One: 1", "X-Empty: ", "X-Two: a", "X-Two: b",
                    "Accept-Encoding: identity",
                ])
        }
    }

    @Test func anyMethodOnTheSameHandle() async throws {
        // One pooled handle runs them one after the other: nothing of a request may stay for the next.
        let body = ByteBuffer(string: "payload")
        let steps: [(method: String, body: CurlRequestBody?)] = [
            ("GET", nil), ("POST", .bytes(body)), ("GET", nil), ("HEAD", nil), ("POST", nil), ("PUT", .bytes(body)),
            ("DELETE", nil), ("PATCH", .bytes(body)), ("OPTIONS", nil), ("PUT", nil), ("GET", .bytes(body)),
            ("PROPFIND", .bytes(body)), ("HEAD", nil), ("GET", nil),
        ]
        try await withServer { request in
            .whole(
                status: 200, headers: [("X-Seen", "\(request.method) \(request.text)")],
                body: request.method == "HEAD" ? ByteBuffer() : ByteBuffer(string: request.method))
        } _: { engine, server in
            for step in steps {
                var request = CurlRequest(method: step.method, url: server.url)
                request.body = step.body
                let response = try await engine.execute(request)
                let text = step.body == nil ? "" : "payload"
                #expect(response.headers.first(name: "x-seen") == "\(step.method) \(text)".trimmingEnd)
                #expect(String(buffer: response.body) == (step.method == "HEAD" ? "" : step.method))
                let seen = try #require(server.requests.last)
                let announced = step.body != nil ? "7" : ["POST", "PUT"].contains(step.method) ? "0" : nil
                #expect(seen.header("Content-Length") == announced, "\(step.method)")
                #expect(seen.header("Content-Type") == nil)
            }
            #expect(server.log.acceptedConnections == 1)
        }
    }

    @Test(arguments: [0, 1, 16_384, 70_000, 5 << 20])
    func echoesBodiesOfAnySize(_ size: Int) async throws {
        try await withServer {
            .whole(status: 200, headers: [], body: $0.body)
        } _: { engine, server in
            let body = patternBytes(size)
            let response = try await engine.execute(CurlRequest(method: "POST", url: server.url, body: body))
            #expect(response.body == body)
            #expect(server.requests.first?.header("Content-Length") == "\(size)")
            #expect(server.requests.first?.header("Expect") == nil)
        }
    }

    @Test func joinsChunkedResponses() async throws {
        try await withServer { _ in
            .stream(
                status: 200, headers: [],
                pieces: [(.zero, "one "), (.milliseconds(5), "two "), (.milliseconds(5), "three")])
        } _: { engine, server in
            let response = try await engine.execute(CurlRequest(url: server.url))
            #expect(String(buffer: response.body) == "one two three")
        }
    }

    @Test func skipsInterimResponsesAndTrailers() async throws {
        let bytes =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
            + "HTTP/1.1 201 Created\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
            + "2\r\nok\r\n0\r\nX-T: late\r\n\r\n"
        try await withServer { _ in
            .raw(bytes, close: false)
        } _: { engine, server in
            let response = try await engine.execute(CurlRequest(url: server.url))
            #expect(response.status == 201)
            #expect(response.headers.map(\.name) == ["X-A", "Transfer-Encoding", "Trailer"])
            #expect(String(buffer: response.body) == "ok")
        }
    }

    @Test func readsHeadersAsTheyAre() async throws {
        let bytes =
            "HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nset-cookie:b=2\r\nX-Empty:\r\nX-Colon: a:b: c\r\n"
            + "Content-Length: 0\r\n\r\n"
        try await withServer { _ in
            .raw(bytes, close: false)
        } _: { engine, server in
            let headers = try await engine.execute(CurlRequest(url: server.url)).headers
            #expect(headers.all(name: "Set-Cookie") == ["a=1", "b=2"])
            #expect(headers.first(name: "X-Empty") == "")
            #expect(headers.first(name: "X-Colon") == "a:b: c")
        }
    }

    @Test func responsesWithoutLengthEndWithTheConnection() async throws {
        try await withServer { _ in
            .raw("HTTP/1.0 200 OK\r\n\r\nold", close: true)
        } _: { engine, server in
            let response = try await engine.execute(CurlRequest(url: server.url))
            #expect(String(buffer: response.body) == "old")
        }
    }

    @Test func doesNotFollowRedirects() async throws {
        try await withServer { _ in
            .empty(302, headers: [("Location", "/elsewhere")])
        } _: { engine, server in
            let response = try await engine.execute(CurlRequest(url: server.url))
            #expect(response.status == 302)
            #expect(server.requests.count == 1)
        }
    }

    @Test func oneConnectionServesRequestsInSequence() async throws {
        try await withServer { _ in
            .json("{}")
        } _: { engine, server in
            var reused: [Bool] = []
            for _ in 0..<10 {
                reused.append(try await engine.execute(CurlRequest(url: server.url)).timings.reusedConnection)
            }
            #expect(reused == [false] + Array(repeating: true, count: 9))
            #expect(server.log.acceptedConnections == 1)
            let statistics = engine.statistics
            #expect(statistics.openedConnections == 1)
            #expect(statistics.openSockets == 1)
            #expect(statistics.reusedConnections == 9)
            #expect(statistics.succeeded == 10)
            #expect(statistics.active == 0)
        }
    }

    @Test func connectionsThatWereIdleForLongAreNotUsed() async throws {
        try await withServer(CurlEngineConfiguration(maxIdleAge: .seconds(1))) { _ in
            .json("{}")
        } _: {
            engine, server in
            _ = try await engine.execute(CurlRequest(url: server.url))
            // libcurl counts whole seconds of its own clock.
            try await Task.sleep(for: .milliseconds(2100))
            let response = try await engine.execute(CurlRequest(url: server.url))
            #expect(!response.timings.reusedConnection)
        }
    }

    @Test func unixSockets() async throws {
        let directory = try TemporaryDirectory("curl")
        let path = directory.path("server.sock")
        try await withServer(unixSocketPath: path) {
            .text($0.text)
        } _: { engine, server in
            let request = CurlRequest(
                method: "POST", url: server.url + "/x", unixSocketPath: path, body: ByteBuffer(string: "hi"))
            for _ in 0..<2 {
                let response = try await engine.execute(request)
                #expect(String(buffer: response.body) == "hi")
            }
            #expect(server.requests.map { $0.header("Host") } == ["localhost", "localhost"])
            #expect(server.log.acceptedConnections == 1)
        }
        withExtendedLifetime(directory) {}
    }

    @Test func proxiesGetTheAbsoluteURL() async throws {
        try await withServer { _ in
            .json("{}")
        } _: { engine, server in
            _ = try await engine.execute(CurlRequest(url: "http://upstream.invalid/path", proxy: server.url))
            #expect(server.requests.first?.path == "http://upstream.invalid/path")
            // The same handle without a proxy.
            _ = try await engine.execute(CurlRequest(url: server.url + "/direct"))
            #expect(server.requests.last?.path == "/direct")
        }
    }

    @Test func resultsArriveOnTheLoopOfTheTransfer() async throws {
        try await withServer {
            .text($0.path)
        } _: { engine, server in
            let loops = Array(MultiThreadedEventLoopGroup.singleton.makeIterator())
            let receivers = (0..<20).map { RecordingReceiver(loops[$0 % loops.count]) }
            for (index, receiver) in receivers.enumerated() {
                let request = CurlRequest(url: server.url + "/\(index)")
                engine.start(request, on: loops[index % loops.count], receiver: receiver)
            }
            for (index, receiver) in receivers.enumerated() {
                let response = try await receiver.finished().get()
                #expect(String(buffer: response.body) == "/\(index)")
                #expect(receiver.seen.results.count == 1)
                #expect(receiver.seen.heads.isEmpty)
                #expect(receiver.seen.offLoop == 0)
            }
        }
    }
}

extension String {
    /// Servers see header values without the space at their end.
    fileprivate var trimmingEnd: String { hasSuffix(" ") ? String(dropLast()) : self }
}
