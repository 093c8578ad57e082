import HTTPServer
import NIOCore
import NIOHTTP1
import Testing

private let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

@Suite(.timeLimit(.minutes(1)))
struct AsyncHTTPHandlerTests {
    private func serve<T>(
        events: Events = Events(),
        _ respond: @escaping @Sendable (AsyncHTTPRequest, AsyncHTTPResponder) async -> Void,
        _ body: (TestServer) async throws -> T
    ) async throws -> T {
        try await withServer(
            { $0.writeTimeout = .milliseconds(300) }, events: events,
            makeHandler: { _ in
                AsyncHTTPHandler(bodyLimit: 100, onFinish: { events.add(.finished($1)) }, respond)
            }, body)
    }

    @Test func answersWithTheWholeRequest() async throws {
        try await serve({ request, responder in
            let text = "\(request.path) \(request.query ?? "-") \(String(buffer: request.body))"
            await responder.respond(status: .created, body: ByteBuffer(string: text))
        }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send("POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
                let response = try client.readResponse()
                #expect(response.status == 201)
                #expect(response.body == "/a b=c hi")
                try client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n")
                #expect(try client.readResponse().status == 413)
            }
            #expect(await server.events.summary()?.status == 201)
            #expect(await server.events.summary()?.status == 413)
        }
    }

    @Test func streamsPiecesAsTheyAreWritten() async throws {
        let gate = Events()
        try await serve({ _, responder in
            let writer = await responder.stream(status: .ok, headers: ["Content-Type": "text/event-stream"])
            try? await writer.write(ByteBuffer(string: "one"))
            _ = await gate.next()
            try? await writer.write(ByteBuffer(string: "two"))
            await writer.end()
        }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                #expect(try client.readHead().headers["content-type"] == "text/event-stream")
                #expect(try client.readChunk() == "one")
                gate.note("go")
                #expect(try client.readChunk() == "two")
                #expect(try client.readChunk() == "")
                try client.send(get)
                #expect(try client.readHead().status == 200)
            }
        }
    }

    @Test func aClientThatLeavesCancelsTheTask() async throws {
        let events = Events()
        try await serve(
            events: events,
            { _, responder in
                events.note("begun")
                await withTaskCancellationHandler {
                    try? await Task.sleep(for: .seconds(30))
                } onCancel: {
                    events.note("cancelled")
                }
            }
        ) { server in
            let client = try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                return LeavingClient(client)
            }
            #expect(await events.next() == .note("begun"))
            let left = ContinuousClock.now
            client.leave()
            #expect(await events.next() == .note("cancelled"))
            #expect(ContinuousClock.now - left < .seconds(1))
            #expect(await events.summary()?.status == 499)
        }
    }

    @Test func aSlowReaderSuspendsTheWriterAndThenFailsIt() async throws {
        let events = Events()
        try await serve(
            events: events,
            { _, responder in
                let writer = await responder.stream(status: .ok)
                do {
                    while true { try await writer.write(ByteBuffer(repeating: 0x61, count: 65536)) }
                } catch HTTPFailure.disconnected {
                    events.note("cut off")
                } catch is CancellationError {
                    events.note("cut off")
                } catch {
                    events.note("\(error)")
                }
            }
        ) { server in
            let client = try await blocking { [port = server.port] in
                let client = try RawClient(port: port, receiveBuffer: 4096)
                try client.send(get)
                return LeavingClient(client)
            }
            var seen: [Event] = []
            while seen.count < 2, let event = await events.next() { seen.append(event) }
            #expect(seen.contains(.note("cut off")))
            client.leave()
        }
    }

    @Test func anUnansweredRequestIs500AndAnOpenStreamIsCut() async throws {
        try await serve({ request, responder in
            guard request.path == "/stream" else { return }
            let writer = await responder.stream(status: .ok)
            try? await writer.write(ByteBuffer(string: "part"))
        }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                #expect(try client.readResponse().status == 500)
                try client.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(throws: RawClientError.self) { try client.readResponse() }
            }
        }
    }
}
