import Dispatch
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import CurlTransport

/// libcurl sends a request again by itself when a reused connection dies before the first byte of the response.
@Suite struct ResendTests {
    /// The server answers the first request, and closes when it has read another one on the same connection.
    private func servingOncePerConnection(
        _ body: (CurlEngine, ScriptedHTTPServer) async throws -> Void
    ) async throws {
        let served = Mutex<Set<Int>>([])
        try await withServer { request in
            served.withLock { $0.insert(request.connectionID).inserted } ? .text("ok") : .closeBeforeResponse
        } _: { engine, server in
            served.withLock { $0 = [] }
            _ = try await engine.execute(CurlRequest(url: server.url + "/first"))
            try await body(engine, server)
        }
    }

    @Test func aPostThatMayNotBeSentAgainReachesTheServerOnce() async throws {
        try await servingOncePerConnection { engine, server in
            let error = await failure {
                _ = try await engine.execute(
                    CurlRequest(
                        method: "POST", url: server.url + "/write", body: ByteBuffer(string: "x"), mayResend: false))
            }
            #expect(error?.kind == .resendRefused)
            #expect(error?.requestSent == true)
            // Had it been sent again, the second connection would have answered it.
            _ = try await engine.execute(CurlRequest(url: server.url + "/later"))
            #expect(server.requests.map(\.path) == ["/first", "/write", "/later"])
        }
    }

    @Test func aRequestThatMayBeSentAgainIs() async throws {
        // Shows that the danger is real: without the guard, libcurl does this to every request.
        try await servingOncePerConnection { engine, server in
            let response = try await engine.execute(
                CurlRequest(
                    method: "POST", url: server.url + "/read", body: ByteBuffer(string: "x"), mayResend: true))
            #expect(String(buffer: response.body) == "ok")
            #expect(server.requests.map(\.path) == ["/first", "/read", "/read"])
        }
    }

    @Test(arguments: EngineHost.allCases) func aLargeBodyCutOffOnAReusedConnectionIsNotSentAgain(_ host: EngineHost)
        async throws
    {
        let accepted = Atomic<Int>(0)
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        let server = try BlockingServer { connection in
            accepted.add(1, ordering: .relaxed)
            if connection.readRequest() != nil { connection.send(answer) }
            // Takes a part of the next request, then resets.
            var byte: UInt8 = 0
            _ = recv(connection.descriptor, &byte, 1, 0)
        }
        defer { server.stop() }
        try await withEngine(on: host) { engine in
            _ = try await engine.execute(CurlRequest(url: server.url))
            let error = await failure {
                _ = try await engine.execute(
                    CurlRequest(method: "POST", url: server.url, body: patternBytes(20 << 20)))
            }
            #expect(error?.kind == .resendRefused || error?.kind == .closedEarly)
            #expect(error?.requestSent == true)
            // A refused second sending may have opened its connection already, but sent nothing on it.
            #expect(accepted.load(ordering: .relaxed) <= 2)
        }
    }

    @Test func aConnectionThatDiedWhileIdleIsReplacedUnnoticed() async throws {
        try await withServer {
            .text($0.path)
        } _: { engine, server in
            for round in 0..<5 {
                let path = "/\(round)"
                let response = try await engine.execute(
                    CurlRequest(method: "POST", url: server.url + path, body: ByteBuffer(string: "x")))
                #expect(String(buffer: response.body) == path)
                #expect(!response.timings.reusedConnection)
                server.closeConnections()
                try await server.waitUntil { $0.openConnections == 0 }
            }
            #expect(server.requests.count == 5)
        }
    }

    @Test(arguments: EngineHost.allCases, [1, 100_000])
    func bytesOnAnUnusedConnectionAreNotTheNextResponse(host: EngineHost, length: Int) async throws {
        @Sendable func answer(_ text: String) -> String {
            "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
        }
        let ask = DispatchSemaphore(value: 0)
        let endings = Mutex<Set<Int>>([])
        let server = try BlockingServer { connection in
            while let text = connection.readRequest() {
                connection.send(answer(String(text.prefix { $0 != "\r\n" })))
                guard connection.number == 0 else { continue }
                // A response that nobody asked for: the answer to somebody else, for what the client knows.
                ask.wait()
                connection.send(length == 1 ? "H" : answer(String(repeating: "x", count: length)))
            }
            endings.withLock { _ = $0.insert(connection.number) }
        }
        defer { server.stop() }
        try await withEngine(on: host) { engine in
            _ = try await engine.execute(CurlRequest(url: server.url + "/first"))
            ask.signal()
            #expect(await eventually { endings.withLock { $0.contains(0) } })
            let response = try await engine.execute(
                CurlRequest(
                    method: "POST", url: server.url + "/write", body: ByteBuffer(string: "x"), mayResend: false))
            #expect(String(buffer: response.body) == "POST /write HTTP/1.1")
            #expect(!response.timings.reusedConnection)
        }
    }

    @Test(arguments: EngineHost.allCases) func aRequestOfWhichNothingLeftIsSentOnAFreshConnection(_ host: EngineHost)
        async throws
    {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        let requests = Mutex<[(connection: Int, line: String)]>([])
        let server = try BlockingServer { connection in
            while let text = connection.readRequest() {
                requests.withLock { $0.append((connection.number, String(text.prefix { $0 != "\r\n" }))) }
                connection.send(answer)
            }
            // Keeps its side open: the client's reading side looks alive.
            sleep(5)
        }
        defer { server.stop() }
        try await withEngine(on: host) { engine in
            _ = try await engine.execute(CurlRequest(url: server.url + "/first"))
            // The client's sending side fails from now on, before a byte is taken.
            let sockets = clientSockets(to: server.port)
            #expect(sockets.count == 1)
            for socket in sockets { shutdown(socket, Int32(SHUT_WR)) }
            let response = try await engine.execute(
                CurlRequest(
                    method: "POST", url: server.url + "/write", body: ByteBuffer(string: "x"), mayResend: false))
            #expect(String(buffer: response.body) == "ok")
            let seen = requests.withLock { $0 }
            #expect(seen.map(\.line) == ["GET /first HTTP/1.1", "POST /write HTTP/1.1"])
            #expect(seen.map(\.connection) == [0, 1])
        }
    }

    @Test func closingRacesNeverExecuteTwiceNorLieAboutSending() async throws {
        // The server closes each connection right after its answer, so that requests race with the closing.
        let executed = ExecutionCounts()
        try await withServer { request in
            executed.add(request.path)
            return .raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", close: true)
        } _: { engine, server in
            executed.clear()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<8 {
                    group.addTask {
                        for round in 0..<100 {
                            let path = "/\(worker)-\(round)"
                            do {
                                _ = try await engine.execute(
                                    CurlRequest(
                                        method: "POST", url: server.url + path, body: ByteBuffer(string: "x")))
                                #expect(executed.count(path) == 1)
                            } catch let error as CurlError {
                                let count = executed.count(path)
                                #expect(count <= 1)
                                #expect(error.requestSent || count == 0, "\(error)")
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}

private final class ExecutionCounts: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    func clear() { counts.withLock { $0 = [:] } }
    func add(_ path: String) { counts.withLock { $0[path, default: 0] += 1 } }
    func count(_ path: String) -> Int { counts.withLock { $0[path] ?? 0 } }
}
