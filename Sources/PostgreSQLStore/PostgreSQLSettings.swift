package import JSONConfiguration

/// The `toolServer.postgres` section: how PostgreSQL is used.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `password`, `passwordFile` | string | – | the password, where the URL has none |
/// | `connections` | integer | 8 | connections to one database at most |
/// | `wait` | duration | 5 s | how long a call waits for a free connection |
/// | `connectTimeout` | duration | 5 s | for opening a connection |
/// | `statementTimeout` | duration | 10 s | after which the server ends a statement |
/// | `idle` | duration | 5 min | after which an unused connection is closed |
/// | `scans` | integer | 2 | searches at a time that no index answers |
package struct PostgreSQLSettings: Hashable, Sendable {
    /// The password, where the URL has none.
    package var password: Secret?
    /// Connections to one database at most.
    package var connections = 8
    /// Time limit of waiting for a free connection.
    package var wait: Duration = .seconds(5)
    /// For opening a connection.
    package var connectTimeout: Duration = .seconds(5)
    /// After which the server ends a statement.
    package var statementTimeout: Duration = .seconds(10)
    /// After which an unused connection is closed.
    package var idle: Duration = .seconds(300)
    /// Searches at a time that no index answers.
    package var scans = 2
    /// Rows that a search looks at in order before it asks the index. Whatever one row of 400 has is mostly found
    /// there; more would cost rare words more than it saves the others.
    var walkedFirst = 2000

    /// The defaults.
    package init() {}

    /// For the connections that scan.
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
