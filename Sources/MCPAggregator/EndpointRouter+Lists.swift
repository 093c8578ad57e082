import JSON
import MCP
import MCPServer

extension EndpointRouter {
    /// Returns a page of the merged list.
    func page(
        _ kind: OfferingKind, _ call: JSONRPCRequest, _ caller: EndpointCaller, _ context: ToolContext
    ) async throws -> JSONObject {
        let list = await list(kind, caller, context.version)
        let page = try Cursor.page(
            list.entries, of: kind.key, size: limits.pageSize, cursor: call.params?["cursor"], name: \.name)
        var result: JSONObject = [:]
        result[kind.key] = .array(
            page.entries.map {
                ResultTranslation.entry($0.entry, kind, prefix: members[$0.member].prefix, to: context.version)
            })
        if let next = page.next { result["nextCursor"] = .string(next) }
        return MCPResult.complete(result, for: context.version, cache: list.cache)
    }

    /// Returns the merged list as that caller sees it.
    ///
    /// - Parameter maximumAge: Reads lists again that are older than this.
    func list(
        _ kind: OfferingKind, _ caller: EndpointCaller, _ version: MCPVersion, maximumAge: Duration? = nil
    ) async -> MergedList {
        if maximumAge == nil, let valid = validLists(kind, caller, version) { return merged(kind, valid) }
        let found = await withTaskGroup(of: (Int, MemberList?).self) { group in
            for (index, lists) in lists.enumerated() {
                group.addTask { (index, await lists.list(kind, caller, for: version, maximumAge: maximumAge)) }
            }
            return await group.reduce(into: [Int: MemberList]()) { $0[$1.0] = $1.1 }
        }
        return merged(kind, members.indices.map { found[$0] })
    }

    /// The lists of all upstreams, where all of them are valid now.
    private func validLists(
        _ kind: OfferingKind, _ caller: EndpointCaller, _ version: MCPVersion
    ) -> [MemberList?]? {
        var valid: [MemberList?] = []
        valid.reserveCapacity(lists.count)
        for lists in lists {
            guard let list = lists.valid(kind, caller, for: version) else { return nil }
            valid.append(list)
        }
        return valid
    }

    /// Lists that were merged lately, for each kind.
    private static let mergedLists = 64

    /// Merges lists, or returns what was made of them before.
    private func merged(_ kind: OfferingKind, _ lists: [MemberList?]) -> MergedList {
        if let known = state.withLock({ $0.merged[kind]?.last { $0.isMade(of: lists) } }) { return known }
        let made = MergedList(kind, lists, of: members)
        let annotated = kind == .tools ? Self.annotatedSchemas(made.entries) : [:]
        state.withLock { state in
            if kind == .tools {
                for entry in made.entries { state.annotatedSchemas[entry.name] = nil }
                if state.annotatedSchemas.count > Self.maximumAnnotatedSchemas { state.annotatedSchemas = [:] }
                state.annotatedSchemas.merge(annotated) { _, new in new }
            }
            state.shadowed.removeAll { $0.kind == kind.key }
            state.shadowed += made.shadowed
            state.merged[kind, default: []].append(made)
            if state.merged[kind, default: []].count > Self.mergedLists { state.merged[kind]?.removeFirst() }
        }
        return made
    }

    private static let maximumAnnotatedSchemas = 10_000

    private static func annotatedSchemas(_ entries: [ListedEntry]) -> [String: JSONValue] {
        var annotated: [String: JSONValue] = [:]
        for entry in entries {
            guard let schema = entry.entry["inputSchema"], isAnnotated(schema) else { continue }
            annotated[entry.name] = schema
        }
        return annotated
    }

    /// Returns whether some property of the schema is mirrored into a header.
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
    /// A name that the cached lists lack is looked up again in lists that are at most five seconds old, so that a new
    /// tool is found at once and unknown names do not make the upstreams list their tools each time.
    func find(
        _ kind: OfferingKind, _ name: String, _ caller: EndpointCaller, _ version: MCPVersion
    ) async -> ListedEntry? {
        if let found = await list(kind, caller, version)[name] { return found }
        return await list(kind, caller, version, maximumAge: .seconds(5))[name]
    }

    /// Returns the upstreams that may have a resource, the most likely first.
    func candidates(forResource uri: String, _ caller: EndpointCaller, _ version: MCPVersion) async -> [Int] {
        var order: [Int] = []
        if let listed = await list(.resources, caller, version)[uri] { order.append(listed.member) }
        for template in await list(.templates, caller, version).entries {
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
