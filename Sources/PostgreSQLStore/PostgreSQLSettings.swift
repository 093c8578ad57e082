package import JSONConfiguration

/// Settings of the `toolServer.postgres` section: connections to PostgreSQL databases.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `password`, `passwordFile` | string | – | password, when the URL has none |
/// | `connections` | integer | 8 | largest number of connections to one database |
/// | `wait` | duration | 5 s | time that a call waits for a free connection |
/// | `connectTimeout` | duration | 5 s | time for opening a connection |
/// | `statementTimeout` | duration | 10 s | time after which the database cancels a statement |
/// | `idle` | duration | 5 min | time after which an unused connection is closed |
/// | `scans` | integer | 2 | concurrent searches that no index can answer |
package struct PostgreSQLSettings: Hashable, Sendable {
    /// Password for a URL without one.
    package var password: Secret?
    /// Largest number of connections to one database.
    package var connections = 8
    /// Time limit of waiting for a free connection.
    package var wait: Duration = .seconds(5)
    /// Time limit for opening a connection.
    package var connectTimeout: Duration = .seconds(5)
    /// Time after which the server ends a statement.
    package var statementTimeout: Duration = .seconds(10)
    /// Time after which an unused connection is closed.
    package var idle: Duration = .seconds(300)
    /// Largest number of simultaneous searches without an index.
    package var scans = 2
    /// Number of rows that a search reads in order before it uses the index. A text that occurs in one of 400 rows is
    /// mostly found there; reading more would cost rare words more than it saves frequent ones.
    var walkedFirst = 2000

    /// Creates the default settings.
    package init() {}

    /// Settings of the pool for searches without an index.
    var forScans: PostgreSQLSettings {
        var settings = self
        settings.connections = scans
        return settings
    }

    /// Reads the section.
    package init(_ reader: ConfigurationReader) {
        let standard = PostgreSQLSettings()
        password = reader.secret("password", "Password, for a database whose URL has none.")
        connections = reader.integer(
            "connections", default: standard.connections, in: 1...200,
            "Largest number of connections to one database; further calls wait.")
        wait = reader.duration(
            "wait", default: standard.wait, in: .milliseconds(1) ... .seconds(600),
            "Time limit of waiting for a free connection; then the call fails.")
        connectTimeout = reader.duration(
            "connectTimeout", default: standard.connectTimeout, in: .milliseconds(10) ... .seconds(600),
            "Time limit of opening a connection.")
        statementTimeout = reader.duration(
            "statementTimeout", default: standard.statementTimeout, in: .milliseconds(1) ... .seconds(3600),
            "Time limit of a statement; then the database ends it.")
        idle = reader.duration(
            "idle", default: standard.idle, in: .seconds(1) ... .seconds(86_400),
            "Time after which an unused connection is closed.")
        scans = reader.integer(
            "scans", default: standard.scans, in: 1...200,
            "Largest number of searches without an index at one time; further ones wait.")
    }
}
