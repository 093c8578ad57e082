package import HTTPServer
package import Logging
package import NIOCore
package import Observability
package import ServiceRuntime

/// Surroundings of a gateway; the defaults fit tests.
package struct GatewayDependencies: Sendable {
    /// Makes the process's loggers, by name.
    package var makeLogger: @Sendable (String) -> Logger
    /// Registry of the process's metrics.
    package var metrics: MetricsRegistry
    /// Reads the configuration again, for a reload.
    package var load: @Sendable () throws -> GatewayConfiguration
    /// Listening sockets that the process was started with.
    package var sockets: InheritedSockets
    /// The level in force.
    package var logLevel: @Sendable () -> Logger.Level
    /// Is told the level of each configuration that comes into force, and what the admin listener is asked for.
    package var setLogLevel: @Sendable (Logger.Level) -> Void
    /// Version and commit of the executable.
    package var build: BuildVersion
    /// Is told every secret that a reload brings or that is read while the process runs.
    package var redact: @Sendable (String) -> Void
    /// Connections of clients at a time, in place of the configuration's bound where the process has room for fewer.
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

/// Addresses that a gateway listens on.
package struct GatewayAddresses: Sendable {
    /// Addresses that clients connect to.
    package let main: [SocketAddress]
    /// Addresses of the admin listener.
    package let admin: [SocketAddress]
}
