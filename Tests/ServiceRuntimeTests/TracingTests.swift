import JSON
import JSONConfiguration
import Logging
import NIOCore
import Observability
import TestSupport
import Testing

@testable import ServiceRuntime

@Suite struct TracingTests {
    private static func configuration(
        _ document: JSONValue, environment: [String: String] = [:]
    ) throws -> TracingConfiguration? {
        let reader = ConfigurationReader(document: document, environment: environment, environmentPrefix: "TEST")
        let configuration = TracingConfiguration(reader)
        try reader.finish()
        return configuration
    }

    private static func exporter(
        _ collector: FakeCollector, _ changes: JSONObject = [:], metrics: MetricsRegistry = MetricsRegistry()
    ) throws -> SpanExporter {
        var document: JSONObject = ["endpoint": .string(collector.url), "interval": "10ms"]
        for (key, value) in changes { document[key] = value }
        return SpanExporter(
            try #require(try configuration(.object(document))), name: "test", prefix: "test",
            build: BuildVersion(commit: "abc"), metrics: metrics,
            retries: .init(tries: 3, pause: .milliseconds(1)),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private static func span(_ name: String, isSampled: Bool = true) -> Span {
        let now = NIODeadline.now()
        return Span(
            name, .server, context: .new(isSampled: isSampled), parentID: 0xAB, start: now - .milliseconds(5), end: now,
            attributes: [
                ("text", .string("a\"b")), ("number", .int(3)), ("flag", .bool(true)), ("half", .double(0.5)),
            ],
            events: [Span.Event("session", at: now)], error: "upstream_failed")
    }

    // MARK: Configuration

    @Test func withoutAnEndpointThereIsNoTracing() throws {
        #expect(try Self.configuration([:]) == nil)
        #expect(try Self.configuration(["sampleRatio": 0.5]) == nil)
    }

    @Test func theEnvironmentOfOpenTelemetryCounts() throws {
        let configuration = try #require(
            try Self.configuration(
                ["endpoint": "http://file:1"],
                environment: [
                    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/",
                    "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret,x-tenant=a=b", "OTEL_SERVICE_NAME": "chat",
                ]))
        #expect(configuration.endpoint == "http://collector:4318/v1/traces")
        #expect(configuration.headers.map(\.name) == ["api-key", "x-tenant"])
        #expect(configuration.secrets == ["s3cret", "a=b"])
        #expect(configuration.serviceName == "chat")
        #expect(!"\(configuration)".contains("s3cret"))
    }

    @Test(
        arguments: [
            ["endpoint": "ftp://x"], ["endpoint": "http://user:pass@host"], ["endpoint": "http://"],
            ["endpoint": "http://x", "sampleRatio": 2], ["endpoint": "http://x", "headers": "novalue"],
            ["endpoint": "http://x", "headers": "a b\r\nc=d"], ["endpoint": "http://x", "queue": 0],
        ] as [JSONValue])
    func whatCannotBeUsedIsRefused(_ document: JSONValue) throws {
        #expect(throws: ConfigurationErrors.self) { try Self.configuration(document) }
    }

    // MARK: Sampling

    @Test func aCallersDecisionStandsUnlessItIsNotAsked() {
        let (yes, no) = (TraceContext.new(isSampled: true), TraceContext.new(isSampled: false))
        let parentBased = TraceSampler(ratio: 0, parentBased: true)
        #expect(parentBased.begin(yes).isSampled)
        #expect(!parentBased.begin(no).isSampled)
        #expect(!parentBased.begin(nil).isSampled)
        let own = TraceSampler(ratio: 1, parentBased: false)
        #expect(own.begin(no).isSampled)
        let child = own.begin(yes)
        #expect(child.traceID == yes.traceID)
        #expect(child.spanID != yes.spanID)
    }

    @Test func theRatioDecidesByTheTraceAndAlikeEverywhere() {
        let half = TraceSampler(ratio: 0.5, parentBased: false)
        let low = TraceContext(traceHigh: 1, traceLow: 1 << 62, spanID: 1, isSampled: false)
        let high = TraceContext(traceHigh: 1, traceLow: 3 << 62, spanID: 1, isSampled: true)
        for _ in 0..<10 {
            #expect(half.begin(low).isSampled)
            #expect(!half.begin(high).isSampled)
        }
        #expect(TraceSampler(ratio: 1, parentBased: false).begin(nil).isSampled)
    }

    // MARK: Export

    @Test func spansArriveAsTheCollectorWantsThem() async throws {
        let collector = try await FakeCollector()
        defer { collector.server.stop() }
        let metrics = MetricsRegistry()
        let exporter = try Self.exporter(collector, ["headers": "api-key=s3cret"], metrics: metrics)
        let running = Task { await exporter.run() }
        exporter.record(Self.span("one"))
        exporter.record(Self.span("unsampled", isSampled: false))
        try await collector.server.waitUntil { $0.requests.count == 1 }
        let spans = try collector.spans
        #expect(spans.map(\.name) == ["one"])
        #expect(spans[0].parentID == "00000000000000ab")
        #expect(spans[0].kind == 2)
        #expect(spans[0].attributes["text"]?.string == "a\"b")
        #expect(spans[0].attributes["number"]?.string == "3")
        #expect(spans[0].eventNames == ["session"])
        #expect(spans[0].json["status"]?["code"]?.int == 2)
        #expect(spans[0].resource["service.name"]?.string == "test")
        #expect(spans[0].resource["vcs.ref.head.revision"]?.string == "abc")
        #expect(collector.server.requests[0].header("api-key") == "s3cret")
        running.cancel()
        await running.value
        await exporter.close(within: .seconds(5))
        #expect(metrics.exposition().contains("test_spans_exported_total 1\n"))
    }

    @Test func whatWaitsAtTheEndIsFlushed() async throws {
        let collector = try await FakeCollector()
        defer { collector.server.stop() }
        let exporter = try Self.exporter(collector, ["interval": "300s", "batch": 2])
        for name in ["a", "b", "c"] { exporter.record(Self.span(name)) }
        await exporter.close(within: .seconds(5))
        #expect(try collector.spans.map(\.name) == ["a", "b", "c"])
        #expect(collector.server.requests.count == 2)
    }

    @Test func aFullQueueDropsAndCounts() async throws {
        let collector = try await FakeCollector()
        defer { collector.server.stop() }
        let metrics = MetricsRegistry()
        let exporter = try Self.exporter(collector, ["queue": 3, "interval": "300s"], metrics: metrics)
        for number in 0..<10 { exporter.record(Self.span("\(number)")) }
        #expect(metrics.exposition().contains("test_spans_dropped_total{reason=\"queue_full\"} 7\n"))
        await exporter.close(within: .seconds(5))
        #expect(try collector.spans.map(\.name) == ["0", "1", "2"])
        exporter.record(Self.span("late"))
        #expect(metrics.exposition().contains("test_spans_dropped_total{reason=\"queue_full\"} 8\n"))
    }

    @Test func aBatchIsSentAgainWhileTheCollectorIsBusy() async throws {
        let collector = try await FakeCollector { $0 < 2 ? 503 : 200 }
        defer { collector.server.stop() }
        let metrics = MetricsRegistry()
        let exporter = try Self.exporter(collector, metrics: metrics)
        let running = Task { await exporter.run() }
        exporter.record(Self.span("one"))
        let isThrough = await eventually { metrics.exposition().contains("test_spans_exported_total 1\n") }
        #expect(isThrough)
        #expect(collector.server.requests.count == 3)
        running.cancel()
        await running.value
        await exporter.close(within: .seconds(1))
    }

    @Test func whatTheCollectorRefusesIsNotSentAgain() async throws {
        let collector = try await FakeCollector { _ in 400 }
        defer { collector.server.stop() }
        let metrics = MetricsRegistry()
        let exporter = try Self.exporter(collector, metrics: metrics)
        exporter.record(Self.span("one"))
        await exporter.close(within: .seconds(5))
        #expect(collector.server.requests.count == 1)
        #expect(metrics.exposition().contains("test_spans_dropped_total{reason=\"collector\"} 1\n"))
    }

    @Test func aCollectorThatHangsHoldsNothingUp() async throws {
        let server = try await ScriptedHTTPServer { _ in .hang }
        defer { server.stop() }
        let metrics = MetricsRegistry()
        let configuration = try #require(try Self.configuration(["endpoint": .string(server.url)]))
        let exporter = SpanExporter(
            configuration, name: "test", prefix: "test", build: BuildVersion(), metrics: metrics,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        exporter.record(Self.span("one"))
        await exporter.close(within: .milliseconds(50))
        #expect(metrics.exposition().contains("test_spans_dropped_total{reason=\"collector\"} 1\n"))
    }
}
