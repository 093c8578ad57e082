import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Redis

/// Connections to Debian's redis-server, which is killed, stopped and started.
@Suite(.timeLimit(.minutes(2 * Sanitizer.slowness))) struct RedisConnectionTests {
    /// A connection on an event loop, for tests that are elsewhere.
    private struct Client: Sendable {
        let eventLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let connection: NIOLoopBound<RedisConnection>
        /// What `onChange` told: nil for open.
        let changes = NIOLockedValueBox<[RedisError?]>([])

        init(
            _ url: String, password: String? = nil,
            limits: RedisConnection.Limits = .init(
                timeout: .seconds(5) * Sanitizer.slowness, firstPause: .milliseconds(5))
        ) async throws {
            let address = try #require(RedisAddress(url))
            let (loop, told) = (eventLoop, changes)
            connection = try await loop.submit {
                NIOLoopBound(
                    RedisConnection(address, password: password, limits: limits, eventLoop: loop) { reason in
                        told.withLockedValue { $0.append(reason) }
                    }, eventLoop: loop)
            }.get()
        }

        func send(_ words: String...) async -> Result<RedisReply, RedisError> {
            await withCheckedContinuation { continuation in
                eventLoop.execute {
                    connection.value.send(words.map { Array($0.utf8) }) { continuation.resume(returning: $0) }
                }
            }
        }

        func close() async throws { try await eventLoop.submit { connection.value.close() }.get() }
    }

    @Test func commandsArePipelinedAndAnsweredInTheirOrder() async throws {
        let server = try await RedisServer()
        let client = try await Client(server.url)
        let replies = try await client.eventLoop.flatSubmit {
            let promises = (1...1000).map { _ in client.eventLoop.makePromise(of: RedisReply.self) }
            for promise in promises {
                client.connection.value.send([Array("INCR".utf8), Array("n".utf8)]) {
                    promise.completeWith($0.mapError { $0 as any Error })
                }
            }
            return EventLoopFuture.whenAllSucceed(promises.map(\.futureResult), on: client.eventLoop)
        }.get()
        #expect(replies == (1...1000).map { .integer($0) })
        #expect(client.changes.withLockedValue { $0 } == [nil])
        try await client.close()
        #expect(await client.send("PING") == .failure(.unavailable))
        try await server.stop()
    }

    @Test func theDatabaseAndThePasswordAreThoseOfTheConfiguration() async throws {
        let server = try await RedisServer(password: "a secret")
        let client = try await Client("redis://127.0.0.1:\(server.port)/7", password: "a secret")
        #expect(await client.send("SET", "k", "v") == .success(.text(Array("OK".utf8))))
        guard case .success(.text(let info)) = await client.send("CLIENT", "INFO") else {
            Issue.record("no information")
            return
        }
        #expect(String(decoding: info, as: UTF8.self).contains(" db=7 "))
        try await client.close()
        for password in ["wrong", nil] {
            let refused = try await Client(server.url, password: password)
            guard case .failure(.disconnected(let reason)) = await refused.send("PING") else {
                Issue.record("not refused")
                continue
            }
            #expect(reason.contains(password == nil ? "NOAUTH" : "WRONGPASS"), "\(reason)")
            try await refused.close()
        }
        try await server.stop()
    }

    @Test func aServerThatDiesIsFoundAgain() async throws {
        let server = try await RedisServer()
        let client = try await Client(server.url)
        #expect(await client.send("INCR", "n") == .success(.integer(1)))
        try await server.kill()
        await eventually { client.changes.withLockedValue { $0.count } >= 2 }
        // While it is away, nothing waits.
        #expect(await client.send("INCR", "n") == .failure(.unavailable))
        try await server.start()
        var reply = await client.send("INCR", "n")
        await eventually {
            if case .failure = reply { reply = await client.send("INCR", "n") }
            return reply == .success(.integer(1))
        }
        #expect(reply == .success(.integer(1)))
        #expect(client.changes.withLockedValue { $0.last } == .some(nil))
        try await client.close()
        try await server.stop()
    }

    @Test func aSilentServerCostsOneWaitAndIsLeft() async throws {
        let server = try await RedisServer()
        let client = try await Client(
            server.url, limits: .init(timeout: .milliseconds(200) * Sanitizer.slowness, firstPause: .seconds(3600)))
        #expect(await client.send("PING") == .success(.text(Array("PONG".utf8))))
        server.freeze()
        async let first = client.send("PING")
        async let second = client.send("PING")
        let failures = await [first, second]
        #expect(failures.contains(.failure(.timedOut)))
        #expect(failures.allSatisfy { if case .failure = $0 { true } else { false } })
        #expect(await client.send("PING") == .failure(.unavailable))
        server.thaw()
        try await client.close()
        try await server.stop()
    }

    @Test func aServerThatIsNotThereFailsTheFirstCommandsToo() async throws {
        let client = try await Client("redis://127.0.0.1:\(freePort())/0")
        guard case .failure(.disconnected) = await client.send("PING") else {
            Issue.record("not refused")
            return
        }
        #expect(await client.send("PING") == .failure(.unavailable))
        try await client.close()
    }

    /// What the server sends unasked would otherwise be taken for the reply to the next command, or be kept for ever.
    @Test(arguments: ["+A\r\n+B\r\n", "$1000000\r\n" + String(repeating: "x", count: 200_000)])
    func aServerThatSendsWhatNobodyAskedForIsLeft(_ answer: String) async throws {
        let server = try await ScriptedRedisServer(answer: ByteBuffer(string: answer))
        let client = try await Client(server.url, limits: .init(timeout: .seconds(60), firstPause: .seconds(3600)))
        _ = await client.send("GET", "a")
        #expect(await eventually { client.changes.withLockedValue { $0.contains { $0 != nil } } })
        try await client.close()
        server.stop()
    }

    @Test func commandsBeyondTheLimitFailAtOnce() async throws {
        let server = try await RedisServer()
        let client = try await Client(server.url, limits: .init(timeout: .seconds(5), commands: 3))
        let results = try await client.eventLoop.flatSubmit {
            let promises = (1...5).map { _ in client.eventLoop.makePromise(of: Bool.self) }
            for promise in promises {
                client.connection.value.send([Array("PING".utf8)]) { promise.succeed($0 == .failure(.tooManyCommands)) }
            }
            return EventLoopFuture.whenAllSucceed(promises.map(\.futureResult), on: client.eventLoop)
        }.get()
        #expect(results == [false, false, false, true, true])
        try await client.close()
        try await server.stop()
    }
}
