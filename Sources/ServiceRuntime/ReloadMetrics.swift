import Foundation
package import Observability

/// Metrics of reading a process's configuration.
package struct ReloadMetrics: Sendable {
    private let reloads: MetricFamily<Counter>
    private let succeeded: MetricFamily<Gauge>
    private let time: MetricFamily<Gauge>

    /// Registers the metrics.
    /// - Parameter prefix: Prefix of the names, such as `gateway`.
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

    /// Records that a configuration is in force, including the first one.
    package func inForce() {
        succeeded.with().set(1)
        time.with().set(Date().timeIntervalSince1970)
    }

    /// Records that a reload has put its configuration in force.
    package func reloaded() {
        reloads.with("succeeded").increment()
        inForce()
    }

    /// Records that a reload failed and changed nothing.
    package func failed() {
        reloads.with("failed").increment()
        succeeded.with().set(0)
    }
}
