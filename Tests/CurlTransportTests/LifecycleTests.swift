import Glibc
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import CurlTransport

@Suite struct LifecycleTests {
    @Test func cancelIsPromptAndClosesTheConnection() async throws {
        try await withServer { _ in
            .hang
        } _: { engine, server in
            var latencies: [Duration] = []
            for round in 1...20 {
                let loop = anyLoop()
                let receiver = RecordingReceiver(loop)
                let transfer = engine.start(CurlRequest(url: server.url), on: loop, receiver: receiver)
                try await server.waitUntil { $0.requests.count == round }
                let start = ContinuousClock.now
                transfer.cancel()
                while receiver.seen.results.isEmpty { try await Task.sleep(for: .microseconds(200)) }
                latencies.append(ContinuousClock.now - start)
                #expect(receiver.error?.kind == .cancelled)
                #expect(receiver.error?.requestSent == true)
                try await server.waitUntil { $0.openConnections == 0 }
                transfer.cancel()
                transfer.resume()
                #expect(receiver.seen.results.count == 1)
            }
            // A fast one, because the machine has other tests to run.
            #expect(latencies.sorted()[3] < .milliseconds(10))
        }
    }

    @Test(arguments: EngineHost.allCases) func whoGivesUpAnExchangeResetsItsConnection(_ host: EngineHost) async throws
    {
        let (endings, ended) = AsyncStream.makeStream(of: Int32.self)
        let server = try BlockingServer { connection in
            guard connection.readRequest() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
            var byte: UInt8 = 0
            ended.yield(recv(connection.descriptor, &byte, 1, 0) == 0 ? 0 : errno)
        }
        defer { server.stop() }
        try await withEngine(on: host) { engine in
            let task = Task {
                let response = try await engine.stream(CurlRequest(url: server.url))
                for try await _ in response.body { withUnsafeCurrentTask { $0?.cancel() } }
            }
            #expect(await failure { try await task.value }?.kind == .cancelled)
            // A mere close would be an end of the stream, as a client sends that has nothing more to say but listens.
            for await ending in endings {
                #expect(ending == ECONNRESET)
                break
            }
        }
    }

    @Test(arguments: EngineHost.allCases) func cancelBeforeConnectingSentNothing(_ host: EngineHost) async throws {
        let listener = try BlockingServer(backlog: 0, nil)
        defer { listener.stop() }
        try await withEngine(on: host) { engine in
            let receivers = (0..<6).map { _ in RecordingReceiver(anyLoop()) }
            let transfers = receivers.map { receiver in
                engine.start(CurlRequest(url: listener.url), on: anyLoop(), receiver: receiver)
            }
            try await requireSoon { engine.statistics.active == 6 }
            for transfer in transfers { transfer.cancel() }
            for receiver in receivers { _ = try await receiver.finished() }
            // The listener's queue took some; the kernel drops the others' first packet.
            #expect(receivers.last?.error?.requestSent == false)
            #expect(receivers.allSatisfy { $0.error?.kind == .cancelled })
        }
    }

    @Test func cancelledTasksCancelTheirTransfer() async throws {
        try await withServer { _ in
            .hang
        } _: { engine, server in
            let task = Task { try await engine.execute(CurlRequest(url: server.url)) }
            try await server.waitUntil { $0.requests.count == 1 }
            task.cancel()
            #expect(await failure { _ = try await task.value }?.kind == .cancelled)
            for round in 0..<20 {
                let early = Task {
                    withUnsafeCurrentTask { $0?.cancel() }
                    if round % 2 == 0 {
                        _ = try await engine.execute(CurlRequest(url: server.url))
                    } else {
                        _ = try await engine.stream(CurlRequest(url: server.url))
                    }
                }
                #expect(await failure { try await early.value }?.requestSent == false)
            }
            try await server.waitUntil { $0.openConnections == 0 }
        }
    }

    @Test func cancelRacesEndExactlyOnce() async throws {
        try await withServer { _ in
            .text("ok")
        } _: { engine, server in
            let loop = anyLoop()
            let receivers = (0..<400).map { _ in RecordingReceiver(loop) }
            await withTaskGroup(of: Void.self) { group in
                for (index, receiver) in receivers.enumerated() {
                    let transfer = engine.start(CurlRequest(url: server.url), on: loop, receiver: receiver)
                    group.addTask {
                        for _ in 0..<(index % 50) { await Task.yield() }
                        transfer.cancel()
                        transfer.resume()
                    }
                }
            }
            for receiver in receivers { _ = try await receiver.finished() }
            try await loop.submit {}.get()
            #expect(receivers.allSatisfy { $0.seen.results.count == 1 })
            #expect(engine.statistics.active == 0)
        }
    }

    @Test(arguments: EngineHost.allCases) func shutdownEndsEverythingOutstanding(_ host: EngineHost) async throws {
        let server = try await ScriptedHTTPServer { $0.path == "/hang" ? .hang : .text("ok") }
        defer { server.stop() }
        let engine = CurlEngine(label: "curl-test", eventLoop: host.eventLoop)
        let loop = anyLoop()
        let receivers = (0..<10).map { _ in RecordingReceiver(loop) }
        for receiver in receivers {
            engine.start(CurlRequest(url: server.url + "/hang"), on: loop, receiver: receiver)
        }
        try await server.waitUntil { $0.requests.count == 10 }
        let idle = try await engine.execute(CurlRequest(url: server.url))
        #expect(idle.status == 200)
        await engine.shutdown()
        await engine.shutdown()
        for receiver in receivers {
            _ = try await receiver.finished()
            #expect(receiver.error?.kind == .shutdown)
            #expect(receiver.error?.requestSent == true)
        }
        try await server.waitUntil { $0.openConnections == 0 }
        #expect(engine.statistics.openSockets == 0)

        let late = RecordingReceiver(loop)
        engine.start(CurlRequest(url: server.url), on: loop, receiver: late)
        _ = try await late.finished()
        #expect(late.error?.kind == .shutdown)
        #expect(late.error?.requestSent == false)
        #expect(late.seen.offLoop == 0)
        #expect(await failure { _ = try await engine.execute(CurlRequest(url: server.url)) }?.kind == .shutdown)
    }

    @Test(arguments: EngineHost.allCases) func shutdownRacesEndExactlyOnce(_ host: EngineHost) async throws {
        let server = try await ScriptedHTTPServer { _ in .text("ok") }
        defer { server.stop() }
        for _ in 0..<20 {
            let engine = CurlEngine(label: "curl-test", eventLoop: host.eventLoop)
            let loop = anyLoop()
            let receivers = (0..<64).map { _ in RecordingReceiver(loop) }
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await engine.shutdown() }
                for receiver in receivers {
                    group.addTask {
                        engine.start(CurlRequest(url: server.url), on: loop, receiver: receiver).cancel()
                    }
                }
            }
            for receiver in receivers { _ = try await receiver.finished() }
            try await loop.submit {}.get()
            #expect(receivers.allSatisfy { $0.seen.results.count == 1 })
        }
    }

    @Test(arguments: EngineHost.allCases) func anEngineThatIsForgottenEndsByItself(_ host: EngineHost) async throws {
        try await withServer { _ in
            .hang
        } _: { _, server in
            let receiver = RecordingReceiver(anyLoop())
            do {
                let engine = CurlEngine(label: "curl-test", eventLoop: host.eventLoop)
                engine.start(CurlRequest(url: server.url), on: anyLoop(), receiver: receiver)
                try await server.waitUntil { $0.requests.count == 1 }
            }
            try await requireSoon { receiver.error != nil }
            #expect(receiver.error?.kind == .shutdown)
            try await server.waitUntil { $0.openConnections == 0 }
        }
    }

    @Test func aThousandTransfersAtOnce() async throws {
        try await withServer {
            .delayed(.milliseconds(20), then: .text($0.text))
        } _: { engine, server in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<1000 {
                    group.addTask {
                        let body = "body \(number)"
                        let response = try await engine.execute(
                            CurlRequest(
                                method: "POST", url: server.url, body: ByteBuffer(string: body),
                                timeout: .seconds(30).underSanitizer, connectTimeout: .seconds(5).underSanitizer))
                        return String(buffer: response.body) == body
                    }
                }
                for try await right in group { #expect(right) }
            }
            #expect(server.requests.count == 1000)
            #expect(engine.statistics.succeeded == 1000)
            #expect(engine.statistics.active == 0)
        }
    }

    @Test func connectionsPerHostAreBounded() async throws {
        try await withServer(CurlEngineConfiguration(maxConnectionsPerHost: 8)) { _ in
            .text("ok")
        } _: {
            engine, server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<200 {
                    group.addTask { _ = try await engine.execute(CurlRequest(url: server.url)) }
                }
                try await group.waitForAll()
            }
            #expect(server.log.acceptedConnections <= 8)
            #expect(server.requests.count == 200)
        }
    }

    @Test func theMailboxHandsOverEveryTransferOnce() async throws {
        // Several writers against one reader that sleeps whenever it finds nothing.
        let mailbox = TransferMailbox()
        let loop = anyLoop()
        let total = 4 * 5000
        let producers = Task {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        for number in 0..<5000 {
                            let transfer = CurlTransfer(
                                CurlRequest(url: ""), eventLoop: loop, mailbox: mailbox, memory: .unlimited,
                                manualCredit: false, receiver: RecordingReceiver(loop))
                            transfer.post(CurlTransfer.Command.cancel)
                            if number % 3 == 0 { transfer.resume() }
                        }
                    }
                }
            }
        }
        var cancelled = 0
        while cancelled < total {
            mailbox.take { _, commands in
                if commands & CurlTransfer.Command.cancel != 0 { cancelled += 1 }
            }
            _ = mailbox.prepareToSleep()
            await Task.yield()
        }
        await producers.value
        mailbox.take { _, commands in #expect(commands & CurlTransfer.Command.cancel == 0) }
        #expect(cancelled == total)
    }
}
