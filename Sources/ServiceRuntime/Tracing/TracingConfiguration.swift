import HTTPSyntax
package import JSONConfiguration

/// Settings of the `tracing` section: the collector, and the selection of traces. Tracing is off without `endpoint`.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `endpoint` | URL | – | an OTLP/HTTP collector, such as `http://127.0.0.1:4318`; `/v1/traces` is added unless it is there. Also `OTEL_EXPORTER_OTLP_ENDPOINT` |
/// | `headers`, `headersFile` | string | – | `NAME=VALUE,NAME=VALUE`, sent with every batch; secret. Also `OTEL_EXPORTER_OTLP_HEADERS` |
/// | `serviceName` | string | the process's name | the resource attribute `service.name`. Also `OTEL_SERVICE_NAME` |
/// | `sampleRatio` | number | 1 | share of the traces begun here that is recorded, 0 to 1 |
/// | `parentBased` | boolean | true | adopts the sampling flag of a caller's `traceparent`; else the ratio decides |
/// | `batch` | integer | 512 | largest number of spans in one request |
/// | `queue` | integer | 2048 | largest number of spans that wait; further ones are dropped and counted |
/// | `interval` | duration | 5 s | longest time that a span waits for its batch to fill |
/// | `timeout` | duration | 10 s | time for one request to the collector |
package struct TracingConfiguration: Hashable, Sendable {
    /// URL to which batches are posted.
    package let endpoint: String
    /// Headers of every request to the collector.
    package let headers: [Header]
    /// Name of the service; nil: the process's own name.
    package let serviceName: String?
    /// Share of traces that are recorded, from 0 to 1.
    package let sampleRatio: Double
    /// True if the caller's decision on sampling is adopted.
    package let parentBased: Bool
    /// Largest number of spans in one request.
    package let batch: Int
    /// Largest number of spans that wait.
    package let queue: Int
    /// Time between two requests.
    package let interval: Duration
    /// Time limit of a request.
    package let timeout: Duration

    /// One header field; its value is a secret.
    package struct Header: Hashable, Sendable {
        /// Name of the header.
        package let name: String
        /// Value of the header.
        package let value: Secret
    }

    /// Reads the section; nil when it names no collector. Errors are recorded in the reader.
    package init?(_ reader: ConfigurationReader) {
        let endpoint = reader.optionalString(
            "endpoint",
            "URL of the OTLP/HTTP collector, such as http://127.0.0.1:4318; absent: no traces are recorded.",
            example: "http://127.0.0.1:4318",
            environment: "OTEL_EXPORTER_OTLP_ENDPOINT")
        let headers = reader.secret(
            "headers", "Header fields of requests to the collector: NAME=VALUE,NAME=VALUE.",
            environment: "OTEL_EXPORTER_OTLP_HEADERS")
        serviceName = reader.optionalString(
            "serviceName", "Name of this service in traces.", example: "chat-gateway", environment: "OTEL_SERVICE_NAME")
        sampleRatio = reader.number(
            "sampleRatio", default: 1, in: 0...1, "Share of the traces that begin here that is recorded, from 0 to 1.")
        parentBased = reader.bool(
            "parentBased", default: true, "true: the caller's traceparent decides whether a trace is recorded.")
        batch = reader.integer(
            "batch", default: 512, in: 1...10_000, "Largest number of spans in one request to the collector.")
        queue = reader.integer(
            "queue", default: 2048, in: 1...1_000_000,
            "Largest number of waiting spans; further ones are dropped and counted.")
        interval = reader.duration(
            "interval", default: .seconds(5), in: .milliseconds(10)...(.seconds(300)),
            "Longest time that a span waits for a full batch.")
        timeout = reader.duration(
            "timeout", default: .seconds(10), in: .milliseconds(10)...(.seconds(300)),
            "Time limit of one request to the collector.")
        var parsed: [Header] = []
        for field in headers?.value.split(separator: ",") ?? [] {
            let parts = field.split(separator: "=", maxSplits: 1)
            let name = parts.first.map { String($0.filter { $0 != " " }) } ?? ""
            guard parts.count == 2, HTTPSyntax.isToken(name), parts[1].utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F })
            else {
                reader.fail("headers", expected: "NAME=VALUE,NAME=VALUE", found: "something else")
                break
            }
            parsed.append(Header(name: name, value: Secret(String(parts[1]))))
        }
        self.headers = parsed
        guard let endpoint, !endpoint.isEmpty else { return nil }
        guard let url = Self.url(endpoint) else {
            reader.fail("endpoint", expected: "http://HOST[:PORT] or https://HOST[:PORT]", found: "\"\(endpoint)\"")
            return nil
        }
        self.endpoint = url
    }

    /// Values that must not appear in a log.
    package var secrets: [String] { headers.map(\.value.value) }

    /// Returns the URL if it is valid. Credentials in a URL would appear in logs, so they are refused.
    private static func url(_ text: String) -> String? {
        let lower = text.lowercased()
        guard let scheme = ["http://", "https://"].first(where: { lower.hasPrefix($0) }),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !text.contains("@"), !text.contains("?"),
            !text.contains("#")
        else { return nil }
        let host = text.dropFirst(scheme.count).prefix { $0 != "/" }
        guard !host.isEmpty, host.first != ":" else { return nil }
        if text.hasSuffix("/v1/traces") { return text }
        return (text.hasSuffix("/") ? String(text.dropLast()) : text) + "/v1/traces"
    }
}
