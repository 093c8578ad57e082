import CurlTransport
import HTTPServer
import Logging
import NIOCore
import Observability
import ServiceRuntime

/// State that all requests of one event loop share: the loop, its transport, the instruments and the counters. A
/// request never leaves its worker. Confined to the event loop.
final class Worker {
    let eventLoop: any EventLoop
    let engine: CurlEngine
    /// Executor of tasks that serve requests on the event loop.
    let executor: EventLoopExecutor
    let metrics: GatewayMetrics
    let logger: Logger
    /// Access log of this event loop; nil where the process logs nothing.
    let accessLog: AccessLog?
    /// Exporter of spans; nil while tracing is off.
    let tracer: SpanExporter?
    /// Partitions of callers seen recently.
    var partitions = PartitionCache()
    /// Instruments of routes without types.
    var routes = RecentInstruments<RouteOutcome>()
    /// Number of requests in flight, without listening streams.
    var active = 0
    /// Number of requests whose body is streamed to the upstream while it arrives.
    var uploads = 0
    /// True once the time for draining is over: no more requests are served.
    var isClosed = false

    init(
        eventLoop: any EventLoop, engine: CurlEngine, metrics: GatewayMetrics, tracer: SpanExporter?, logger: Logger,
        accessLog: AccessLog?
    ) {
        self.eventLoop = eventLoop
        self.engine = engine
        executor = EventLoopExecutor(eventLoop)
        self.metrics = metrics
        self.tracer = tracer
        self.logger = logger
        self.accessLog = accessLog
    }
}
