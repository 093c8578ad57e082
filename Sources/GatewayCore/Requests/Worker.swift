import CurlTransport
import Logging
import NIOCore
import ServiceRuntime

/// What all requests of one event loop share: the loop, its transport, the instruments and the counters. A request never
/// leaves its worker. Confined to the event loop.
final class Worker {
    let eventLoop: any EventLoop
    let engine: CurlEngine
    let metrics: GatewayMetrics
    let logger: Logger
    let accessLogger: Logger
    /// The taker of spans; nil while tracing is off.
    let tracer: SpanExporter?
    /// The partitions of callers seen lately.
    var partitions = PartitionCache()
    /// Requests in flight, listening streams apart.
    var active = 0
    /// Requests whose body is streamed upstream while it arrives.
    var uploads = 0
    /// Whether the time for draining is over: nothing is served any more.
    var isClosed = false

    init(
        eventLoop: any EventLoop, engine: CurlEngine, metrics: GatewayMetrics, tracer: SpanExporter?, logger: Logger,
        accessLogger: Logger
    ) {
        self.eventLoop = eventLoop
        self.engine = engine
        self.metrics = metrics
        self.tracer = tracer
        self.logger = logger
        self.accessLogger = accessLogger
    }
}
