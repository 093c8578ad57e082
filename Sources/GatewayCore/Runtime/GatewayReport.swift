import HTTPSyntax
import JSON
import MCPAggregator
package import MCPClient

/// Reports about a configuration, for the commands.
package enum GatewayReport {
    /// Result of `check`.
    package struct Check: Sendable {
        /// Lines for people.
        package let lines: [String]
        /// False when a tool of a reachable upstream does not fit its type or its pinned definition, or a name comes twice.
        package let isGood: Bool
    }

    /// Compares a valid configuration with the tools of the upstreams that can be reached, and with those that are pinned.
    package static func check(_ configuration: GatewayConfiguration) async -> Check {
        let upstreams = CommandUpstreams(configuration, for: "check")
        // Before the upstreams: a list of an endpoint may show what is not pinned.
        var endpoints: [Check] = []
        for endpoint in configuration.mcp?.endpoints ?? [] { endpoints.append(await check(endpoint, upstreams)) }
        var checks: [Check] = []
        for upstream in upstreams.all { checks.append(await check(upstream, configuration, upstreams)) }
        await upstreams.close()
        checks += endpoints
        return Check(lines: checks.flatMap(\.lines), isGood: checks.allSatisfy(\.isGood))
    }

    private static func check(
        _ upstream: Upstream, _ configuration: GatewayConfiguration, _ upstreams: CommandUpstreams
    ) async -> Check {
        func line(_ text: String) -> String { "upstream \(upstream.name): \(text)" }
        var lines = [line(forwarding(upstream.configuration, configuration))]
        var findings: [DriftFinding] = []
        let types = configuration.chat.types.filter { $0.upstream == upstream.name && !$0.tool.isEmpty }
        let hostProblem = hostProblem(of: upstream, configuration)
        if let hostProblem { lines.append(line(hostProblem)) }
        let result = await upstreams.tools(of: upstream)
        if upstream.kind != .mcp {
            switch result {
            case .success: lines.append(line("answers"))
            case .failure(let failure):
                lines += [line("does not answer, \(failure.summary)"), advice(upstream.configuration)]
            }
            let tools = upstream.configuration.tools
            if !tools.isEmpty, let catalog = upstream.catalog { findings = Drift.findings(types, catalog) }
            lines += report(findings, upstream.configuration)
            if !tools.isEmpty {
                lines.append(line("offers the tools " + tools.map(\.name).joined(separator: ", ")))
            }
        } else if case .success(let catalog) = result {
            upstream.note(catalog)
            findings = Drift.findings(types, catalog) + upstream.pinning.hidden.map { DriftFinding($0) }
            lines += report(findings, upstream.configuration)
            if findings.isEmpty {
                lines.append(
                    line(
                        types.isEmpty
                            ? "has \(catalog.entries.count.of("tool"))"
                            : "\(types.count.of("type")) \(types.count == 1 ? "fits" : "fit") its "
                                + catalog.entries.count.of("tool")))
            }
            if configuration.chat.tools?.upstream == upstream.name, let catalog = upstream.catalog {
                let names = ToolTypes.make(configuration.chat, [upstream.name: catalog]).map(\.name)
                let list = names.isEmpty ? "none" : names.joined(separator: ", ")
                lines.append(line("types from its tools: \(list)"))
            }
        } else if case .failure(let failure) = result {
            lines += [line("not compared, \(failure.summary)"), advice(upstream.configuration)]
        }
        return Check(lines: lines, isGood: findings.isEmpty && hostProblem == nil)
    }

    /// Finds the names that come twice on an endpoint.
    private static func check(_ endpoint: MCPEndpointConfiguration, _ upstreams: CommandUpstreams) async -> Check {
        let router = upstreams.router(endpoint)
        await router.survey()
        let listing = router.lastListing
        var lines = ["endpoint \(endpoint.path): lists \(listing.tools.count.of("tool"))"]
        lines += listing.missing.map { "endpoint \(endpoint.path): without those of \($0.upstream), \($0.problem)" }
        let shadowed = router.shadowedNames
        lines += shadowed.map { "upstream \($0.upstream): \(DriftFinding(shadowed: $0, ofEndpoint: endpoint.path))" }
        return Check(lines: lines, isGood: shadowed.isEmpty)
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
        var lines = findings.map { "upstream \(upstream.name): \($0)" }
        if findings.contains(where: { $0.type != nil }) {
            lines.append(
                "    Change chat.types.TYPE (tool, arguments) to fit the tools of \(upstream.name), or deploy the version of "
                    + "\(upstream.name) that has them. A tool that only signed-in callers see is reported here, too.")
        }
        if findings.contains(where: { $0.type == nil }) {
            lines.append("    `gateway pin --diff` shows what differs, `gateway pin` pins it.")
        }
        return lines
    }

    private static func advice(_ upstream: UpstreamConfiguration) -> String {
        let place = upstream.command.map { "command: \($0.command)" } ?? "url: \(upstream.address.url)"
        return "    With it running, this command also compares its tools. upstreams.\(upstream.name).\(place)"
    }

    /// Describes the parts of a caller's request that are sent to an upstream, and the headers that the gateway adds.
    private static func forwarding(_ upstream: UpstreamConfiguration, _ configuration: GatewayConfiguration) -> String {
        if upstream.command != nil {
            guard let bounds = upstream.perCaller else {
                return "receives nothing of a caller: one process serves all callers"
            }
            return "receives nothing of a caller: each has a process of its own, \(bounds.processes) at most"
        }
        let rules = upstream.forward(from: configuration.forward) ?? configuration.forward
        var parts: [String] = []
        if !rules.cookies.isEmpty { parts.append("cookies " + rules.cookies.joined(separator: ", ")) }
        if !rules.headers.isEmpty { parts.append("headers " + rules.headers.joined(separator: ", ")) }
        var text =
            parts.isEmpty ? "receives nothing of a caller" : "receives the caller's " + parts.joined(separator: " and ")
        var own = upstream.headers.map(\.name)
        switch upstream.token?.grant {
        case .clientCredentials: own.append("Authorization with the gateway's own token")
        case .exchange: own.append("Authorization with a token exchanged for the caller's")
        case nil: break
        }
        if !own.isEmpty { text += "; the gateway adds " + own.joined(separator: ", ") }
        return text
    }

    /// Returns the tools of the upstream whose tools become types, if it is configured and reachable.
    package static func catalogs(_ configuration: GatewayConfiguration) async -> [String: ToolCatalog] {
        guard let name = configuration.chat.tools?.upstream,
            configuration.upstreams.contains(where: { $0.name == name })
        else { return [:] }
        let upstreams = CommandUpstreams(configuration, for: "routes")
        var catalogs: [String: ToolCatalog] = [:]
        if let upstream = upstreams.all.first(where: { $0.name == name }),
            case .success(let catalog) = await upstreams.tools(of: upstream)
        {
            catalogs[name] = upstream.pinning.admitted(catalog)
        }
        await upstreams.close()
        return catalogs
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
        return table(rows)
    }

    /// Returns lines in which each column but the last is as wide as its widest cell.
    static func table(_ rows: [[String]]) -> [String] {
        let columns = rows.first?.count ?? 0
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                column == columns - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
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
