import Foundation
import Glibc
import HTTPServer
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import TestSupport
import Testing

private let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

/// Keeps what is logged at info and above, as `message key=value …`.
private final class LogLines: Sendable {
    let lines = Mutex<[String]>([])

    var logger: Logger {
        Logger(label: "test") { _ in Handler(target: self) }
    }

    private struct Handler: LogHandler {
        let target: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let pairs = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
            target.lines.withLock { $0.append("\(event.message)" + pairs.joined()) }
        }
    }
}

private func temporaryPath() -> String { "/tmp/http-server-\(UUID().uuidString.prefix(8)).sock" }

@Suite(.timeLimit(.minutes(1 * Sanitizer.slowness)))
struct ListeningTests {
    @Test func logsTheAddressThatWasBound() async throws {
        let log = LogLines()
        try await withServer({ $0.name = "admin" }, logger: log.logger) { server in
            #expect(log.lines.withLock { $0 } == ["listening address=127.0.0.1:\(server.port) listener=admin"])
        }
    }

    @Test func aPortInUseIsOneClearLine() async throws {
        try await withServer { server in
            let error = await #expect(throws: HTTPListenError.self) {
                try await withServer({ $0.addresses = [.hostPort("127.0.0.1", server.port)] }) { _ in }
            }
            #expect(error?.description == "cannot listen on 127.0.0.1:\(server.port): address already in use")
        }
    }

    @Test func anAddressThatFailsLeavesNothingHalfStarted() async throws {
        let path = temporaryPath()
        try await withServer { server in
            await #expect(throws: HTTPListenError.self) {
                try await withServer({
                    $0.addresses = [.unixSocket(path: path), .hostPort("127.0.0.1", server.port)]
                }) { _ in }
            }
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test func anUnknownHostIsNamed() async {
        let error = await #expect(throws: HTTPListenError.self) {
            try await withServer({ $0.addresses = [.hostPort("no-such-host.invalid", 0)] }) { _ in }
        }
        #expect(
            error?.description.hasPrefix("cannot listen on no-such-host.invalid:0: cannot resolve the name") == true)
    }

    @Test func listensOnAUnixSocketWithItsModeAndRemovesIt() async throws {
        let path = temporaryPath()
        try await withServer({
            $0.addresses = [.unixSocket(path: path)]
            $0.unixSocketMode = 0o600
        }) { _ in
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            try await blocking {
                let client = try RawClient(unixPath: path)
                try client.send(get)
                #expect(try client.readResponse().body == "GET / ")
            }
            let error = await #expect(throws: HTTPListenError.self) {
                try await withServer({ $0.addresses = [.unixSocket(path: path)] }) { _ in }
            }
            #expect(error?.description == "cannot listen on unix:\(path): address already in use")
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func aClientOfAUnixSocketThatLeavesIsNoticed() async throws {
        let path = temporaryPath()
        try await withServer(
            { $0.addresses = [.unixSocket(path: path)] }, handler: { _, events in events.note("begun") }
        ) { server in
            let client = try await blocking {
                let client = try RawClient(unixPath: path)
                try client.send(get)
                return LeavingClient(client)
            }
            #expect(await server.events.next() == .note("begun"))
            client.leave()
            #expect(await server.events.next() == .disconnected)
        }
    }

    @Test func aStaleUnixSocketIsReplacedButNothingElseIs() async throws {
        let path = temporaryPath()
        let address = try SocketAddress(unixDomainSocketPath: path)
        let stale = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        #expect(address.withSockAddr { bind(stale, $0, socklen_t($1)) } == 0)
        close(stale)
        #expect(FileManager.default.fileExists(atPath: path))
        try await withServer({ $0.addresses = [.unixSocket(path: path)] }) { _ in
            try await blocking {
                let client = try RawClient(unixPath: path)
                try client.send(get)
                #expect(try client.readResponse().status == 200)
            }
        }

        #expect(FileManager.default.createFile(atPath: path, contents: Data("kept".utf8)))
        defer { unlink(path) }
        let error = await #expect(throws: HTTPListenError.self) {
            try await withServer({ $0.addresses = [.unixSocket(path: path)] }) { _ in }
        }
        #expect(error?.description == "cannot listen on unix:\(path): the path exists and is no socket")
        #expect(FileManager.default.contents(atPath: path) == Data("kept".utf8))
    }

    @Test func servesAnInheritedSocket() async throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        #expect(address.withSockAddr { bind(descriptor, $0, socklen_t($1)) } == 0)
        #expect(listen(descriptor, 16) == 0)
        try await withServer({ $0.addresses = [.inherited(fileDescriptor: descriptor)] }) { server in
            try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                #expect(try client.readResponse().status == 200)
            }
        }
    }

    @Test func refusesAnInheritedDescriptorThatDoesNotListen() async throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        let error = await #expect(throws: HTTPListenError.self) {
            try await withServer({ $0.addresses = [.inherited(fileDescriptor: descriptor)] }) { _ in }
        }
        #expect(
            error?.description == "cannot listen on fd:\(descriptor): the inherited socket does not listen")
    }
}

@Suite(.timeLimit(.minutes(1 * Sanitizer.slowness)))
struct DrainTests {
    @Test func anIdleServerDrainsAtOnce() async throws {
        try await withServer { server in
            let client = try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                #expect(try client.readResponse().status == 200)
                return LeavingClient(client)
            }
            let start = ContinuousClock.now
            await server.server.drain(within: .seconds(10))
            #expect(ContinuousClock.now - start < .seconds(1).underSanitizer)
            try await blocking { [port = server.port] in
                #expect(client.client.isAtEnd())
                #expect(throws: RawClientError.self) { try RawClient(port: port) }
            }
        }
    }

    @Test func whatIsInFlightIsAnsweredAndThenClosed() async throws {
        try await withServer(handler: { exchange, events in
            events.note("begun")
            exchange.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(200)) {
                exchange.respond(status: .ok, headers: [:], body: ByteBuffer(string: "done"))
            }
        }) { server in
            async let response = blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                let response = try client.readResponse()
                #expect(client.isAtEnd())
                return response
            }
            #expect(await server.events.next() == .note("begun"))
            #expect(server.server.statistics.activeRequests == 1)
            await server.server.drain(within: .seconds(10))
            let answer = try await response
            #expect(answer.body == "done")
            #expect(answer.headers["connection"] == "close")
            #expect(server.server.statistics.connections == 0)
            #expect(server.server.statistics.activeRequests == 0)
        }
    }

    @Test func whatTakesTooLongIsCutOff() async throws {
        try await withServer(handler: { _, events in events.note("begun") }) { server in
            let client = try await blocking { [port = server.port] in
                let client = try RawClient(port: port)
                try client.send(get)
                return LeavingClient(client)
            }
            #expect(await server.events.next() == .note("begun"))
            let start = ContinuousClock.now
            await server.server.drain(within: .milliseconds(100))
            #expect(ContinuousClock.now - start < .seconds(3).underSanitizer)
            #expect(await server.events.next() == .disconnected)
            client.leave()
        }
    }

    @Test func drainingTwiceAndBeforeStartingIsFine() async throws {
        try await withServer { server in
            async let first: Void = server.server.drain(within: .seconds(1))
            async let second: Void = server.server.drain(within: .seconds(1))
            _ = await (first, second)
        }
        let events = Events()
        let server = HTTPServer(
            configuration: HTTPServerConfiguration(addresses: [.hostPort("127.0.0.1", 0)]),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            makeHandler: { _ in ClosureHandler(events) { $0.echo() } })
        await server.drain(within: .seconds(1))
        await #expect(throws: HTTPListenError.self) { try await server.start() }
    }
}
