import ArgumentParser
import Foundation
import GatewayCore
import MCP

/// `gateway tools`: what MCP endpoints list, and from where.
struct ToolsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tools",
        abstract: "Prints the tools that MCP endpoints list, and the upstreams that they come from.",
        discussion: """
            Without MCP endpoints in the configuration: the tools of the pass-through's upstream. Upstreams that cannot be \
            listed, and tools that are hidden until they are pinned, are named on standard error; exit code 1 says that the \
            list lacks an upstream.
            """)

    @OptionGroup var file: ConfigurationOption

    @Option(help: "The path of the only endpoint to list.")
    var endpoint: String?

    @Option(help: "The protocol revision of the client that sees the lists.")
    var protocolVersion = MCPVersion.latestModern.rawValue

    @Flag(help: "Print JSON with the whole definitions.")
    var json = false

    func run() async throws {
        guard let version = MCPVersion(rawValue: protocolVersion) else {
            let known = MCPVersion.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--protocol-version: expected one of \(known)")
        }
        let configuration = try file.file().load()
        let tools = try await EndpointTools(configuration, path: endpoint, version: version)
        if json {
            print(tools.json.prettyText)
        } else {
            for line in tools.table { print(line) }
        }
        for remark in tools.remarks { GatewayCommand.write(remark) }
        if !tools.isComplete { throw ExitCode.failure }
    }
}

/// `gateway pin`: writes or compares the lock file.
struct PinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pin",
        abstract: "Pins the definitions of the tools of upstreams that are not trusted.",
        discussion: """
            Writes the lock file that the configuration names (else tools.lock beside it), and prints what has changed in \
            it. An upstream that cannot be read keeps what was pinned of it, and the exit code is 1. A gateway that runs \
            takes the file over with a reload (SIGHUP).
            """)

    @OptionGroup var file: ConfigurationOption

    @Flag(help: "Change nothing; print the differences, and exit with 1 if there are any.")
    var diff = false

    @Option(
        name: .customLong("as"),
        help: "A file with header fields of a caller, one \"Name: value\" a line, in whose name the tools are listed.")
    var caller: String?

    func run() async throws {
        let file = file.file()
        let configuration = try file.loadWithoutLock()
        let path = file.lockPath(configuration.lockFile ?? "tools.lock")
        let exists = FileManager.default.fileExists(atPath: path)
        guard exists || !diff else {
            GatewayCommand.write("\(path): there is no lock file to compare with; gateway pin writes one")
            throw ExitCode.failure
        }
        let pinned = exists ? try GatewayConfigurationFile.lock(path) : ToolLock()
        let pinner = try await ToolPinner(configuration, pinned: pinned, callerFile: caller)
        for line in pinner.diff.lines { print(line) }
        for problem in pinner.problems { GatewayCommand.write(problem) }
        if !diff {
            try pinner.write(to: path)
            print("\(path): \(pinner.count) tools of \(pinner.present.upstreams.count) upstreams")
            if configuration.lockFile == nil {
                GatewayCommand.write("\(path) is not in force: the configuration has no key \"lock\"")
            }
        }
        if !pinner.problems.isEmpty || diff && !pinner.diff.lines.isEmpty { throw ExitCode.failure }
    }
}
