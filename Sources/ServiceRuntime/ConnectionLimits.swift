package import HTTPServer
package import JSONConfiguration

/// Time limits and transfer rates of connections; both processes have them among their `limits`.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `headerTimeout` | duration | 10 s | time from a request's first byte to the end of its head |
/// | `bodyTimeout` | duration | 30 s | longest pause between two reads of a body |
/// | `bodyTotal` | duration | 5 min | time for a whole body |
/// | `bodyRate` | size | 256 | average rate of a body in bytes per second, at least |
/// | `idleTimeout` | duration | 75 s | time after which an unused connection is closed |
/// | `writeTimeout` | duration | 60 s | period over which `writeRate` is measured |
/// | `writeRate` | size | 256 | bytes per second that a client must read while output waits |
package struct ConnectionLimits: Hashable, Sendable {
    fileprivate let headerTimeout: Duration
    fileprivate let bodyTimeout: Duration
    fileprivate let bodyTotal: Duration
    fileprivate let bodyRate: Int
    fileprivate let idleTimeout: Duration
    fileprivate let writeTimeout: Duration
    fileprivate let writeRate: Int

    /// Reads the keys from a `limits` section. Errors are recorded in the reader.
    package init(_ reader: ConfigurationReader) {
        let times: ClosedRange<Duration> = .milliseconds(10)...(.seconds(86400))
        let rates = 0...(64 << 20)
        headerTimeout = reader.duration(
            "headerTimeout", default: .seconds(10), in: times,
            "Time from a request's first byte to the end of its head; beyond it the answer is 408.")
        bodyTimeout = reader.duration(
            "bodyTimeout", default: .seconds(30), in: times,
            "Longest pause between two reads of a request's body; beyond it the answer is 408.")
        bodyTotal = reader.duration(
            "bodyTotal", default: .seconds(300), in: times,
            "Longest time for a whole request body; beyond it the answer is 408.")
        bodyRate = reader.bytes(
            "bodyRate", default: 256, in: rates,
            """
            Bytes per second at which a request's body must arrive on average, after bodyTimeout of grace; below it the \
            answer is 408. 0 sets no minimum.
            """)
        idleTimeout = reader.duration(
            "idleTimeout", default: .seconds(75), in: times, "Time after which an unused connection is closed.")
        writeTimeout = reader.duration(
            "writeTimeout", default: .seconds(60), in: times,
            "Period over which writeRate is measured while output waits for a client; a slower reader is disconnected.")
        writeRate = reader.bytes(
            "writeRate", default: 256, in: rates,
            """
            Bytes per second that a client must take on average while output waits for it; a slower reader is \
            disconnected. 0: any byte within writeTimeout will do.
            """)
    }

    /// Returns the keys whose values differ.
    package func keys(changedFrom old: ConnectionLimits) -> [String] {
        let keys: [(name: String, isSame: Bool)] = [
            ("headerTimeout", headerTimeout == old.headerTimeout), ("bodyTimeout", bodyTimeout == old.bodyTimeout),
            ("bodyTotal", bodyTotal == old.bodyTotal), ("bodyRate", bodyRate == old.bodyRate),
            ("idleTimeout", idleTimeout == old.idleTimeout), ("writeTimeout", writeTimeout == old.writeTimeout),
            ("writeRate", writeRate == old.writeRate),
        ]
        return keys.filter { !$0.isSame }.map(\.name)
    }
}

extension HTTPServerConfiguration {
    /// Applies the limits to a listener that is created with this configuration.
    package mutating func apply(_ limits: ConnectionLimits) {
        headerTimeout = limits.headerTimeout
        bodyTimeout = limits.bodyTimeout
        bodyTotal = limits.bodyTotal
        bodyRate = limits.bodyRate
        idleTimeout = limits.idleTimeout
        writeTimeout = limits.writeTimeout
        writeRate = limits.writeRate
    }
}
