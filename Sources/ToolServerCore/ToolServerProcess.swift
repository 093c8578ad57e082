package import HTTPServer
package import Logging
package import ServiceRuntime

/// Dependencies of a tool-server on its process; the defaults fit tests.
package struct ToolServerProcess: Sendable {
    /// Listening sockets that the process inherited.
    package var sockets: InheritedSockets
    /// Notifier of systemd about readiness, reloads and the end.
    package var notifier: SystemdNotifier
    /// Reads the configuration again, for a reload; nil: SIGHUP changes nothing.
    package var load: (@Sendable () throws -> ToolServerConfiguration)?
    /// Returns the log level in force.
    package var logLevel: @Sendable () -> Logger.Level
    /// Sets the log level.
    package var setLogLevel: @Sendable (Logger.Level) -> Void
    /// Registers a secret for redaction in the log.
    package var redact: @Sendable (String) -> Void
    /// Version and commit of the executable.
    package var build: BuildVersion

    /// Creates dependencies.
    package init(
        sockets: InheritedSockets = InheritedSockets(), notifier: SystemdNotifier = SystemdNotifier(environment: [:]),
        load: (@Sendable () throws -> ToolServerConfiguration)? = nil,
        logLevel: @escaping @Sendable () -> Logger.Level = { .info },
        setLogLevel: @escaping @Sendable (Logger.Level) -> Void = { _ in },
        redact: @escaping @Sendable (String) -> Void = { _ in }, build: BuildVersion = BuildVersion()
    ) {
        self.sockets = sockets
        self.notifier = notifier
        self.load = load
        self.logLevel = logLevel
        self.setLogLevel = setLogLevel
        self.redact = redact
        self.build = build
    }
}
