package import HTTPServer
package import Logging
package import ServiceRuntime

/// Surroundings of a tool-server; the defaults fit tests.
package struct ToolServerProcess: Sendable {
    /// Listening sockets that the process was started with.
    package var sockets: InheritedSockets
    /// Whom to tell about readiness, reloads and the end.
    package var notifier: SystemdNotifier
    /// Reads the configuration again, for a reload; nil: SIGHUP changes nothing.
    package var load: (@Sendable () throws -> ToolServerConfiguration)?
    /// The level in force.
    package var logLevel: @Sendable () -> Logger.Level
    /// Puts a level in force.
    package var setLogLevel: @Sendable (Logger.Level) -> Void
    /// Keeps a value out of the log from now on.
    package var redact: @Sendable (String) -> Void
    /// Version and commit of the executable.
    package var build: BuildVersion

    /// Describes the process's surroundings.
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
