import Foundation
package import Observability

/// Metrics of reading a process's configuration.
package struct ReloadMetrics: Sendable {
    private let reloads: MetricFamily<Counter>
    private let succeeded: MetricFamily<Gauge>
    private let time: MetricFamily<Gauge>

    /// Registers the metrics.
    /// - Parameter prefix: what the names begin with, such as `gateway`.
    package init(_ registry: MetricsRegistry, prefix: String) {
        reloads = registry.counter(
            "\(prefix)_configuration_reloads_total", help: "Reloads of the configuration by result.",
            labels: ["result"])
        succeeded = registry.gauge(
            "\(prefix)_configuration_last_reload_successful",
            help: "1 when the last reading of the configuration put it in force.")
        time = registry.gauge(
            "\(prefix)_configuration_last_reload_success_timestamp_seconds",
            help: "When a configuration last came into force, since the epoch.")
        for result in ["succeeded", "failed"] { reloads.with(result).increment(by: 0) }
    }

    /// A configuration is in force, that of the start among them.
    package func inForce() {
        succeeded.with().set(1)
        time.with().set(Date().timeIntervalSince1970)
    }

    /// A reload has put its configuration in force.
    package func reloaded() {
        reloads.with("succeeded").increment()
        inForce()
    }

    /// A reload has changed nothing.
    package func failed() {
        reloads.with("failed").increment()
        succeeded.with().set(0)
    }
}
