import CurlTransport
package import Logging
import NIOCore
package import Observability
import Synchronization

/// Exporter of finished spans, from any thread, to an OTLP/HTTP collector in batches.
///
/// Recording a span never waits: it is appended to a bounded queue, or dropped and counted when that is full. A batch
/// that the collector cannot take now (429, 502, 503, 504, no connection) is sent again with growing pauses; then it is
/// dropped and counted as well.
package final class SpanExporter: Sendable {
    private struct State {
        var queue: [Span] = []
        var dropped: UInt64 = 0
        var isClosed = false
        /// True once the collector's last failure was logged; it is not logged again until a batch has succeeded.
        var isFailing = false
    }

    /// Number of attempts for a batch, and the pause before the second one, which doubles each time.
    struct Retries: Sendable {
        var tries = 4
        var pause: Duration = .milliseconds(500)
    }

    /// Selection of the traces that are recorded.
    package let sampler: TraceSampler
    private let configuration: TracingConfiguration
    private let resource: [(String, Span.Value)]
    private let scope: (name: String, version: String)
    private let engine: CurlEngine
    private let retries: Retries
    private let logger: Logger
    private let state = Mutex(State())
    private let exported: Counter
    private let droppedQueue: Counter
    private let droppedFailed: Counter
    private let wakes: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - name: Name of the process: `service.name`, unless the configuration has another, and the scope's name.
    ///   - prefix: Prefix of the metrics' names, such as `gateway`.
    package convenience init(
        _ configuration: TracingConfiguration, name: String, prefix: String, build: BuildVersion,
        metrics: MetricsRegistry, logger: Logger
    ) {
        self.init(
            configuration, name: name, prefix: prefix, build: build, metrics: metrics, retries: Retries(),
            logger: logger)
    }

    init(
        _ configuration: TracingConfiguration, name: String, prefix: String, build: BuildVersion,
        metrics: MetricsRegistry, retries: Retries, logger: Logger
    ) {
        self.configuration = configuration
        self.retries = retries
        self.logger = logger
        sampler = TraceSampler(ratio: configuration.sampleRatio, parentBased: configuration.parentBased)
        resource = [
            ("service.name", .string(configuration.serviceName ?? name)),
            ("service.version", .string(BuildVersion.number)),
            ("service.instance.id", .string(RequestIdentifier.new())),
            ("vcs.ref.head.revision", .string(build.commit)), ("telemetry.sdk.language", .string("swift")),
        ]
        scope = (name, BuildVersion.number)
        // An engine of its own: a slow collector must not delay anything else.
        engine = CurlEngine(label: "otlp", logger: logger)
        exported = metrics.counter("\(prefix)_spans_exported_total", help: "Spans that the collector took.").with()
        let dropped = metrics.counter(
            "\(prefix)_spans_dropped_total", help: "Spans that were not sent, by reason.", labels: ["reason"])
        droppedQueue = dropped.with("queue_full")
        droppedFailed = dropped.with("collector")
        (wakes, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Records a span, if its trace is recorded.
    package func record(_ span: Span) {
        guard span.context.isSampled else { return }
        let (isTaken, isFull) = state.withLock { state in
            guard !state.isClosed, state.queue.count < configuration.queue else { return (false, false) }
            state.queue.append(span)
            return (true, state.queue.count % configuration.batch == 0)
        }
        if !isTaken { droppedQueue.increment() }
        if isFull { waker.yield() }
    }

    /// Sends batches until the task is cancelled.
    package func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [interval = configuration.interval, waker] in
                while !Task.isCancelled {
                    try? await Task.sleep(for: interval)
                    waker.yield()
                }
            }
            for await _ in wakes {
                while !Task.isCancelled, await sendBatch(tries: retries.tries) {}
                if Task.isCancelled { break }
            }
            group.cancelAll()
        }
    }

    /// Sends the waiting spans, each batch once, then closes the connections. Later spans are dropped. Must be called
    /// when ``run()`` has ended.
    ///
    /// - Parameter limit: Time limit.
    package func close(within limit: Duration) async {
        state.withLock { $0.isClosed = true }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { while !Task.isCancelled, await self.sendBatch(tries: 1) {} }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
        let rest = state.withLock { state in
            defer { state.queue = [] }
            return state.queue.count
        }
        droppedFailed.increment(by: UInt64(rest))
        await engine.shutdown()
    }

    /// - Returns: True if more spans are waiting.
    private func sendBatch(tries: Int) async -> Bool {
        let spans = state.withLock { state in
            let batch = Array(state.queue.prefix(configuration.batch))
            state.queue.removeFirst(batch.count)
            return batch
        }
        guard !spans.isEmpty else { return false }
        let document = OTLPDocument(resource: resource, scope: scope)
        let body = ByteBuffer(bytes: document.bytes(spans))
        var headers: CurlHeaders = [("Content-Type", "application/json")]
        for header in configuration.headers { headers.append(name: header.name, value: header.value.value) }
        let request = CurlRequest(
            method: "POST", url: configuration.endpoint, headers: headers, body: body, timeout: configuration.timeout,
            maximumResponseBytes: 1 << 20, mayResend: true)
        var pause = retries.pause
        for attempt in 1...max(1, tries) {
            switch await post(request) {
            case .taken:
                exported.increment(by: UInt64(spans.count))
                noteSuccess()
                return state.withLock { !$0.queue.isEmpty }
            case .refused(let reason):
                noteFailure(reason)
                droppedFailed.increment(by: UInt64(spans.count))
                return state.withLock { !$0.queue.isEmpty }
            case .unavailable(let reason):
                if Task.isCancelled {
                    // The collector did not refuse them: `close` sends them, or counts them as dropped.
                    state.withLock { $0.queue.insert(contentsOf: spans, at: 0) }
                    return false
                }
                noteFailure(reason)
                if attempt < tries {
                    try? await Task.sleep(for: pause)
                    pause *= 2
                }
            }
        }
        droppedFailed.increment(by: UInt64(spans.count))
        return false
    }

    private enum Outcome {
        case taken
        /// A repetition would be refused again.
        case refused(String)
        case unavailable(String)
    }

    private func post(_ request: CurlRequest) async -> Outcome {
        do {
            let response = try await engine.execute(request)
            switch response.status {
            case 200..<300: return .taken
            case 429, 502, 503, 504: return .unavailable("status \(response.status)")
            default: return .refused("status \(response.status)")
            }
        } catch let error as CurlError {
            return .unavailable(error.kind.rawValue)
        } catch {
            return .unavailable("\(error)")
        }
    }

    private func noteSuccess() {
        let wasFailing = state.withLock { state in
            defer { state.isFailing = false }
            return state.isFailing
        }
        guard wasFailing else { return }
        logger.info("trace collector is back", metadata: ["tracing.endpoint": "\(configuration.endpoint)"])
    }

    private func noteFailure(_ reason: String) {
        let isNew = state.withLock { state in
            defer { state.isFailing = true }
            return !state.isFailing
        }
        guard isNew else { return }
        logger.warning(
            "trace collector failed",
            metadata: ["tracing.endpoint": "\(configuration.endpoint)", "problem": "\(reason)"])
    }
}
