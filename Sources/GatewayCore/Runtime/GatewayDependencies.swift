package import HTTPServer
package import Logging
package import NIOCore
package import Observability
package import ServiceRuntime

/// Dependencies of a gateway on its process; the defaults fit tests.
package struct GatewayDependencies: Sendable {
    /// Makes the process's loggers, by name.
    package var makeLogger: @Sendable (String) -> Logger
    /// Registry of the process's metrics.
    package var metrics: MetricsRegistry
    /// Reads the configuration again, for a reload.
    package var load: @Sendable () throws -> GatewayConfiguration
    /// Listening sockets that the process inherited.
    package var sockets: InheritedSockets
    /// Returns the log level in force.
    package var logLevel: @Sendable () -> Logger.Level
    /// Sets the log level: called for each configuration that comes into force, and for each request to change it on
    /// the admin listener.
    package var setLogLevel: @Sendable (Logger.Level) -> Void
    /// Version and commit of the executable.
    package var build: BuildVersion
    /// Registers a secret for redaction: called for every secret that a reload brings or that is read while the process
    /// runs.
    package var redact: @Sendable (String) -> Void
    /// Largest number of client connections, in place of the configured one where the process's descriptor limit is
    /// lower.
    package var connections: Int?

    /// Creates dependencies.
    package init(
        makeLogger: @escaping @Sendable (String) -> Logger = { Logger(label: $0) },
        metrics: MetricsRegistry = MetricsRegistry(), load: @escaping @Sendable () throws -> GatewayConfiguration,
        sockets: InheritedSockets = InheritedSockets(),
        logLevel: @escaping @Sendable () -> Logger.Level = { .info },
        setLogLevel: @escaping @Sendable (Logger.Level) -> Void = { _ in }, build: BuildVersion = BuildVersion(),
        redact: @escaping @Sendable (String) -> Void = { _ in }, connections: Int? = nil
    ) {
        self.makeLogger = makeLogger
        self.metrics = metrics
        self.load = load
        self.sockets = sockets
        self.logLevel = logLevel
        self.setLogLevel = setLogLevel
        self.build = build
        self.redact = redact
        self.connections = connections
    }
}

/// Addresses on which a gateway listens.
package struct GatewayAddresses: Sendable {
    /// Addresses that clients connect to.
    package let main: [SocketAddress]
    /// Addresses of the admin listener.
    package let admin: [SocketAddress]
}
