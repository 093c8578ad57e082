import JSONConfiguration
package import ServiceRuntime

/// Limits of every request, with those of `ConnectionLimits`.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `body` | size | 2.5 MiB | largest request body |
/// | `headerBytes`, `headerCount` | size, integer | 32 KiB, 128 | largest request head |
/// | `upstreamResponse` | size | 16 MiB | largest answer of an upstream to a call |
/// | `memory` | size | a quarter of the memory | bodies, answers, buffers and lists beyond 64 KiB each; more are 503 |
/// | `connections` | integer | 10 000 | connections of clients; 0: no limit |
/// | `concurrentRequests` | integer | 4096 | requests in progress in all workers, after their bodies; more are 503 |
/// | `uploads` | integer | 256 | bodies that the pass-through streams, in all workers; more are 503 |
/// | `upstreamConnections` | integer | 0 | connections of a worker to one upstream; 0: no limit |
/// | `keepAlive` | duration | 15 s | time between comments on a silent event stream |
package struct LimitsConfiguration: Hashable, Sendable {
    package let body: Int
    /// Largest head of a request, in bytes.
    package let headerBytes: Int
    /// Largest number of header lines.
    package let headerCount: Int
    /// Largest response of an upstream, in bytes.
    package let upstreamResponse: Int
    /// Memory for what clients and upstreams send, in bytes; nil: a share of what there is.
    package let memory: Int?
    /// Limits of connections.
    package let clients: ConnectionLimits
    /// Largest number of client connections.
    package let connections: Int
    /// Largest number of requests in progress.
    package let concurrentRequests: Int
    /// Largest number of uploads in progress.
    package let uploads: Int
    /// Largest number of connections to one upstream server.
    package let upstreamConnections: Int
    /// Time between comments on a silent event stream.
    package let keepAlive: Duration

    init(_ reader: ConfigurationReader) {
        let mebibyte = 1_048_576
        body = reader.bytes(
            "body", default: 5 * mebibyte / 2, in: 1...(1024 * mebibyte),
            "Largest request body in bytes; a larger one is refused with 413.")
        headerBytes = reader.bytes(
            "headerBytes", default: 32_768, in: 512...mebibyte,
            "Largest request line and headers together, in bytes; larger ones are refused with 431.")
        headerCount = reader.integer(
            "headerCount", default: 128, in: 1...10_000,
            "Largest number of headers in a request; more are refused with 431.")
        upstreamResponse = reader.bytes(
            "upstreamResponse", default: 16 * mebibyte, in: 1024...(1024 * mebibyte),
            "Largest answer of an upstream to a call, in bytes; a larger one is upstream_invalid (502).")
        memory = reader.memoryBudget()
        clients = ConnectionLimits(reader)
        connections = reader.integer(
            "connections", default: 10_000, in: 0...10_000_000,
            """
            Connections of clients at a time; more are refused with 503. 0 sets no limit. Lowered at start, with a \
            warning, to what the process's limit of open files allows.
            """)
        concurrentRequests = reader.integer(
            "concurrentRequests", default: 4096, in: 1...10_000_000,
            "Requests in flight at a time in all workers, from the end of their bodies; more are refused with 503.")
        uploads = reader.integer(
            "uploads", default: 256, in: 1...1_000_000,
            """
            Request bodies that the pass-through streams to its upstream at a time, in all workers; more are refused \
            with 503.
            """)
        upstreamConnections = reader.integer(
            "upstreamConnections", default: 0, in: 0...1_000_000,
            "Connections of a worker to one upstream at a time; further calls wait for one. 0 sets no limit.")
        keepAlive = reader.duration(
            "keepAlive", default: .seconds(15), in: .milliseconds(10)...(.seconds(3600)),
            "Time between the comments that keep a silent event stream open.")
    }
}

extension LimitsConfiguration {
    /// Returns the keys whose change waits for a restart, because the listener and the engines are created with them.
    func fixedKeys(changedFrom old: LimitsConfiguration) -> [String] {
        let fixed: [(key: String, isSame: (LimitsConfiguration, LimitsConfiguration) -> Bool)] = [
            ("headerBytes", { $0.headerBytes == $1.headerBytes }),
            ("headerCount", { $0.headerCount == $1.headerCount }),
            ("memory", { $0.memory == $1.memory }),
            ("connections", { $0.connections == $1.connections }),
            ("upstreamConnections", { $0.upstreamConnections == $1.upstreamConnections }),
        ]
        return fixed.filter { !$0.isSame(old, self) }.map(\.key) + clients.keys(changedFrom: old.clients)
    }
}
