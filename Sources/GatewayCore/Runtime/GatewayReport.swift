import CurlTransport
import HTTPSyntax
import JSON
import Logging
package import MCPClient
import NIOCore
import NIOPosix

/// Reports about a configuration, for the commands.
package enum GatewayReport {
    /// Result of `check`.
    package struct Check: Sendable {
        /// Lines for people.
        package let lines: [String]
        /// False when a tool of a reachable upstream does not fit its type.
        package let isGood: Bool
    }

    /// Compares a valid configuration with the tools of the upstreams that can be reached.
    package static func check(_ configuration: GatewayConfiguration) async -> Check {
        var logger = Logger(label: "gateway.check")
        logger.logLevel = .critical
        let engine = CurlEngine(label: "check", logger: logger)
        var lines: [String] = []
        var isGood = true
        let limit = configuration.limits.upstreamResponse
        for upstream in configuration.upstreams {
            let target = Upstream(
                upstream, responseLimit: limit, forward: configuration.forward, logger: logger)
            lines.append("upstream \(upstream.name): \(forwarding(upstream, configuration))")
            if upstream.kind != .mcp {
                lines.append(await check(target, engine))
                let types = configuration.chat.types.filter { $0.upstream == upstream.name && !$0.tool.isEmpty }
                let findings = upstream.tools.isEmpty ? [] : target.catalog.map { Drift.findings(types, $0) } ?? []
                isGood = isGood && findings.isEmpty
                lines += report(findings, upstream)
                if !upstream.tools.isEmpty {
                    let names = upstream.tools.map(\.name).joined(separator: ", ")
                    lines.append("upstream \(upstream.name): offers the tools \(names)")
                }
                continue
            }
            let types = configuration.chat.types.filter { $0.upstream == upstream.name }
            if let problem = hostProblem(of: target, configuration) {
                isGood = false
                lines.append("upstream \(upstream.name): \(problem)")
            }
            switch await tools(of: target, engine) {
            case .success(let catalog):
                let findings = Drift.findings(types, catalog)
                isGood = isGood && findings.isEmpty
                lines += report(findings, upstream)
                if findings.isEmpty {
                    lines.append(
                        "upstream \(upstream.name): \(types.count) types fit its \(catalog.entries.count) tools")
                }
                if configuration.chat.tools?.upstream == upstream.name {
                    let names = ToolTypes.make(configuration.chat, [upstream.name: catalog]).map(\.name)
                    let list = names.isEmpty ? "none" : names.joined(separator: ", ")
                    lines.append("upstream \(upstream.name): types from its tools: \(list)")
                }
            case .failure(let failure):
                lines.append("upstream \(upstream.name): not compared, \(failure.summary)")
                lines.append(advice(upstream))
            }
            await target.close(engine, within: .milliseconds(500))
        }
        await engine.shutdown()
        return Check(lines: lines, isGood: isGood)
    }

    /// Returns why the tool-server of the same file would refuse all calls of the gateway; nil when it would not.
    static func hostProblem(of upstream: Upstream, _ configuration: GatewayConfiguration) -> String? {
        guard let hosts = configuration.toolServerHosts, upstream.configuration.isTrusted else { return nil }
        let refused = upstream.configuration.addresses.compactMap { address in
            address.origin.firstRange(of: "://").flatMap { Authority(address.origin[$0.upperBound...]) }
        }.first { !hosts.allows($0) }
        return refused.map {
            "toolServer.allowedHosts: expected \($0.host), under which the gateway calls it, found other hosts only"
        }
    }

    /// Lists what does not fit, and what to do about it.
    private static func report(_ findings: [DriftFinding], _ upstream: UpstreamConfiguration) -> [String] {
        guard !findings.isEmpty else { return [] }
        return findings.map { "upstream \(upstream.name): \($0)" } + [
            "    Change chat.types.TYPE (tool, arguments) to fit the tools of \(upstream.name), or deploy the version of "
                + "\(upstream.name) that has them."
        ]
    }

    private static func advice(_ upstream: UpstreamConfiguration) -> String {
        let place = upstream.command.map { "command: \($0.command)" } ?? "url: \(upstream.address.url)"
        return "    With it running, this command also compares its tools. upstreams.\(upstream.name).\(place)"
    }

    /// Describes the parts of a caller's request that are sent to an upstream, and the headers that the gateway adds.
    private static func forwarding(_ upstream: UpstreamConfiguration, _ configuration: GatewayConfiguration) -> String {
        guard upstream.command == nil else { return "of a caller go there nothing: one process serves all callers" }
        let rules = upstream.forward(from: configuration.forward) ?? configuration.forward
        var parts: [String] = []
        if !rules.cookies.isEmpty { parts.append("the cookies " + rules.cookies.joined(separator: ", ")) }
        if !rules.headers.isEmpty { parts.append("the headers " + rules.headers.joined(separator: ", ")) }
        var text = "of a caller go there " + (parts.isEmpty ? "nothing" : parts.joined(separator: " and "))
        var own = upstream.headers.map(\.name)
        switch upstream.token?.grant {
        case .clientCredentials: own.append("Authorization with the gateway's own token")
        case .exchange: own.append("Authorization with a token exchanged for the caller's")
        case nil: break
        }
        if !own.isEmpty { text += "; the gateway adds " + own.joined(separator: ", ") }
        return text
    }

    private static func check(_ upstream: Upstream, _ engine: CurlEngine) async -> String {
        switch await tools(of: upstream, engine) {
        case .success: "upstream \(upstream.name): answers"
        case .failure(let failure):
            "upstream \(upstream.name): does not answer, \(failure.summary)\n\(advice(upstream.configuration))"
        }
    }

    private static func tools(of upstream: Upstream, _ engine: CurlEngine) async -> Result<ToolCatalog, UpstreamFailure>
    {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.any()
        return await withCheckedContinuation { continuation in
            eventLoop.execute {
                let endpoint = upstream.makeEndpoint(server: 0, engine: engine, eventLoop: eventLoop)
                upstream.check(endpoint, engine: engine, eventLoop: eventLoop, deadline: .now() + .seconds(5)) {
                    continuation.resume(returning: $0)
                }
            }
        }
    }

    /// Returns the tools of the upstream whose tools become types, if it is configured and reachable.
    package static func catalogs(_ configuration: GatewayConfiguration) async -> [String: ToolCatalog] {
        guard let name = configuration.chat.tools?.upstream,
            let upstream = configuration.upstreams.first(where: { $0.name == name })
        else { return [:] }
        var logger = Logger(label: "gateway.routes")
        logger.logLevel = .critical
        let engine = CurlEngine(label: "routes", logger: logger)
        let target = Upstream(
            upstream, responseLimit: configuration.limits.upstreamResponse, forward: configuration.forward,
            logger: logger)
        let tools = await tools(of: target, engine)
        await target.close(engine, within: .milliseconds(500))
        await engine.shutdown()
        return (try? tools.get()).map { [name: $0] } ?? [:]
    }

    /// Returns the table of `routes`: type, tool, arguments, timeout, destination.
    ///
    /// - Parameter catalogs: Known tools of the upstream whose tools become types.
    package static func routes(
        _ configuration: GatewayConfiguration, catalogs: [String: ToolCatalog] = [:]
    ) -> [String] {
        var rows = [["TYPE", "TOOL", "ARGUMENTS", "TIMEOUT", "GOES TO"]]
        let chat = configuration.chat
        for type in chat.types + ToolTypes.make(chat, catalogs) {
            let name = type.name == chat.defaultType ? type.name + " (default)" : type.name
            let arguments = type.arguments.map(describe).joined(separator: ", ")
            rows.append(
                [
                    name, type.tool.isEmpty ? "-" : type.tool, arguments.isEmpty ? "-" : arguments,
                    seconds(type.timeout), destination(type, configuration),
                ])
        }
        if let tools = chat.tools, catalogs[tools.upstream] == nil {
            let names = tools.allow.map(\.text) + tools.deny.map { "!" + $0.text }
            rows.append(
                [
                    names.joined(separator: " "), "the same", "of its input schema", seconds(tools.timeout),
                    place(tools.upstream, configuration) + " (not reached)",
                ])
        }
        if let unknown = chat.unknownTypes {
            rows.append(["any other", "-", "-", seconds(unknown.timeout), place(unknown.upstream, configuration)])
        }
        let widths = (0..<5).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                column == 4 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            return cells.joined(separator: "  ")
        }
    }

    private static func destination(
        _ type: ChatTypeConfiguration, _ configuration: GatewayConfiguration
    ) -> String {
        let upstream = place(type.upstream, configuration)
        if let canary = type.canary {
            return "\(percent(canary.percent)) \(upstream), else \(place(canary.upstream, configuration))"
        }
        if let shadow = type.shadow {
            return "\(place(shadow.upstream, configuration)), \(percent(shadow.percent)) compared with \(upstream)"
        }
        return upstream
    }

    private static func place(_ upstream: String, _ configuration: GatewayConfiguration) -> String {
        let address = configuration.upstreams.first { $0.name == upstream }?.address
        return "\(upstream) \(address.map { $0.socketPath.map { "unix:\($0)" } ?? $0.url } ?? "")"
    }

    private static func percent(_ value: Double) -> String {
        value == value.rounded() ? "\(Int(value))%" : "\(value)%"
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
