import HTTPServer
import NIOCore
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

private let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

@Suite(.timeLimit(.minutes(1 * Sanitizer.slowness)))
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

    @Test func aStreamGoesOnAfterItsTask() async throws {
        let body = PiecesBody()
        let events = Events()
        try await serve(
            events: events,
            { _, responder in
                responder.stream(status: .ok, headers: ["Content-Type": "text/event-stream"], from: body) {
                    events.note("over")
                }
                body.add("one")
            }
        ) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                #expect(try client.readHead().headers["content-type"] == "text/event-stream")
                #expect(try client.readChunk() == "one")
                body.add("two")
                #expect(try client.readChunk() == "two")
                body.add("three")
                body.end()
                #expect(try client.readChunk() == "three")
                #expect(try client.readChunk() == "")
            }
            #expect(await events.summary()?.isComplete == true)
            #expect(await events.next() == .note("over"))
            #expect(!body.isAbandoned)
        }
    }

    @Test func aConnectionIsUsableAfterAStream() async throws {
        try await serve({ _, responder in
            let body = PiecesBody()
            body.add("all")
            body.end()
            responder.stream(status: .ok, from: body)
        }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                for _ in 0..<3 {
                    try client.send(get)
                    #expect(try client.readResponse().body == "all")
                }
            }
        }
    }

    @Test func aClientThatLeavesAStreamAbandonsItsBody() async throws {
        let body = PiecesBody()
        let events = Events()
        try await serve(
            events: events,
            { _, responder in
                body.add("one")
                responder.stream(status: .ok, from: body) { events.note("over") }
            }
        ) { server in
            let client = try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                _ = try client.readHead()
                #expect(try client.readChunk() == "one")
                return LeavingClient(client)
            }
            client.leave()
            #expect(await events.next() == .note("over"))
            #expect(body.isAbandoned)
            #expect(await events.summary()?.status == 499)
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
            #expect(ContinuousClock.now - left < .seconds(1).underSanitizer)
            #expect(await events.summary()?.status == 499)
        }
    }

    @Test func aClientThatDoesNotReadIsNotWrittenToAndThenCutOff() async throws {
        let body = EndlessBody()
        let events = Events()
        try await serve(events: events, { _, responder in responder.stream(status: .ok, from: body) }) { server in
            let client = try await blocking { [port = server.port] in
                let client = try RawClient(port: port, receiveBuffer: 4096)
                try client.send(get)
                return LeavingClient(client)
            }
            #expect(await events.summary()?.isComplete == false)
            #expect(body.count < 1000)
            #expect(body.isAbandoned)
            client.leave()
        }
    }

    @Test func anUnansweredRequestIs500() async throws {
        try await serve({ _, _ in }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                #expect(try client.readResponse().status == 500)
            }
        }
    }
}

/// A body of the pieces that a test adds.
private final class PiecesBody: HTTPBodySource {
    private struct State {
        var pieces: [String] = []
        var hasEnded = false
        var isAbandoned = false
        var wake: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    func add(_ piece: String) { change { $0.pieces.append(piece) } }
    func end() { change { $0.hasEnded = true } }

    private func change(_ body: (inout sending State) -> Void) {
        state.withLock { state in
            body(&state)
            return state.wake
        }?()
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) { state.withLock { $0.wake = wake } }

    func take() -> HTTPBodyPiece {
        state.withLock { state in
            if !state.pieces.isEmpty { return .bytes(ByteBuffer(string: state.pieces.removeFirst())) }
            return state.hasEnded ? .end : .nothing
        }
    }

    func abandon() { state.withLock { $0.isAbandoned = true } }
}

/// A body that always has more.
private final class EndlessBody: HTTPBodySource {
    private let state = Mutex((taken: 0, isAbandoned: false))

    var count: Int { state.withLock { $0.taken } }
    var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    func whenReady(_ wake: @escaping @Sendable () -> Void) {}

    func take() -> HTTPBodyPiece {
        state.withLock { $0.taken += 1 }
        return .bytes(ByteBuffer(repeating: 0x61, count: 65536))
    }

    func abandon() { state.withLock { $0.isAbandoned = true } }
}
