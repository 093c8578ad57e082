import HTTPServer
import NIOCore
import ProcessMemory
import Synchronization
import TestSupport
import Testing

/// What bodies and unread output draw from the process's memory budget, and that all of it goes back.
@Suite struct MemoryTests {
    private let budget = MemoryBudget(limit: 1 << 20)
    private static let kibibyte = 1024

    private func serve(
        limit: Int = 1 << 24, handler: @escaping @Sendable (HTTPExchange, Events) -> Void,
        _ body: (TestServer) async throws -> Void
    ) async throws {
        try await withServer({ $0.memory = budget }, handler: handler, body)
        #expect(await eventually { budget.statistics.used == 0 }, "\(budget.statistics)")
    }

    /// Answers with the size of the body and what the budget has then.
    private func counting(upTo limit: Int = 1 << 24) -> @Sendable (HTTPExchange, Events) -> Void {
        { [budget] exchange, _ in
            exchange.collectBody(upTo: limit) { result in
                switch result {
                case .success(let body):
                    let text = "\(body.readableBytes) \(budget.statistics.used)"
                    exchange.respond(status: .ok, headers: [:], body: ByteBuffer(string: text))
                case .failure(let failure): exchange.respond(failure)
                }
            }
        }
    }

    private static func post(_ size: Int, of announced: Int? = nil) -> [UInt8] {
        Array("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(announced ?? size)\r\n\r\n".utf8)
            + [UInt8](repeating: 0x78, count: size)
    }

    private static func chunked(_ size: Int) -> [UInt8] {
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        let chunk = [UInt8](repeating: 0x78, count: 16 * kibibyte)
        return Array(head.utf8)
            + (0..<(size / chunk.count)).flatMap { _ in Array("4000\r\n".utf8) + chunk + Array("\r\n".utf8) }
            + Array("0\r\n\r\n".utf8)
    }

    @Test func smallBodiesDrawNothing() async throws {
        try await serve(handler: counting()) { server in
            let response = try await blocking {
                let client = try RawClient(port: server.port)
                try client.send(Self.post(64 * Self.kibibyte))
                return try client.readResponse()
            }
            #expect(response.body == "65536 0")
        }
        #expect(budget.statistics.peak == 0)
    }

    @Test(arguments: [true, false]) func largeBodiesDrawUntilTheResponseIsSent(_ isChunked: Bool) async throws {
        try await serve(handler: counting()) { server in
            let responses = try await blocking {
                let client = try RawClient(port: server.port)
                return try (0..<2).map { _ in
                    try client.send(isChunked ? Self.chunked(512 * Self.kibibyte) : Self.post(512 * Self.kibibyte))
                    return try client.readResponse()
                }
            }
            #expect(responses.map(\.status) == [200, 200])
            #expect(responses.allSatisfy { $0.body == "524288 524288" })
        }
    }

    @Test(arguments: [true, false]) func aBodyWithoutRoomIsOverloaded(_ isChunked: Bool) async throws {
        try await serve(handler: counting()) { server in
            let response = try await blocking {
                let client = try RawClient(port: server.port)
                // The server answers, and ends the connection, before it has read all.
                try? client.send(isChunked ? Self.chunked(2 << 20) : Self.post(0, of: 2 << 20))
                return try client.readResponse()
            }
            #expect(response.status == 503)
            #expect(response.headers["retry-after"] == "1")
            #expect(response.body == #"{"error": "Overloaded"}"#)
            let small = try await blocking {
                let client = try RawClient(port: server.port)
                try client.send(Self.post(10))
                return try client.readResponse()
            }
            #expect(small.body == "10 0")
        }
        #expect(budget.statistics.refusals == 1)
    }

    @Test func anAnnouncedBodyDrawsOnlyWhatHasArrived() async throws {
        try await serve(handler: counting()) { server in
            let clients = try await blocking {
                try (0..<8).map { _ in
                    let client = try RawClient(port: server.port)
                    try client.send(Self.post(10, of: 1 << 20))
                    return Sending(client)
                }
            }
            #expect(await eventually { server.server.statistics.activeRequests == 8 })
            #expect(budget.statistics.used == 0)
            for client in clients { client.value.close() }
        }
        #expect(budget.statistics.refusals == 0)
    }

    @Test func aBodyThatIsGivenUpGivesItsMemoryBack() async throws {
        try await serve(handler: counting()) { server in
            let client = try await blocking {
                let client = try RawClient(port: server.port)
                try client.send(Self.post(512 * Self.kibibyte, of: 600 * Self.kibibyte))
                return Sending(client)
            }
            #expect(await eventually { budget.statistics.used == 512 * Self.kibibyte })
            client.value.close()
            #expect(await eventually { budget.statistics.used == 0 })
        }
    }

    @Test func aBodyThatIsTooLargeGivesItsMemoryBack() async throws {
        try await serve(handler: counting(upTo: 256 * Self.kibibyte)) { server in
            let response = try await blocking {
                let client = try RawClient(port: server.port)
                try? client.send(Self.chunked(512 * Self.kibibyte))
                return try client.readResponse()
            }
            #expect(response.status == 413)
            #expect(await eventually { budget.statistics.used == 0 })
        }
        #expect(budget.statistics.peak == 256 * Self.kibibyte)
    }

    @Test func aTasksBodyIsHeldUntilTheTaskEnds() async throws {
        let waiting = Mutex<CheckedContinuation<Void, Never>?>(nil)
        let budget = budget
        try await withServer(
            { $0.memory = budget },
            makeHandler: { _ in
                AsyncHTTPHandler(bodyLimit: 1 << 20) { request, _ in
                    // Unlike most, this task does not end when it is cancelled.
                    await withCheckedContinuation { continuation in waiting.withLock { $0 = continuation } }
                    #expect(request.body.readableBytes == 512 * Self.kibibyte)
                }
            }
        ) { server in
            let client = try await blocking {
                let client = try RawClient(port: server.port)
                try client.send(Self.post(512 * Self.kibibyte))
                return Sending(client)
            }
            #expect(await eventually { waiting.withLock { $0 != nil } })
            client.value.close()
            #expect(await eventually { server.server.statistics.activeRequests == 0 })
            // The task was cancelled, but has the body still.
            #expect(budget.statistics.used == 512 * Self.kibibyte)
            waiting.withLock { $0.take() }?.resume()
            #expect(await eventually { budget.statistics.used == 0 })
        }
    }

    // MARK: Output

    /// Answers with a body that is larger than what the kernel takes at once.
    private static let large: @Sendable (HTTPExchange, Events) -> Void = { exchange, _ in
        exchange.respond(status: .ok, headers: [:], body: ByteBuffer(repeating: 0x79, count: 16 << 20))
    }

    @Test(arguments: [true, false]) func outputThatNobodyReadsIsCounted(_ isRead: Bool) async throws {
        try await serve(handler: Self.large) { server in
            let client = try await blocking {
                let client = try RawClient(port: server.port, receiveBuffer: 4096)
                try client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                return Sending(client)
            }
            // It is in memory already, and counts beyond the limit.
            #expect(await eventually { budget.statistics.used > 1 << 20 })
            #expect(!budget.hasRoom(for: 65 * Self.kibibyte))
            guard isRead else { return client.value.close() }
            let size = try await blocking { try client.value.readResponse().body.utf8.count }
            #expect(size == 16 << 20)
        }
    }

    @Test func streamedOutputIsCounted() async throws {
        let written = Mutex(false)
        try await serve(handler: { exchange, _ in
            exchange.startResponse(status: .ok, headers: [:])
            for _ in 0..<64 { exchange.write(ByteBuffer(repeating: 0x79, count: 256 * Self.kibibyte)) }
            exchange.flush()
            written.withLock { $0 = true }
            exchange.onWritable = { exchange.endResponse() }
        }) { server in
            let client = try await blocking {
                let client = try RawClient(port: server.port, receiveBuffer: 4096)
                try client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                return Sending(client)
            }
            #expect(await eventually { written.withLock { $0 } && budget.statistics.used > 8 << 20 })
            let size = try await blocking { try client.value.readResponse().body.utf8.count }
            #expect(size == 16 << 20)
        }
    }
}

/// A client that is passed between the threads of a test, one after the other.
private struct Sending: @unchecked Sendable {
    let value: RawClient
    init(_ value: RawClient) { self.value = value }
}
