import Observability

/// Load of the connections of one pool.
package struct DatabaseLoad: Hashable, Sendable {
    /// Which of the database's pools it is.
    let pool: String
    /// Connections that run something, or are being opened for it.
    let busy: Int
    /// Connections that wait for work.
    let idle: Int
    /// Calls that wait for a connection.
    let waiting: Int
}

/// A database that is reached over a bounded number of connections.
package protocol PooledDatabase: Sendable {
    /// One for each pool, always in the same order.
    var loads: [DatabaseLoad] { get }
}

extension PostgreSQLStore: PooledDatabase {
    package var loads: [DatabaseLoad] { [pool.load("main"), scans.load("scans")] }
}

extension ExternalPostgreSQL: PooledDatabase {
    package var loads: [DatabaseLoad] {
        [reader.load("foreign"), scans.load("foreign_scans"), writer.load("foreign_writes")]
    }
}

extension MetricsRegistry {
    /// Registers what is told of databases with pools; nothing where there is none.
    package func add(_ databases: [any PooledDatabase]) {
        guard !databases.isEmpty else { return }
        sampled(
            "tool_server_database_connections", help: "Connections to databases by pool and state.",
            labels: ["pool", "state"]
        ) {
            databases.flatMap(\.loads).flatMap { load in
                [
                    MetricSample(Double(load.busy), labels: [load.pool, "busy"]),
                    MetricSample(Double(load.idle), labels: [load.pool, "idle"]),
                ]
            }
        }
        sampled(
            "tool_server_database_calls_waiting", help: "Calls that wait for a connection to a database.",
            labels: ["pool"]
        ) {
            databases.flatMap(\.loads).map { MetricSample(Double($0.waiting), labels: [$0.pool]) }
        }
    }
}
