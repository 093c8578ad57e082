import Synchronization

/// All metrics of a process, and their text for Prometheus (exposition format 0.0.4).
package final class MetricsRegistry: Sendable {
    private enum Entry: Sendable {
        case counter(MetricFamily<Counter>)
        case gauge(MetricFamily<Gauge>)
        case histogram(MetricFamily<Histogram>)
        case sampled(name: String, help: String, type: String, labels: [String], @Sendable () -> [MetricSample])
    }

    private let entries = Mutex<[Entry]>([])
    private let seriesLimit: Int

    /// - Parameter seriesLimit: Largest number of combinations of label values of a metric.
    package init(seriesLimit: Int = 500) {
        self.seriesLimit = seriesLimit
    }

    /// Registers a family of counters.
    package func counter(_ name: String, help: String, labels: [String] = []) -> MetricFamily<Counter> {
        let family = MetricFamily(name: name, help: help, labels: labels, limit: seriesLimit) { Counter() }
        entries.withLock { $0.append(.counter(family)) }
        return family
    }

    /// Registers a family of gauges.
    package func gauge(_ name: String, help: String, labels: [String] = []) -> MetricFamily<Gauge> {
        let family = MetricFamily(name: name, help: help, labels: labels, limit: seriesLimit) { Gauge() }
        entries.withLock { $0.append(.gauge(family)) }
        return family
    }

    /// - Parameter buckets: Upper bounds in seconds, ascending.
    package func histogram(
        _ name: String, help: String, labels: [String] = [], buckets: [Double] = Histogram.requestBuckets
    ) -> MetricFamily<Histogram> {
        let family = MetricFamily(name: name, help: help, labels: labels, limit: seriesLimit) {
            Histogram(bounds: buckets)
        }
        entries.withLock { $0.append(.histogram(family)) }
        return family
    }

    /// Registers a metric whose values are computed when it is scraped.
    ///
    /// - Parameter type: `gauge` or `counter`.
    package func sampled(
        _ name: String, help: String, type: String = "gauge", labels: [String] = [],
        _ sample: @escaping @Sendable () -> [MetricSample]
    ) {
        entries.withLock {
            $0.append(.sampled(name: name, help: help, type: type, labels: labels, sample))
        }
    }

    /// Returns the text that Prometheus scrapes (`text/plain; version=0.0.4; charset=utf-8`).
    package func exposition() -> String {
        var text = ""
        for entry in entries.withLock({ $0 }) {
            switch entry {
            case .counter(let family):
                Self.head(family.name, family.help, "counter", to: &text)
                for (values, counter) in family.all {
                    Self.line(family.name, family.labels, values, "\(counter.value)", to: &text)
                }
            case .gauge(let family):
                Self.head(family.name, family.help, "gauge", to: &text)
                for (values, gauge) in family.all {
                    Self.line(family.name, family.labels, values, Self.number(gauge.value), to: &text)
                }
            case .histogram(let family):
                Self.head(family.name, family.help, "histogram", to: &text)
                for (values, histogram) in family.all { Self.append(histogram, family, values, to: &text) }
            case .sampled(let name, let help, let type, let labels, let sample):
                Self.head(name, help, type, to: &text)
                for sample in sample() {
                    Self.line(name, labels, sample.labels, Self.number(sample.value), to: &text)
                }
            }
        }
        return text
    }

    private static func append(
        _ histogram: Histogram, _ family: MetricFamily<Histogram>, _ values: [String], to text: inout String
    ) {
        let (cumulative, sum) = histogram.snapshot
        let labels = family.labels + ["le"]
        for (bound, count) in zip(histogram.bounds.map(number) + ["+Inf"], cumulative) {
            line(family.name + "_bucket", labels, values + [bound], "\(count)", to: &text)
        }
        line(family.name + "_sum", family.labels, values, number(sum), to: &text)
        line(family.name + "_count", family.labels, values, "\(cumulative.last ?? 0)", to: &text)
    }

    private static func head(_ name: String, _ help: String, _ type: String, to text: inout String) {
        let help = help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    private static func line(
        _ name: String, _ labels: [String], _ values: [String], _ value: String, to text: inout String
    ) {
        text += name
        if !labels.isEmpty {
            let pairs = zip(labels, values).map { "\($0)=\"\(escaped($1))\"" }
            text += "{" + pairs.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }

    private static func escaped(_ value: String) -> String {
        // Looking for texts goes character by character, and nearly no value has anything to escape.
        guard value.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 || $0 == 0x0A }) else { return value }
        return value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    private static func number(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e15 { return "\(Int(value))" }
        return "\(value)"
    }
}

/// One value of a sampled metric.
package struct MetricSample: Sendable {
    /// The label values, in the order of the metric's label names.
    package let labels: [String]
    /// Value of the sample.
    package let value: Double

    /// Describes a sample.
    package init(_ value: Double, labels: [String] = []) {
        self.labels = labels
        self.value = value
    }
}
