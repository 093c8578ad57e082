import Testing

@testable import Observability

@Suite struct MetricsTests {
    @Test func theExpositionHasHelpTypeAndEscapedLabels() {
        let registry = MetricsRegistry()
        let requests = registry.counter("requests_total", help: "Requests.", labels: ["type", "status"])
        requests.with("search_any", "200").increment()
        requests.with("search_any", "200").increment(by: 2)
        requests.with("a\"b\\c\nd", "400").increment()
        registry.gauge("open", help: "Open.").with().set(2.5)
        registry.sampled("sampled", help: "Sampled.", labels: ["x"]) { [MetricSample(1, labels: ["y"])] }
        #expect(
            registry.exposition() == """
                # HELP requests_total Requests.
                # TYPE requests_total counter
                requests_total{type="a\\"b\\\\c\\nd",status="400"} 1
                requests_total{type="search_any",status="200"} 3
                # HELP open Open.
                # TYPE open gauge
                open 2.5
                # HELP sampled Sampled.
                # TYPE sampled gauge
                sampled{x="y"} 1

                """)
    }

    @Test func histogramBucketsAreCumulative() {
        let registry = MetricsRegistry()
        let histogram = registry.histogram("seconds", help: "Seconds.", buckets: [0.1, 1]).with()
        histogram.observe(.milliseconds(100))
        histogram.observe(.milliseconds(500))
        histogram.observe(.seconds(3))
        histogram.observe(nanoseconds: -5)
        let text = registry.exposition()
        #expect(text.contains("seconds_bucket{le=\"0.1\"} 2\n"))
        #expect(text.contains("seconds_bucket{le=\"1\"} 3\n"))
        #expect(text.contains("seconds_bucket{le=\"+Inf\"} 4\n"))
        #expect(text.contains("seconds_sum 3.6\n"))
        #expect(text.contains("seconds_count 4\n"))
    }

    @Test func labelValuesBeyondTheLimitAreCountedAsOther() {
        let registry = MetricsRegistry(seriesLimit: 2)
        let family = registry.counter("x", help: "X.", labels: ["name"])
        for index in 0..<100 { family.with("\(index)").increment() }
        let text = registry.exposition()
        #expect(text.contains("x{name=\"0\"} 1\n"))
        #expect(text.contains("x{name=\"other\"} 98\n"))
        #expect(!text.contains("x{name=\"2\"}"))
    }

    @Test func processMetricsAreThere() {
        let registry = MetricsRegistry()
        registry.addProcessMetrics()
        let text = registry.exposition()
        for name in [
            "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
        ] {
            #expect(text.split(separator: "\n").contains { $0.hasPrefix(name + " ") }, "\(name)")
        }
    }
}
