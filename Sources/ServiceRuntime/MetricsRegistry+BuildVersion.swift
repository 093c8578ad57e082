package import Observability

extension MetricsRegistry {
    /// Adds `NAME_build_info{version,commit} 1`.
    package func addBuildInfo(_ name: String, _ build: BuildVersion) {
        sampled("\(name)_build_info", help: "What was built; always 1.", labels: ["version", "commit"]) {
            [MetricSample(1, labels: [BuildVersion.number, build.commit])]
        }
    }
}
