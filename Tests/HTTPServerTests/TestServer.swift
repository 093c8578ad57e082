import HTTPServer
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Calls a closure for every request and records every summary and failure.
final class ClosureHandler: HTTPRequestHandler {
    private let events: Events
    private let body: @Sendable (HTTPExchange) -> Void

    init(_ events: Events, _ body: @escaping @Sendable (HTTPExchange) -> Void) {
        self.events = events
        self.body = body
    }

    func handle(_ exchange: HTTPExchange) {
        let events = events
        exchange.onFinish = { events.add(.finished($0)) }
        exchange.onDisconnect = { events.add(.disconnected) }
        body(exchange)
    }

    func reject(_ failure: HTTPError, _ exchange: HTTPExchange) {
        let events = events
        exchange.onFinish = { events.add(.finished($0)) }
        events.add(.rejected(failure, exchange.head.uri))
        exchange.respond(failure)
    }
}

enum Event: Equatable {
    case finished(HTTPExchangeSummary)
    case disconnected
    case rejected(HTTPError, String)
    case note(String)
}

/// What happened, in order; waits for what has not happened yet.
final class Events: Sendable {
    private let stream: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream(of: Event.self) }

    func add(_ event: Event) { continuation.yield(event) }
    func note(_ text: String) { add(.note(text)) }

    func next() async -> Event? {
        for await event in stream { return event }
        return nil
    }

    /// The next summary, skipping everything else.
    func summary() async -> HTTPExchangeSummary? {
        while let event = await next() {
            if case .finished(let summary) = event { return summary }
        }
        return nil
    }
}

struct TestServer {
    let server: HTTPServer
    let port: Int
    let events: Events
}

/// Runs a server on a free port of the loopback interface while `body` runs.
func withServer<T>(
    _ configure: (inout HTTPServerConfiguration) -> Void = { _ in },
    logger: Logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
    handler: @escaping @Sendable (HTTPExchange, Events) -> Void = { exchange, _ in exchange.echo() },
    _ body: (TestServer) async throws -> T
) async throws -> T {
    let events = Events()
    return try await withServer(
        configure, logger: logger, events: events,
        makeHandler: { _ in ClosureHandler(events) { handler($0, events) } }, body)
}

func withServer<T>(
    _ configure: (inout HTTPServerConfiguration) -> Void = { _ in },
    logger: Logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), events: Events = Events(),
    makeHandler: @escaping @Sendable (any EventLoop) -> any HTTPRequestHandler,
    _ body: (TestServer) async throws -> T
) async throws -> T {
    var configuration = HTTPServerConfiguration(addresses: [.hostPort("127.0.0.1", 0)], name: "test")
    configure(&configuration)
    let server = HTTPServer(
        configuration: configuration, group: MultiThreadedEventLoopGroup.singleton, logger: logger,
        makeHandler: makeHandler)
    let addresses = try await server.start()
    do {
        let result = try await body(
            TestServer(server: server, port: addresses.first?.port ?? 0, events: events))
        await server.drain(within: .zero)
        return result
    } catch {
        await server.drain(within: .zero)
        throw error
    }
}

extension HTTPExchange {
    /// Answers with the request's own method, target and body.
    func echo() {
        collectBody(upTo: 1 << 20) { result in
            switch result {
            case .success(let body):
                var text = ByteBuffer(string: "\(self.head.method.rawValue) \(self.head.uri) ")
                text.writeImmutableBuffer(body)
                self.respond(status: .ok, headers: ["Content-Type": "text/plain"], body: text)
            case .failure(let failure): self.respond(failure)
            }
        }
    }
}

extension Duration {
    var milliseconds: Double { Double(components.seconds) * 1e3 + Double(components.attoseconds) / 1e15 }
}
