import JSON
import MCP
import MCPServer

/// An entry of a list with the upstream that it comes from.
struct ListedEntry: Sendable {
    let member: Int
    /// Name, URI or template as the upstream has it.
    let identifier: String
    /// The same as the endpoint shows it.
    let name: String
    let entry: JSONValue
}

extension EndpointRouter {
    /// Returns a page of the merged list.
    func page(
        _ kind: OfferingKind, _ call: JSONRPCRequest, _ caller: EndpointCaller, _ context: ToolContext
    ) async throws -> JSONObject {
        let (entries, cache) = await entries(kind, caller, context.version)
        let page = try Cursor.page(
            entries, of: kind.key, size: limits.pageSize, cursor: call.params?["cursor"], name: \.name)
        var result: JSONObject = [:]
        result[kind.key] = .array(
            page.entries.map {
                ResultTranslation.entry($0.entry, kind, prefix: members[$0.member].prefix, to: context.version)
            })
        if let next = page.next { result["nextCursor"] = .string(next) }
        return MCPResult.complete(result, for: context.version, cache: cache)
    }

    /// Returns the merged list as that caller sees it, and how long it may be reused.
    ///
    /// - Parameter maximumAge: Reads lists again that are older than this.
    func entries(
        _ kind: OfferingKind, _ caller: EndpointCaller, _ version: MCPVersion, maximumAge: Duration? = nil
    ) async -> (entries: [ListedEntry], cache: CacheHint) {
        let found = await withTaskGroup(of: (Int, MemberList?).self) { group in
            for (index, lists) in lists.enumerated() {
                group.addTask { (index, await lists.list(kind, caller, for: version, maximumAge: maximumAge)) }
            }
            return await group.reduce(into: [Int: MemberList]()) { $0[$1.0] = $1.1 }
        }
        var merged: [ListedEntry] = []
        var names: Set<[UInt8]> = []
        var shadowed: [ShadowedName] = []
        var ttl = Int.max
        var isPublic = true
        for index in members.indices {
            guard let list = found[index] else {
                // An upstream that is away may be back at any time.
                ttl = min(ttl, 1000)
                continue
            }
            ttl = min(ttl, list.cache.ttlMilliseconds)
            isPublic = isPublic && list.cache.scope == .public
            for entry in visible(list.entries, kind, index) {
                if names.insert(Array(entry.name.utf8)).inserted {
                    merged.append(entry)
                } else {
                    shadowed.append(
                        ShadowedName(kind: kind.key, name: entry.name, upstream: members[index].upstream.name))
                }
            }
        }
        note(merged, shadowed, kind)
        let scope: CacheScope = isPublic && !merged.isEmpty ? .public : .private
        return (merged, CacheHint(ttlMilliseconds: min(ttl, 300_000), scope: scope))
    }

    private func visible(_ entries: [JSONValue], _ kind: OfferingKind, _ index: Int) -> [ListedEntry] {
        let member = members[index]
        return entries.compactMap { entry in
            guard let identifier = entry[kind.identifier]?.string else { return nil }
            if kind == .tools, !member.shows(tool: identifier) { return nil }
            let hasPrefix = kind == .tools || kind == .prompts
            return ListedEntry(
                member: index, identifier: identifier, name: hasPrefix ? member.prefix + identifier : identifier,
                entry: entry)
        }
    }

    private func note(_ merged: [ListedEntry], _ shadowed: [ShadowedName], _ kind: OfferingKind) {
        var annotated: [String: JSONValue] = [:]
        if kind == .tools {
            for entry in merged {
                guard let schema = entry.entry["inputSchema"], Self.isAnnotated(schema) else { continue }
                annotated[entry.name] = schema
            }
        }
        state.withLock { state in
            if kind == .tools { state.annotatedSchemas = annotated }
            state.shadowed.removeAll { $0.kind == kind.key }
            state.shadowed += shadowed
        }
    }

    /// Whether some property of the schema is mirrored into a header.
    private static func isAnnotated(_ schema: JSONValue) -> Bool {
        switch schema {
        case .object(let members): members.contains { $0.key == "x-mcp-header" || isAnnotated($0.value) }
        case .array(let elements): elements.contains(where: isAnnotated)
        default: false
        }
    }

    // MARK: Finding the upstream of a name

    /// Finds the upstream that has a tool or prompt; nil when none has.
    ///
    /// A name that the cached lists lack is looked up once more in lists that are at most five seconds old, so that a new
    /// tool is found at once and unknown names do not make the upstreams list their tools for each.
    func find(
        _ kind: OfferingKind, _ name: String, _ caller: EndpointCaller, _ version: MCPVersion
    ) async -> ListedEntry? {
        for maximumAge in [nil, Duration.seconds(5)] {
            let entries = await entries(kind, caller, version, maximumAge: maximumAge).entries
            if let found = entries.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) { return found }
        }
        return nil
    }

    /// Returns the upstreams that may have a resource, the likeliest first.
    func candidates(forResource uri: String, _ caller: EndpointCaller, _ version: MCPVersion) async -> [Int] {
        var order: [Int] = []
        if let listed = await entries(.resources, caller, version).entries.first(where: { $0.name == uri }) {
            order.append(listed.member)
        }
        for template in await entries(.templates, caller, version).entries {
            // The text before the first expression decides; the server knows better.
            let literal = template.name.prefix { $0 != "{" }
            if !literal.isEmpty, uri.hasPrefix(literal), !order.contains(template.member) {
                order.append(template.member)
            }
        }
        let descriptions = state.withLock { $0.descriptions }
        for index in members.indices where !order.contains(index) && descriptions[index]?.capabilities.resources != nil
        {
            order.append(index)
        }
        return order
    }
}
