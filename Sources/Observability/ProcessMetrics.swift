import Foundation

extension MetricsRegistry {
    /// Registers the metrics that Prometheus expects of every process: CPU, memory, descriptors and start time, read
    /// from `/proc`.
    package func addProcessMetrics() {
        let started = Date().timeIntervalSince1970
        sampled("process_start_time_seconds", help: "Start of the process since the epoch, in seconds.") {
            [MetricSample(started)]
        }
        sampled("process_cpu_seconds_total", help: "User and system CPU time, in seconds.", type: "counter") {
            var time = timespec()
            guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return [] }
            return [MetricSample(Double(time.tv_sec) + Double(time.tv_nsec) / 1e9)]
        }
        sampled("process_resident_memory_bytes", help: "Resident memory, in bytes.") {
            guard let pages = Self.statm?.dropFirst().first.flatMap({ Double($0) }) else { return [] }
            return [MetricSample(pages * Double(sysconf(Int32(_SC_PAGESIZE))))]
        }
        sampled("process_virtual_memory_bytes", help: "Virtual memory, in bytes.") {
            guard let pages = Self.statm?.first.flatMap({ Double($0) }) else { return [] }
            return [MetricSample(pages * Double(sysconf(Int32(_SC_PAGESIZE))))]
        }
        sampled("process_open_fds", help: "Open file descriptors.") {
            let entries = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
            return entries.map { [MetricSample(Double($0.count))] } ?? []
        }
        sampled("process_max_fds", help: "The limit of open file descriptors.") {
            var limit = rlimit()
            guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return [] }
            return [MetricSample(Double(limit.rlim_cur))]
        }
    }

    private static var statm: [Substring]? {
        guard let data = FileManager.default.contents(atPath: "/proc/self/statm") else { return nil }
        return String(decoding: data, as: UTF8.self).split(separator: " ").map { $0 }
    }
}
