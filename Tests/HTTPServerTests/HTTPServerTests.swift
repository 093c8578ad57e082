import Foundation
import HTTPServer
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

private let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

@Suite(.timeLimit(.minutes(1 * Sanitizer.slowness)))
struct HTTPServerTests {
    // MARK: Requests and responses

    @Test func answersOnAPersistentConnection() async throws {
        try await withServer { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                for path in ["/1", "/2?x=y"] {
                    try client.send("POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
                    let response = try client.readResponse()
                    #expect(response.status == 200)
                    #expect(response.body == "POST \(path) hi")
                    #expect(response.headers["connection"] == nil)
                    #expect(response.headers["server"] == nil)
                    #expect(response.headers["date"]?.hasSuffix("GMT") == true)
                }
            }
            let summary = try #require(await server.events.summary())
            #expect(summary.status == 200)
            #expect(summary.requestBytes == "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi".utf8.count)
            #expect(summary.isComplete)
            #expect(summary.duration < .seconds(5).underSanitizer)
        }
    }

    @Test func answersARequestThatArrivesByteByByte() async throws {
        try await withServer { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                for byte in "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".utf8
                {
                    try client.send([byte])
                }
                #expect(try client.readResponse().body == "POST /a hi")
            }
        }
    }

    @Test func answersPipelinedRequestsInOrderHoweverLongEachTakes() async throws {
        try await withServer(handler: { exchange, _ in
            let delay: TimeAmount = exchange.path == "/slow" ? .milliseconds(50) : .milliseconds(0)
            exchange.eventLoop.assumeIsolated().scheduleTask(in: delay) { exchange.echo() }
        }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(
                    "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nB"
                        + "GET /c HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try client.readResponse().body == "GET /slow ")
                #expect(try client.readResponse().body == "POST /b B")
                #expect(try client.readResponse().body == "GET /c ")
            }
        }
    }

    @Test func takesABodyOfMegabytes() async throws {
        try await withServer(handler: { exchange, _ in
            exchange.collectBody(upTo: 4 << 20) { result in
                let count = (try? result.get().readableBytes) ?? -1
                exchange.respond(status: .ok, headers: [:], body: ByteBuffer(string: "\(count)"))
            }
        }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
                try client.send([UInt8](repeating: 0x61, count: 3_000_000))
                #expect(try client.readResponse().body == "3000000")
            }
        }
    }

    @Test func oldClientsAndHeadRequestsAreServed() async throws {
        try await withServer { server in
            try await blocking { [port = server.port] in
                let old = try RawClient(port: port)
                try old.send("GET /o HTTP/1.0\r\n\r\n")
                let text = try old.readAll()
                #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(text.hasSuffix("\r\n\r\nGET /o "))

                let client = try RawClient(port: port)
                try client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try client.readResponse(toHead: true).headers["content-length"] == "7")
                try client.send(get)
                #expect(try client.readResponse().body == "GET / ")
            }
        }
    }

    @Test func aClientThatAsksForContinueGetsIt() async throws {
        try await withServer { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
                #expect(try client.readHead().status == 100)
                try client.send("hi")
                #expect(try client.readResponse().body == "POST / hi")
            }
        }
    }

    // MARK: Limits

    @Test func headersOverTheLimitAre431() async throws {
        try await withServer({ $0.maximumHeaderBytes = 1000 }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("GET /x HTTP/1.1\r\nHost: x\r\nX: \(String(repeating: "a", count: 4000))\r\n\r\n")
                let response = try client.readResponse()
                #expect(response.status == 431)
                #expect(response.headers["connection"] == "close")
                #expect(response.body.hasPrefix("{\"error\": "))
                #expect(client.isAtEnd())
            }
            #expect(await server.events.next() == .rejected(.headersTooLarge, "/x"))
        }
    }

    @Test func aBodyOverTheLimitIs413BeforeItIsSent() async throws {
        try await withServer { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
                let response = try client.readResponse()
                #expect(response.status == 413)
                #expect(client.isAtEnd())
            }
        }
    }

    @Test func aBodyOverTheLimitIs413ToAClientThatSendsOn() async throws {
        try await withServer { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n")
                // All of it is taken, so the answer is not lost to a reset.
                try client.send([UInt8](repeating: 0x61, count: 20_000_000))
                #expect(try client.readResponse().status == 413)
                #expect(client.isAtEnd())
            }
        }
    }

    @Test func aChunkedBodyOverTheLimitIs413() async throws {
        try await withServer { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                let chunk = "10000\r\n" + String(repeating: "a", count: 0x10000) + "\r\n"
                for _ in 0..<20 { try client.send(chunk) }
                #expect(try client.readResponse().status == 413)
            }
        }
    }

    @Test func tooManyConnectionsAreToldSo() async throws {
        try await withServer({ $0.maximumConnections = 1 }) { server in
            try await blocking { [port = server.port] in
                let first = try RawClient(port: port)
                try first.send(get)
                #expect(try first.readResponse().status == 200)
                let second = try RawClient(port: port)
                try second.send(get)
                let response = try second.readResponse()
                #expect(response.status == 503)
                #expect(response.headers["retry-after"] == "1")
                #expect(second.isAtEnd())
                try first.send(get)
                #expect(try first.readResponse().status == 200)
            }
            #expect(server.server.statistics.refusedConnections == 1)
            #expect(server.server.statistics.acceptedConnections == 2)
        }
    }

    // MARK: Timeouts

    @Test func slowHeadersAre408() async throws {
        try await withServer({ $0.headerTimeout = .milliseconds(100) }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("GET /late HTTP/1.1\r\nHost:")
                #expect(try client.readResponse().status == 408)
                #expect(client.isAtEnd())
            }
            #expect(await server.events.next() == .rejected(.requestTimeout, "/late"))
        }
    }

    @Test func slowBodiesAre408() async throws {
        try await withServer({ $0.bodyTimeout = .milliseconds(100) }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
                let response = try client.readResponse()
                #expect(response.status == 408)
                #expect(response.headers["connection"] == "close")
            }
        }
    }

    @Test func idleConnectionsAreClosedSilently() async throws {
        try await withServer({ $0.idleTimeout = .milliseconds(100) }) { server in
            try await blocking { [port = server.port] in
                let fresh = try RawClient(port: port)
                let used = try RawClient(port: port)
                try used.send(get)
                #expect(try used.readResponse().status == 200)
                #expect(fresh.isAtEnd())
                #expect(used.isAtEnd())
            }
        }
    }

    @Test func lingeringEnds() async throws {
        try await withServer({ $0.lingeringTimeout = .milliseconds(100) }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n")
                #expect(try client.readResponse().status == 413)
                let start = ContinuousClock.now
                let piece = [UInt8](repeating: 0x61, count: 10_000)
                #expect(throws: RawClientError.self) {
                    while ContinuousClock.now - start < .seconds(8) { try client.send(piece) }
                }
            }
        }
    }

    // MARK: Smuggling

    @Test(arguments: [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 1\r\n\r\n",
    ])
    func ambiguousRequestsAre400AndTheEnd(request: String) async throws {
        try await withServer { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                // What follows must never be taken for a request.
                try client.send(request + get)
                let response = try client.readResponse()
                #expect(response.status == 400)
                #expect(response.headers["connection"] == "close")
                #expect(client.isAtEnd())
            }
        }
    }

    // MARK: Clients that leave

    @Test func aClientThatLeavesWhileItsAnswerIsPendingIsNoticed() async throws {
        try await withServer(handler: { _, events in events.note("begun") }) { server in
            let client = try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                return LeavingClient(client)
            }
            #expect(await server.events.next() == .note("begun"))
            let left = ContinuousClock.now
            client.leave()
            #expect(await server.events.next() == .disconnected)
            #expect(ContinuousClock.now - left < .seconds(1).underSanitizer)
            #expect(await server.events.summary()?.status == 499)
        }
    }

    @Test func aClientThatLeavesMidStreamIsNoticed() async throws {
        try await withServer(handler: { exchange, _ in
            exchange.startResponse(status: .ok, headers: [:])
            exchange.write(ByteBuffer(string: "first"))
            exchange.flush()
        }) { server in
            let client = try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                _ = try client.readHead()
                #expect(try client.readChunk() == "first")
                return LeavingClient(client)
            }
            let left = ContinuousClock.now
            client.leave()
            #expect(await server.events.next() == .disconnected)
            #expect(ContinuousClock.now - left < .seconds(1).underSanitizer)
            #expect(await server.events.summary()?.status == 499)
        }
    }

    @Test func aClientThatLeavesMidBodyIsNoticed() async throws {
        try await withServer { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
                client.close()
            }
            #expect(await server.events.next() == .disconnected)
            #expect(await server.events.summary()?.status == 499)
        }
    }

    @Test func aHalfClosedClientIsStillAnswered() async throws {
        try await withServer(handler: { exchange, _ in
            exchange.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(100)) {
                exchange.startResponse(status: .ok, headers: [:])
                exchange.write(ByteBuffer(string: "one"))
                exchange.flush()
                exchange.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1200)) {
                    exchange.write(ByteBuffer(string: "two"))
                    exchange.endResponse()
                }
            }
        }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                client.shutdownWrite()
                #expect(try client.readResponse().body == "onetwo")
                #expect(client.isAtEnd())
            }
            #expect(await server.events.summary()?.status == 200)
        }
    }

    @Test func aHalfClosedClientIsAnsweredWithoutAProbeWhenItIsQuick() async throws {
        try await withServer { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
                client.shutdownWrite()
                let text = try client.readAll()
                #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(text.hasSuffix("GET /a "))
            }
        }
    }

    // MARK: Slow readers

    @Test func aSlowReaderSlowsTheWriter() async throws {
        let total = 16 << 20
        try await withServer(handler: { exchange, events in
            exchange.startResponse(status: .ok, headers: ["Content-Length": "\(total)"])
            let piece = ByteBuffer(repeating: 0x61, count: 32 << 10)
            nonisolated(unsafe) var written = 0
            func pump() {
                while exchange.isWritable, written < total {
                    exchange.write(piece)
                    exchange.flush()
                    written += piece.readableBytes
                }
                if written >= total { exchange.endResponse() } else { events.note("stalled") }
            }
            exchange.onWritable = pump
            pump()
        }) { server in
            let client = try await blocking { [port = server.port] in
                let client = try RawClient(port: port, receiveBuffer: 65536)
                try client.send(get)
                return LeavingClient(client)
            }
            // The writer stops long before everything is in memory.
            #expect(await server.events.next() == .note("stalled"))
            let response = try await blocking { try client.client.readResponse() }
            #expect(response.body.utf8.count == total)
            let summary = try #require(await server.events.summary())
            #expect(summary.status == 200)
            #expect(summary.responseBytes > total)
        }
    }

    @Test func aReaderThatTakesNothingIsCutOff() async throws {
        try await withServer(
            { $0.writeTimeout = .milliseconds(150) },
            handler: { exchange, _ in
                exchange.respond(status: .ok, headers: [:], body: ByteBuffer(repeating: 0x61, count: 32 << 20))
            }
        ) { server in
            let client = try await blocking { [port = server.port] in
                let client = try RawClient(port: port, receiveBuffer: 4096)
                try client.send(get)
                return LeavingClient(client)
            }
            let summary = try #require(await server.events.summary())
            #expect(summary.status == 499)
            #expect(!summary.isComplete)
            client.leave()
        }
    }

    @Test func aStreamedUploadReachesTheHandlerPieceByPiece() async throws {
        try await withServer(handler: { exchange, _ in
            nonisolated(unsafe) var count = 0
            exchange.streamBody(
                { bytes, consumed in
                    count += bytes.readableBytes
                    exchange.eventLoop.assumeIsolated().execute { consumed() }
                },
                onEnd: { _ in exchange.respond(status: .ok, headers: [:], body: ByteBuffer(string: "\(count)")) })
        }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n")
                try client.send([UInt8](repeating: 0x61, count: 2_000_000))
                #expect(try client.readResponse().body == "2000000")
            }
        }
    }

    @Test func anAbortedResponseLooksIncomplete() async throws {
        try await withServer(handler: { exchange, _ in
            exchange.startResponse(status: .ok, headers: [:])
            exchange.write(ByteBuffer(string: "part"))
            exchange.flush()
            exchange.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(20)) { exchange.abort() }
        }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                #expect(throws: RawClientError.self) { try client.readResponse() }
                // Without chunks only a reset tells.
                let old = try RawClient(port: port)
                try old.send("GET / HTTP/1.0\r\n\r\n")
                #expect(throws: RawClientError.self) { try old.readAll() }
            }
        }
    }
}

/// A client that crosses threads, used by one at a time.
final class LeavingClient: @unchecked Sendable {
    // Each test hands it from one blocking thread to the next and never uses it from two.
    let client: RawClient
    init(_ client: RawClient) { self.client = client }
    func leave() { client.close() }
}
