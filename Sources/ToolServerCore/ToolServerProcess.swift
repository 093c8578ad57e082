package import HTTPServer
package import Observability
package import ServiceRuntime

/// Dependencies of a tool-server on its process; the defaults fit tests.
package struct ToolServerProcess: Sendable {
    /// Listening sockets that the process inherited.
    package var sockets: InheritedSockets
    /// Notifier of systemd about readiness, reloads and the end.
    package var notifier: SystemdNotifier
    /// Reads the configuration again, for a reload; nil: SIGHUP changes nothing.
    package var load: (@Sendable () throws -> ToolServerConfiguration)?
    /// Destination of the process's log; nil: there is no access log, and no level to set.
    package var log: LogOutput?
    /// Version and commit of the executable.
    package var build: BuildVersion

    /// Creates dependencies.
    package init(
        sockets: InheritedSockets = InheritedSockets(), notifier: SystemdNotifier = SystemdNotifier(environment: [:]),
        load: (@Sendable () throws -> ToolServerConfiguration)? = nil,
        log: LogOutput? = nil, build: BuildVersion = BuildVersion()
    ) {
        self.sockets = sockets
        self.notifier = notifier
        self.load = load
        self.log = log
        self.build = build
    }
}
