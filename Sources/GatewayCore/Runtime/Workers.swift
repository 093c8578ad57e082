import CurlTransport
import HTTPServer
import MCPClient
import NIOCore
import NIOHTTP1
import Synchronization

/// Workers of a process with their routes, found by their event loops.
final class Workers: Sendable {
    let all: [NIOLoopBound<GatewayHandler>]
    /// Event loops in the order of the workers.
    let eventLoops: [any EventLoop]
    private let byLoop: [ObjectIdentifier: NIOLoopBound<GatewayHandler>]

    init(_ workers: [(eventLoop: any EventLoop, handler: NIOLoopBound<GatewayHandler>)]) {
        all = workers.map(\.handler)
        eventLoops = workers.map(\.eventLoop)
        byLoop = Dictionary(workers.map { (ObjectIdentifier($0.eventLoop), $0.handler) }) { first, _ in first }
    }

    /// Puts a configuration with its MCP endpoints in force on every worker; returns when all have it.
    func install(_ snapshot: GatewaySnapshot, _ endpoints: [MCPEndpointService]) async {
        let futures = all.map { handler in
            handler.eventLoop.submit { handler.value.install(snapshot, endpoints) }
        }
        for future in futures { try? await future.get() }
    }

    /// Returns the routes for a connection of this loop. Must be called on the loop.
    func handler(on eventLoop: any EventLoop) -> any HTTPRequestHandler {
        byLoop[ObjectIdentifier(eventLoop)]?.value ?? UnknownLoopHandler()
    }

    /// Runs the body on every worker's loop.
    func forEach(_ body: @escaping @Sendable (GatewayHandler) -> Void) {
        for handler in all { handler.eventLoop.execute { body(handler.value) } }
    }

    /// Asks one server of an upstream for its tools, on the first worker.
    ///
    /// Returns at once when the task is cancelled: while the process stops, the answer may never come.
    func check(_ upstream: Upstream, server: Int) async -> Result<ToolCatalog, UpstreamError> {
        let answer = CatalogWaiter()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                answer.wait(continuation)
                guard let handler = all.first else { return answer.cancel() }
                handler.eventLoop.execute {
                    let worker = handler.value.worker
                    upstream.check(
                        handler.value.endpoint(of: upstream, server: server), engine: worker.engine,
                        eventLoop: worker.eventLoop, deadline: .now() + .seconds(5)
                    ) { answer.give($0) }
                }
            }
        } onCancel: {
            answer.cancel()
        }
    }
}

extension Workers: UpstreamWorkers {
    var currentWorker: Int? { eventLoops.firstIndex { $0.inEventLoop } }

    func withBalancer(of upstream: Upstream, onWorker worker: Int, _ body: @escaping @Sendable (LoadBalancer) -> Void) {
        let handler = all[worker]
        if handler.eventLoop.inEventLoop { return body(handler.value.balancer(of: upstream)) }
        handler.eventLoop.execute { body(handler.value.balancer(of: upstream)) }
    }

    func engine(ofWorker worker: Int) async throws -> CurlEngine {
        let handler = all[worker]
        return try await handler.eventLoop.submit { handler.value.worker.engine }.get()
    }
}

/// First of an answer and a cancellation, for one waiter.
private final class CatalogWaiter: Sendable {
    typealias Answer = Result<ToolCatalog, UpstreamError>

    private enum State {
        case open
        case waiting(CheckedContinuation<Answer, Never>)
        case given(Answer)
        case over
    }

    private let state = Mutex(State.open)

    func wait(_ continuation: CheckedContinuation<Answer, Never>) {
        // The task may have been cancelled before it came here.
        let early = state.withLock { state -> Answer? in
            if case .given(let answer) = state {
                state = .over
                return answer
            }
            state = .waiting(continuation)
            return nil
        }
        if let early { continuation.resume(returning: early) }
    }

    func give(_ answer: Answer) {
        let waiter = state.withLock { state -> CheckedContinuation<Answer, Never>? in
            switch state {
            case .waiting(let continuation):
                state = .over
                return continuation
            case .open:
                state = .given(answer)
                return nil
            case .given, .over:
                return nil
            }
        }
        waiter?.resume(returning: answer)
    }

    func cancel() {
        give(.failure(UpstreamError(MCPCallError(kind: .cancelled, executed: .no, detail: "stopped"))))
    }
}

/// Handler for a connection on an unknown event loop. Never used: the server serves connections on the loops of its
/// group, and each of them has a worker.
private final class UnknownLoopHandler: HTTPRequestHandler {
    func handle(_ exchange: HTTPExchange) {
        exchange.respond(status: .internalServerError, headers: [:], body: nil)
    }
}
