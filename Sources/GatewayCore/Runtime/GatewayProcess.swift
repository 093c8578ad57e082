import Foundation
import HTTPServer
import JSON
import Logging
import Observability
import UnixSignals

/// The gateway as a process: loggers, signals, exit.
package enum GatewayProcess {
    /// Serves until a signal ends it.
    ///
    /// SIGTERM and SIGINT drain; a second one ends the process at once. SIGHUP reloads.
    ///
    /// - Throws: `GatewayConfigurationFile.Failure`, `HTTPListenError`.
    package static func serve(_ file: GatewayConfigurationFile) async throws {
        let configuration = try file.load()
        let sockets = SystemdSockets()
        sockets.claim()
        let output = LogOutput(level: configuration.logLevel)
        // Trapped before anything is served, so that no signal finds the process half-started.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        let gateway = try await buildGateway(
            configuration,
            dependencies: GatewayDependencies(
                makeLogger: { label in Logger(label: label) { JSONLogHandler(label: $0, output: output) } },
                load: file.load, sockets: InheritedSockets(sockets), setLogLevel: { output.level = $0 }))
        _ = try await gateway.start()
        let (stop, stopping) = AsyncStream<Void>.makeStream()
        let watcher = Task { await watch(signals, gateway, stopping) }
        for await _ in stop { break }
        await gateway.drain()
        watcher.cancel()
    }

    private static func watch(
        _ signals: UnixSignalsSequence, _ gateway: Gateway, _ stopping: AsyncStream<Void>.Continuation
    ) async {
        var isStopping = false
        for await signal in signals {
            if signal == .sighup {
                await gateway.reload()
            } else if isStopping {
                exit(EXIT_FAILURE)
            } else {
                isStopping = true
                stopping.yield()
            }
        }
    }
}
