import CurlTransport
import HTTPServer
import JSON
import Logging
import MCPClient
import NIOCore
import NIOHTTP1
import ServiceRuntime
import Synchronization

/// One worker: an event loop, a curl engine, and everything that requests on that loop share. Requests never cross
/// shards. Confined to its event loop.
final class Shard {
    let eventLoop: any EventLoop
    let engine: CurlEngine
    let metrics: GatewayMetrics
    let logger: Logger
    let accessLogger: Logger
    /// Takes spans; nil while tracing is off.
    let tracer: SpanExporter?
    let status: GatewayStatus
    private(set) var view: ShardView
    /// Made once: the routes keep nothing of a connection.
    private(set) lazy var handler = GatewayHandler(self)
    var partitions = PartitionCache()
    /// Made when a type is shadowed.
    private(set) lazy var shadows = ShadowCalls(self)
    /// Requests in flight, listening streams apart.
    var active = 0
    /// Requests whose body is streamed upstream while it arrives.
    var uploads = 0
    /// The time for draining is over: nothing is served any more.
    var isClosed = false

    init(
        eventLoop: any EventLoop, engine: CurlEngine, snapshot: GatewaySnapshot, metrics: GatewayMetrics,
        status: GatewayStatus, tracer: SpanExporter?, logger: Logger, accessLogger: Logger
    ) {
        self.tracer = tracer
        self.eventLoop = eventLoop
        self.engine = engine
        self.metrics = metrics
        self.status = status
        self.logger = logger
        self.accessLogger = accessLogger
        view = ShardView(snapshot, previous: nil, engine: engine, eventLoop: eventLoop, catalogs: [:], metrics: metrics)
    }

    /// Puts a configuration in force for the requests that come from now on.
    func install(_ snapshot: GatewaySnapshot) {
        view = ShardView(
            snapshot, previous: view, engine: engine, eventLoop: eventLoop, catalogs: status.catalogs, metrics: metrics)
    }

    /// Arguments are checked against these tools from now on.
    func installCatalogs() {
        view.take(status.catalogs, metrics)
    }
}

/// A snapshot with what a shard has made of it. Confined to the shard's event loop.
final class ShardView {
    let snapshot: GatewaySnapshot
    /// In the order of the snapshot's upstreams.
    let gates: [UpstreamGate<MCPCaller>]
    /// In the order of the snapshot's backends.
    let backends: [UpstreamGate<ChatBackendCaller>]
    /// The configured types, and those that the tools give.
    private(set) var types: TypeMap
    /// The tools' input schemas in the order of the types; nil where none is known.
    private(set) var schemas: [JSONSchema?] = []
    /// Whether the type's tool is known to change nothing, in the order of the types.
    private(set) var readOnly: [Bool] = []
    var translator: ChatTranslator
    /// Requests in flight on this shard at most.
    let activeLimit: Int
    /// Streamed request bodies on this shard at most.
    let uploadLimit: Int

    init(
        _ snapshot: GatewaySnapshot, previous: ShardView?, engine: CurlEngine, eventLoop: any EventLoop,
        catalogs: [String: ToolCatalog], metrics: GatewayMetrics
    ) {
        self.snapshot = snapshot
        gates = snapshot.upstreams.map { upstream in
            if let known = previous?.gates.first(where: { $0.upstream.isSame(as: upstream) }) { return known }
            let callers = upstream.servers.map {
                MCPCaller(upstream: $0.client, engine: engine, eventLoop: eventLoop)
            }
            return UpstreamGate(
                upstream, callers: callers, eventLoop: eventLoop, workers: snapshot.configuration.workers)
        }
        backends = snapshot.backends.map { backend in
            if let known = previous?.backends.first(where: { $0.upstream.isSame(as: backend) }) { return known }
            let callers = backend.servers.map {
                ChatBackendCaller(backend, $0, engine: engine, eventLoop: eventLoop)
            }
            return UpstreamGate(
                backend, callers: callers, eventLoop: eventLoop, workers: snapshot.configuration.workers)
        }
        types = snapshot.types
        translator = ChatTranslator(types)
        let configuration = snapshot.configuration
        let workers = configuration.workers
        activeLimit = max(1, (configuration.limits.concurrentRequests + workers - 1) / workers)
        uploadLimit = max(1, (configuration.limits.uploads + workers - 1) / workers)
        take(catalogs, metrics)
    }

    /// Takes over what is known of the upstreams' tools.
    func take(_ catalogs: [String: ToolCatalog], _ metrics: GatewayMetrics) {
        if snapshot.configuration.chat.tools != nil {
            types = snapshot.types(with: catalogs, metrics)
            translator = ChatTranslator(types)
        }
        let entries = types.types.map { catalogs[$0.configuration.upstream]?[$0.tool] }
        schemas = entries.map { $0?.inputSchema }
        readOnly = entries.map { $0?.definition.annotations?.readOnlyHint == true }
    }

    /// The caller for a server; a new one when a reload has removed it from this view.
    func caller(of server: UpstreamServer, on shard: Shard) -> MCPCaller {
        for gate in gates {
            for caller in gate.callers where caller.upstream === server.client { return caller }
        }
        return MCPCaller(upstream: server.client, engine: shard.engine, eventLoop: shard.eventLoop)
    }

    /// Whether a type's tool is known to change nothing. Types of another list than the present one are not known.
    func isReadOnly(_ type: ChatType) -> Bool {
        readOnly.indices.contains(type.index) && types.types[type.index].name == type.name && readOnly[type.index]
    }

    /// Checks the arguments before anything is sent; nil when they are right, or when the tool is not known.
    func violation(of call: ChatTranslator.Call) -> GatewayError? {
        guard let schema = schemas[call.type.index] else { return nil }
        return ArgumentCheck.violation(of: call, schema: schema)
    }
}

/// The shards of a process, found by their event loops.
final class Shards: Sendable {
    let all: [NIOLoopBound<Shard>]
    private let byLoop: [ObjectIdentifier: NIOLoopBound<Shard>]

    init(_ shards: [(eventLoop: any EventLoop, shard: NIOLoopBound<Shard>)]) {
        all = shards.map(\.shard)
        byLoop = Dictionary(shards.map { (ObjectIdentifier($0.eventLoop), $0.shard) }) { first, _ in first }
    }

    /// Puts a configuration in force on every shard; returns when it is.
    func install(_ snapshot: GatewaySnapshot) async {
        let futures = all.map { shard in
            shard.eventLoop.submit { shard.value.install(snapshot) }
        }
        for future in futures { try? await future.get() }
    }

    /// The routes for a connection of this loop. Must be called on the loop.
    func handler(on eventLoop: any EventLoop) -> any HTTPRequestHandler {
        byLoop[ObjectIdentifier(eventLoop)]?.value.handler ?? UnknownLoopHandler()
    }

    /// Runs the body on every shard's loop.
    func forEach(_ body: @escaping @Sendable (Shard) -> Void) {
        for shard in all { shard.eventLoop.execute { body(shard.value) } }
    }

    /// Asks one server of an upstream for its tools, on the first shard. Returns at once when the task is cancelled: while the process
    /// stops, the answer may never come.
    func tools(of upstream: GatewayUpstream, on server: Int) async -> Result<ToolCatalog, MCPCallFailure> {
        let answer = CatalogAnswer()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                answer.wait(continuation)
                guard let shard = all.first else { return answer.cancel() }
                shard.eventLoop.execute {
                    let caller = shard.value.view.caller(of: upstream.servers[server], on: shard.value)
                    // Idle sessions end here too: calls end them only in passing.
                    caller.sweep()
                    caller.refreshCatalog(deadline: .now() + .seconds(5)) { answer.give($0) }
                }
            }
        } onCancel: {
            answer.cancel()
        }
    }
}

/// The first of an answer and a cancellation, for one waiter.
private final class CatalogAnswer: Sendable {
    typealias Answer = Result<ToolCatalog, MCPCallFailure>

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
        give(.failure(MCPCallFailure(kind: .cancelled, executed: .no, detail: "stopped")))
    }
}

/// Cannot be reached: the server serves connections on the loops of its group, and each has a shard.
private final class UnknownLoopHandler: HTTPRequestHandler {
    func handle(_ exchange: HTTPExchange) {
        exchange.respond(status: .internalServerError, headers: [:], body: nil)
    }
}
