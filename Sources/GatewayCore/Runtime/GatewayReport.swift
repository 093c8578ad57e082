import CurlTransport
import JSON
import Logging
import MCPClient
import NIOCore
import NIOPosix

/// What the commands print about a configuration.
package enum GatewayReport {
    /// The outcome of `check`.
    package struct Check: Sendable {
        /// Lines for people.
        package let lines: [String]
        /// False when a tool that can be seen does not fit its type.
        package let isGood: Bool
    }

    /// Compares a valid configuration with the tools of the upstreams that can be reached.
    package static func check(_ configuration: GatewayConfiguration) async -> Check {
        var logger = Logger(label: "gateway.check")
        logger.logLevel = .critical
        let engine = CurlEngine(label: "check", logger: logger)
        var lines: [String] = []
        var isGood = true
        for upstream in configuration.upstreams {
            let target = GatewayUpstream(
                upstream, responseLimit: configuration.limits.upstreamResponse, logger: logger)
            let types = configuration.chat.types.filter { $0.upstream == upstream.name }
            switch await tools(of: target, engine) {
            case .success(let catalog):
                let findings = Drift.findings(types, catalog)
                isGood = isGood && findings.isEmpty
                lines += findings.map { "upstream \(upstream.name): \($0)" }
                if findings.isEmpty {
                    lines.append(
                        "upstream \(upstream.name): \(types.count) types fit its \(catalog.entries.count) tools")
                }
            case .failure(let failure):
                lines.append("upstream \(upstream.name): not compared, \(failure.kind.rawValue): \(failure.detail)")
            }
            await target.close(engine, within: .milliseconds(500))
        }
        await engine.shutdown()
        return Check(lines: lines, isGood: isGood)
    }

    private static func tools(
        of upstream: GatewayUpstream, _ engine: CurlEngine
    ) async -> Result<ToolCatalog, MCPCallFailure> {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.any()
        return await withCheckedContinuation { continuation in
            eventLoop.execute {
                let caller = MCPCaller(upstream: upstream.client, engine: engine, eventLoop: eventLoop)
                caller.refreshCatalog(deadline: .now() + .seconds(5)) { continuation.resume(returning: $0) }
            }
        }
    }

    /// The table of `routes`: type, tool, arguments, timeout, where it goes.
    package static func routes(_ configuration: GatewayConfiguration) -> [String] {
        var rows = [["TYPE", "TOOL", "ARGUMENTS", "TIMEOUT", "GOES TO"]]
        for type in configuration.chat.types {
            let address = configuration.upstreams.first { $0.name == type.upstream }?.address
            let place = address.map { $0.socketPath.map { "unix:\($0)" } ?? $0.url } ?? ""
            let name = type.name == configuration.chat.defaultType ? type.name + " (default)" : type.name
            let arguments = type.arguments.map(describe).joined(separator: ", ")
            rows.append(
                [
                    name, type.tool, arguments.isEmpty ? "-" : arguments, seconds(type.timeout),
                    "\(type.upstream) \(place)",
                ])
        }
        let widths = (0..<5).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                column == 4 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            return cells.joined(separator: "  ")
        }
    }

    private static func describe(_ argument: ChatArgumentConfiguration) -> String {
        if let constant = argument.constant { return "\(argument.target)=\(constant.text)" }
        var text = argument.source == argument.target ? argument.target : "\(argument.target)←\(argument.source)"
        if argument.trim { text += " trimmed" }
        if let value = argument.defaultValue { text += "=\(value.text)" } else if !argument.isRequired { text += "?" }
        return text
    }

    private static func seconds(_ duration: Duration) -> String {
        let milliseconds = duration.nanoseconds / 1_000_000
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }
}
