import Foundation
import JSON
import NIOHTTP1
import ServiceRuntime
import Synchronization

/// Samples of the metrics of the last 15 minutes, so that the charts of the status page have data as soon as it is
/// opened. Bounded in number and in bytes; the oldest sample is dropped first.
final class StatusHistory: Sendable {
    /// Time between two samples.
    static let interval = Duration.seconds(10)
    /// Largest number of samples: those of 15 minutes.
    static let capacity = 91
    /// Largest size of all samples, in bytes.
    static let maximumBytes = 4 << 20

    /// Names of the metric families that the page draws; only their lines are kept.
    private static let families = [
        "gateway_requests_total{", "gateway_request_duration_seconds_bucket{",
        "gateway_request_duration_seconds_count{",
        "gateway_request_duration_seconds_sum{", "gateway_connections ", "gateway_sessions{",
        "gateway_upstream_calls_in_flight{", "gateway_upstream_connections ", "gateway_requests_in_flight ",
    ]

    private struct Sample {
        let at: Date
        let metrics: String
    }

    private let samples = Mutex<[Sample]>([])

    /// Takes a sample of metrics in Prometheus' text format.
    func record(_ exposition: String, at: Date) {
        // By bytes: comparing thousands of lines character by character takes as long as some hundred requests.
        let lines = exposition.utf8.split(separator: UInt8(ascii: "\n")).filter { line in
            Self.families.contains { line.starts(with: $0.utf8) }
        }
        let sample = Sample(at: at, metrics: lines.map { Substring($0) }.joined(separator: "\n"))
        samples.withLock { samples in
            samples.append(sample)
            var bytes = samples.reduce(0) { $0 + $1.metrics.utf8.count }
            var dropped = 0
            while dropped < samples.count, samples.count - dropped > Self.capacity || bytes > Self.maximumBytes {
                bytes -= samples[dropped].metrics.utf8.count
                dropped += 1
            }
            samples.removeFirst(dropped)
        }
    }

    /// Returns the samples, oldest first, and the gateway's current time, for the page.
    func document(now: Date) -> JSONValue {
        let samples = samples.withLock { $0 }
        return [
            "now": .number(now.timeIntervalSince1970),
            "samples": .array(
                samples.map { ["at": .number($0.at.timeIntervalSince1970), "metrics": .string($0.metrics)] }),
        ]
    }

    /// Takes samples until the task is cancelled.
    func run(_ exposition: @Sendable () -> String) async {
        while !Task.isCancelled {
            record(exposition(), at: Date())
            try? await Task.sleep(for: Self.interval)
        }
    }
}

extension StatusHistory {
    /// Answers a request for the history; nil for every other path.
    func answer(_ head: HTTPRequestHead) -> AdminEndpoints.Answer? {
        guard head.uri.prefix(while: { $0 != "?" }) == "/status/history" else { return nil }
        guard head.method == .GET || head.method == .HEAD else {
            return AdminEndpoints.Answer(
                ["error": "Method not allowed"], status: .methodNotAllowed, allow: "GET, HEAD")
        }
        return AdminEndpoints.Answer(document(now: Date()))
    }
}
