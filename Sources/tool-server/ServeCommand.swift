import ArgumentParser
import Foundation
import HTTPServer
import JSON
import ServiceRuntime
import ToolServerCore

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve MCP clients (the default).")

    enum Transport: String, ExpressibleByArgument, CaseIterable {
        case stdio, http
    }

    @OptionGroup var settings: SettingsOptions

    @Option(help: "Transport of MCP: stdio or http (default: stdio).")
    var transport: Transport?

    @Option(help: "Address on which the http transport listens (default: 127.0.0.1).")
    var host: String?

    @Option(help: "Port on which the http transport listens; 0 picks a free one (default: 8001).")
    var port: Int?

    @Option(help: "Address of the admin listener with health and metrics: HOST:PORT or off (default: off).")
    var admin: String?

    @Flag(help: "Start although PostgreSQL cannot be reached, and wait for it.")
    var wait = false

    func validate() throws {
        if let port, !(0...65535).contains(port) { throw ValidationError("--port: expected 0 to 65535, found \(port)") }
    }

    func run() async throws {
        var overrides: [String: JSONValue] = [:]
        overrides["transport"] = transport.map { .string($0.rawValue) }
        overrides["host"] = host.map { .string($0) }
        overrides["port"] = port.map { .number($0) }
        overrides["admin"] = admin.map { .string($0) }
        if wait { overrides["databaseWait"] = true }
        let sockets = SystemdSockets()
        sockets.claim()
        let notifier = SystemdNotifier()
        notifier.claim()
        let configuration = try settings.load(overrides)
        if configuration.transport == .stdio, isatty(STDIN_FILENO) == 1 {
            // Standard input is a terminal: the user typed only the name, and would otherwise see nothing happen.
            let hint = "tool-server: speaking MCP on standard input and output; to listen on a port: --transport http\n"
            FileHandle.standardError.write(Data(hint.utf8))
        }
        let (logger, output) = ProcessLog.start(configuration)
        let (settings, values) = (settings, overrides)
        try await settings.build(configuration, logger: logger, waiting: true).run(
            ToolServerProcess(
                sockets: InheritedSockets(sockets), notifier: notifier, load: { try settings.load(values) },
                log: output, build: ToolServerCommand.build))
    }
}
