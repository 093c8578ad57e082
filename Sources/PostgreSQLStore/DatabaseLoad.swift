import Observability

/// Load of the connections of one pool.
package struct DatabaseLoad: Hashable, Sendable {
    /// Name of the pool among those of the database.
    let pool: String
    /// Number of connections that run a job, or are being opened for one.
    let busy: Int
    /// Number of connections that wait for a job.
    let idle: Int
    /// Number of calls that wait for a connection.
    let waiting: Int
}

/// A database that is reached over a limited number of connections.
package protocol PooledDatabase: Sendable {
    /// Loads of the pools, always in the same order.
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
    /// Registers the metrics of databases with pools; does nothing without any.
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
