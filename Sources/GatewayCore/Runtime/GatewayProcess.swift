import Foundation
import HTTPServer
import JSON
import Logging
import Observability
package import ServiceRuntime
import UnixSignals

/// The gateway as a process: loggers, signals, exit.
package enum GatewayProcess {
    /// Serves until a signal ends the process.
    ///
    /// SIGTERM and SIGINT drain; a second one ends the process at once. SIGHUP reloads. Where systemd runs the process,
    /// it is notified of each, and its watchdog is served while the event loops run.
    ///
    /// - Throws: `GatewayConfigurationFile.LoadError`, `HTTPListenError`.
    package static func serve(_ file: GatewayConfigurationFile, build: BuildVersion = BuildVersion()) async throws {
        let configuration = try file.load()
        let sockets = SystemdSockets()
        sockets.claim()
        let notifier = SystemdNotifier()
        notifier.claim()
        let output = LogOutput.standardError(level: configuration.logLevel)
        for secret in configuration.secrets { output.redact(secret.value) }
        // Installed before anything is served, so that no signal finds the process half-started.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        let limits = configuration.limits
        // Each request in flight may have a connection to its upstream; admin clients, files and pipes need descriptors
        // too.
        let connections = DescriptorLimit.raise(
            connections: limits.connections, others: limits.concurrentRequests + limits.uploads + 512,
            key: "limits.connections",
            logger: output.logger("gateway"))
        let gateway = try await buildGateway(
            configuration,
            dependencies: GatewayDependencies(
                log: output, load: file.load, sockets: InheritedSockets(sockets), build: build,
                connections: connections))
        _ = try await gateway.start()
        notifier.send(.ready)
        let watchdog = Watchdog(notifier: notifier, logger: output.logger("gateway")) {
            gateway.isAnswering(within: $0)
        }
        let watching = Task { await watchdog.run() }
        let (stop, stopping) = AsyncStream<Void>.makeStream()
        let watcher = Task { await watch(signals, gateway, notifier, stopping) }
        for await _ in stop { break }
        notifier.send(.stopping)
        await gateway.drain()
        watching.cancel()
        watcher.cancel()
    }

    private static func watch(
        _ signals: UnixSignalsSequence, _ gateway: Gateway, _ notifier: SystemdNotifier,
        _ stopping: AsyncStream<Void>.Continuation
    ) async {
        var isStopping = false
        for await signal in signals {
            if signal == .sighup {
                notifier.send(.reloading)
                await gateway.reload()
                notifier.send(.ready)
            } else if isStopping {
                exit(EXIT_FAILURE)
            } else {
                isStopping = true
                stopping.yield()
            }
        }
    }
}
