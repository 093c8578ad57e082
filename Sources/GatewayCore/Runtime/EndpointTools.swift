package import JSON
package import MCP
package import MCPAggregator

/// The tools that MCP endpoints list, for `gateway tools`.
package struct EndpointTools: Sendable {
    /// One endpoint with its tools.
    package struct Endpoint: Sendable {
        /// Path of the endpoint.
        package let path: String
        /// Tools with the upstreams that they come from, and the upstreams that cannot be listed.
        package let listing: EndpointListing
        /// Tools that are hidden until they are pinned, by upstream; only upstreams that have some.
        package let hidden: [(upstream: String, tools: [String])]
    }

    /// In the order of the configuration.
    package let endpoints: [Endpoint]

    /// Lists the tools of one endpoint or of all; of the pass-through where the configuration has no endpoints.
    ///
    /// - Parameters:
    ///   - path: The only endpoint to list, with or without the last slash; nil: all.
    ///   - version: Revision of the client that sees the lists.
    /// - Throws: ``EndpointToolsError`` where there is no such endpoint.
    package init(
        _ configuration: GatewayConfiguration, path: String?, version: MCPVersion = .latestModern
    ) async throws(EndpointToolsError) {
        let chosen = try Self.endpoints(configuration, path)
        let upstreams = CommandUpstreams(configuration, for: "tools")
        var endpoints: [Endpoint] = []
        for endpoint in chosen {
            let router = upstreams.router(endpoint)
            let listing = await router.listing(for: version)
            let members = upstreams.all.filter { upstream in endpoint.members.contains { $0.upstream == upstream.name }
            }
            let hidden = members.map { ($0.name, $0.pinning.hidden.map(\.tool.text)) }.filter { !$0.1.isEmpty }
            endpoints.append(Endpoint(path: endpoint.path, listing: listing, hidden: hidden))
        }
        await upstreams.close()
        self.endpoints = endpoints
    }

    private static func endpoints(
        _ configuration: GatewayConfiguration, _ path: String?
    ) throws(EndpointToolsError) -> [MCPEndpointConfiguration] {
        var endpoints = configuration.mcp?.endpoints ?? []
        let passthrough = configuration.passthrough
        if endpoints.isEmpty, passthrough.isEnabled {
            let allowlist = passthrough.tools
            endpoints = [
                MCPEndpointConfiguration(
                    path: "/mcp/", upstream: passthrough.upstream, allow: allowlist?.allow.map(\.text) ?? ["*"],
                    deny: allowlist?.deny.map(\.text) ?? [])
            ]
        }
        guard let path else {
            if endpoints.isEmpty { throw EndpointToolsError(description: "the configuration has no MCP endpoint") }
            return endpoints
        }
        let found = endpoints.filter { $0.path == path || $0.base == path || $0.base + "/" == path }
        if found.isEmpty {
            let known = endpoints.isEmpty ? "none" : endpoints.map(\.path).joined(separator: ", ")
            throw EndpointToolsError(description: "\(path.printable): no such MCP endpoint; there are: \(known)")
        }
        return found
    }

    /// True if every upstream could be listed.
    package var isComplete: Bool { endpoints.allSatisfy { $0.listing.missing.isEmpty } }

    /// The table for people: endpoint, tool, upstream, the upstream's own name, and the beginning of the description.
    package var table: [String] {
        var rows = [["ENDPOINT", "TOOL", "UPSTREAM", "ORIGINAL NAME", "DESCRIPTION"]]
        for endpoint in endpoints {
            rows += endpoint.listing.tools.map { tool in
                let text = tool.definition["description"]?.string ?? ""
                let line = text.split(whereSeparator: \.isNewline).first.map { String($0) } ?? ""
                let ownName = tool.ownName == tool.name ? "-" : tool.ownName.printable
                return [endpoint.path, tool.name.printable, tool.upstream, ownName, line.printable(80)]
            }
        }
        return GatewayReport.table(rows)
    }

    /// Lines on what the table lacks: upstreams that cannot be listed, and tools that are hidden.
    package var remarks: [String] {
        endpoints.flatMap { endpoint in
            endpoint.listing.missing.map { "\(endpoint.path): upstream \($0.upstream) cannot be listed: \($0.problem)" }
                + endpoint.hidden.map { upstream, tools in
                    "\(endpoint.path): upstream \(upstream): hidden until they are pinned: "
                        + tools.map(\.printable).joined(separator: ", ")
                }
        }
    }

    /// The same for programs.
    package var json: JSONValue {
        let endpoints = endpoints.map { endpoint -> JSONValue in
            [
                "path": .string(endpoint.path),
                "tools": .array(
                    endpoint.listing.tools.map { tool in
                        [
                            "name": .string(tool.name), "upstream": .string(tool.upstream),
                            "ownName": .string(tool.ownName), "definition": tool.definition,
                        ]
                    }),
                "missing": .array(
                    endpoint.listing.missing.map {
                        ["upstream": .string($0.upstream), "problem": .string($0.problem)]
                    }),
                "hidden": .object(
                    JSONObject(endpoint.hidden.map { ($0.upstream, .array($0.tools.map { .string($0) })) })),
            ]
        }
        return ["endpoints": .array(endpoints)]
    }
}

/// Error of an endpoint whose tools cannot be listed.
package struct EndpointToolsError: Error, CustomStringConvertible {
    package let description: String
}
