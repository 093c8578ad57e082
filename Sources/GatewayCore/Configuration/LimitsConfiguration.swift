import JSONConfiguration

/// What bounds every request.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `body` | size | 2.5 MiB | request body |
/// | `headerBytes`, `headerCount` | size, integer | 32 KiB, 128 | request head |
/// | `upstreamResponse` | size | 16 MiB | an upstream's answer to a call |
/// | `headerTimeout`, `bodyTimeout` | duration | 10 s, 30 s | for the head; between two reads of the body |
/// | `idleTimeout`, `writeTimeout` | duration | 75 s, 60 s | an unused connection; a client that does not read |
/// | `connections` | integer | 10 000 | clients' connections; 0: no bound |
/// | `concurrentRequests` | integer | 4096 | requests in flight in all workers; more are 503 |
/// | `upstreamConnections` | integer | 0 | a worker's connections to one upstream; 0: no bound |
/// | `keepAlive` | duration | 15 s | between comments on a silent event stream |
package struct LimitsConfiguration: Hashable, Sendable {
    package let body: Int
    package let headerBytes: Int
    package let headerCount: Int
    package let upstreamResponse: Int
    package let headerTimeout: Duration
    package let bodyTimeout: Duration
    package let idleTimeout: Duration
    package let writeTimeout: Duration
    package let connections: Int
    package let concurrentRequests: Int
    package let upstreamConnections: Int
    package let keepAlive: Duration

    init(_ reader: ConfigurationReader) {
        let mebibyte = 1_048_576
        let times: ClosedRange<Duration> = .milliseconds(10)...(.seconds(86400))
        body = reader.bytes("body", default: 5 * mebibyte / 2, in: 1...(1024 * mebibyte), "A request's body at most.")
        headerBytes = reader.bytes("headerBytes", default: 32_768, in: 512...mebibyte, "A request's head at most.")
        headerCount = reader.integer("headerCount", default: 128, in: 1...10_000, "A request's headers at most.")
        upstreamResponse = reader.bytes(
            "upstreamResponse", default: 16 * mebibyte, in: 1024...(1024 * mebibyte),
            "An upstream's answer to a call at most.")
        headerTimeout = reader.duration(
            "headerTimeout", default: .seconds(10), in: times, "From a request's first byte to the end of its head.")
        bodyTimeout = reader.duration(
            "bodyTimeout", default: .seconds(30), in: times, "Between two reads of a request's body.")
        idleTimeout = reader.duration(
            "idleTimeout", default: .seconds(75), in: times, "After which an unused connection is closed.")
        writeTimeout = reader.duration(
            "writeTimeout", default: .seconds(60), in: times, "After which a client that does not read is left.")
        connections = reader.integer(
            "connections", default: 10_000, in: 0...10_000_000, "Connections of clients at most; 0: no bound.")
        concurrentRequests = reader.integer(
            "concurrentRequests", default: 4096, in: 1...10_000_000, "Requests in flight at most; more are 503.")
        upstreamConnections = reader.integer(
            "upstreamConnections", default: 0, in: 0...1_000_000,
            "A worker's connections to one upstream at most; 0: no bound.")
        keepAlive = reader.duration(
            "keepAlive", default: .seconds(15), in: .milliseconds(10)...(.seconds(3600)),
            "Between the comments that keep a silent event stream open.")
    }
}

extension LimitsConfiguration {
    /// The keys that the listener and the engines are made with: a change of theirs waits for a restart.
    func fixedKeys(changedFrom old: LimitsConfiguration) -> [String] {
        let fixed: [(key: String, isSame: (LimitsConfiguration, LimitsConfiguration) -> Bool)] = [
            ("headerBytes", { $0.headerBytes == $1.headerBytes }),
            ("headerCount", { $0.headerCount == $1.headerCount }),
            ("headerTimeout", { $0.headerTimeout == $1.headerTimeout }),
            ("bodyTimeout", { $0.bodyTimeout == $1.bodyTimeout }),
            ("idleTimeout", { $0.idleTimeout == $1.idleTimeout }),
            ("writeTimeout", { $0.writeTimeout == $1.writeTimeout }),
            ("connections", { $0.connections == $1.connections }),
            ("upstreamConnections", { $0.upstreamConnections == $1.upstreamConnections }),
        ]
        return fixed.filter { !$0.isSame(old, self) }.map(\.key)
    }
}
