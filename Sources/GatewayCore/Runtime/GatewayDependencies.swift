package import Foundation
package import HTTPServer
import Logging
package import NIOCore
package import Observability
package import ServiceRuntime

/// Dependencies of a gateway on its process; the defaults fit tests.
package struct GatewayDependencies: Sendable {
    /// Destination of the process's log, whose level and secrets the configuration sets; nil: nothing is logged.
    package var log: LogOutput?
    /// Registry of the process's metrics.
    package var metrics: MetricsRegistry
    /// Reads the configuration again, for a reload.
    package var load: @Sendable () throws -> GatewayConfiguration
    /// Listening sockets that the process inherited.
    package var sockets: InheritedSockets
    /// Version and commit of the executable.
    package var build: BuildVersion
    /// Largest number of client connections, in place of the configured one where the process's descriptor limit is
    /// lower.
    package var connections: Int?
    /// Time of day.
    package var now: @Sendable () -> Date

    /// Creates dependencies.
    package init(
        log: LogOutput? = nil, metrics: MetricsRegistry = MetricsRegistry(),
        load: @escaping @Sendable () throws -> GatewayConfiguration,
        sockets: InheritedSockets = InheritedSockets(), build: BuildVersion = BuildVersion(), connections: Int? = nil,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.log = log
        self.metrics = metrics
        self.load = load
        self.sockets = sockets
        self.build = build
        self.connections = connections
        self.now = now
    }

    /// Returns a logger of the process.
    func logger(_ label: String) -> Logger {
        log?.logger(label) ?? Logger(label: label) { _ in SwiftLogNoOpLogHandler() }
    }

    /// Keeps a secret, which a reload has brought or which was read while the process runs, out of the log.
    func redact(_ secret: String) { log?.redact(secret) }
}

/// Addresses on which a gateway listens.
package struct GatewayAddresses: Sendable {
    /// Addresses that clients connect to.
    package let main: [SocketAddress]
    /// Addresses of the admin listener.
    package let admin: [SocketAddress]
}
