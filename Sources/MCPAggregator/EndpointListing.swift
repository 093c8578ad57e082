package import JSON
package import MCP
import MCPClient
import MCPServer

/// The tools of an endpoint with the upstreams that they come from.
package struct EndpointListing: Sendable {
    /// A tool as an endpoint lists it.
    package struct Tool: Sendable {
        /// Name under which clients see and call it.
        package let name: String
        /// Name of the upstream.
        package let upstream: String
        /// Name that the upstream itself uses.
        package let ownName: String
        /// Definition as a client gets it.
        package let definition: JSONValue
    }

    /// An upstream whose tools cannot be listed.
    package struct Missing: Hashable, Sendable {
        /// Name of the upstream.
        package let upstream: String
        /// Cause, for operators.
        package let problem: String
    }

    /// Tools in the order in which they are listed.
    package let tools: [Tool]
    /// Upstreams whose entries are left out because they cannot be listed.
    package let missing: [Missing]

    /// An endpoint of which nothing has been listed yet.
    static let none = EndpointListing(tools: [], missing: [])
}

extension EndpointRouter {
    /// Lists the tools as a client of that revision without credentials sees them, all pages.
    package func listing(for version: MCPVersion = .latestModern) async -> EndpointListing {
        let entries = await list(.tools, .anonymous, version).entries
        var missing: [EndpointListing.Missing] = []
        for (member, lists) in zip(members, lists) where await !lists.isKnown(.tools, .anonymous, for: version) {
            let problem = lists.failure ?? "no answer within \(limits.patience)"
            missing.append(EndpointListing.Missing(upstream: member.upstream.name, problem: problem))
        }
        let tools = entries.map { entry in
            EndpointListing.Tool(
                name: entry.name, upstream: members[entry.member].upstream.name, ownName: entry.identifier,
                definition: ResultTranslation.entry(
                    entry.entry, .tools, prefix: members[entry.member].prefix, to: version))
        }
        let listing = EndpointListing(tools: tools, missing: missing)
        if version == .latestModern { state.withLock { $0.listing = listing } }
        return listing
    }

    /// Lists tools and prompts in the endpoint's own name, so that ``lastListing`` and ``shadowedNames`` are up to date.
    /// Lists that are still valid are not read again.
    package func survey() async {
        _ = await listing()
        _ = await list(.prompts, .anonymous, .latestModern)
    }

    /// The tools as ``listing(for:)`` or ``survey()`` found them last.
    package var lastListing: EndpointListing { state.withLock { $0.listing } }

    /// Reads all lists anew from now on: the reviews of the members let other tools pass than before.
    package func forgetLists() {
        for lists in lists { lists.forget() }
    }
}
