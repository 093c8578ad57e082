import JSON
import MCP
import MCPServer
import ProcessMemory

extension EndpointRouter {
    /// Returns a page of the merged list.
    func page(
        _ kind: OfferingKind, _ call: JSONRPCRequest, _ caller: EndpointCaller, _ context: ToolContext
    ) async throws -> JSONObjectText {
        try page(await list(kind, caller, context.version), kind, cursor: call.params?["cursor"], context.version)
    }

    /// Returns a page of a merged list.
    ///
    /// - Throws: -32602 for an invalid cursor.
    func page(
        _ list: MergedList, _ kind: OfferingKind, cursor: JSONValue?, _ version: MCPVersion
    ) throws(JSONRPCError) -> JSONObjectText {
        let page = try Cursor.page(list.entries, of: kind.key, size: limits.pageSize, cursor: cursor, name: \.name)
        let key = MergedList.PageKey(version: version, name: page.entries.first.map { ExactString($0.name) })
        if let known = list.page(key) { return known }
        var result: JSONObject = [:]
        result[kind.key] = .array(
            page.entries.map {
                ResultTranslation.entry($0.entry, kind, prefix: members[$0.member].prefix, to: version)
            })
        if let next = page.next { result["nextCursor"] = .string(next) }
        let made = JSONObjectText(MCPResult.complete(result, for: version, cache: list.cache))
        var reservation: MemoryReservation?
        if limits.memory.hold(made.sizeLimit, in: &reservation) { list.keep(made, as: key, reservation) }
        return made
    }

    /// Returns the merged list as that caller sees it.
    ///
    /// - Parameters:
    ///   - maximumAge: Reads lists again that are older than this.
    ///   - patience: Longest wait for a silent upstream; nil: that of the limits.
    func list(
        _ kind: OfferingKind, _ caller: EndpointCaller, _ version: MCPVersion, maximumAge: Duration? = nil,
        patience: Duration? = nil
    ) async -> MergedList {
        if maximumAge == nil, let known = knownList(kind, caller, version) { return known }
        let found = await withTaskGroup(of: (Int, MemberList?).self) { group in
            for (index, lists) in lists.enumerated() {
                group.addTask {
                    let list = await lists.list(
                        kind, caller, for: version, maximumAge: maximumAge, patience: patience)
                    return (index, list)
                }
            }
            return await group.reduce(into: [Int: MemberList]()) { $0[$1.0] = $1.1 }
        }
        return merged(kind, members.indices.map { found[$0] })
    }

    /// Returns the merged list as that caller sees it, where the lists of all upstreams are valid now.
    func knownList(_ kind: OfferingKind, _ caller: EndpointCaller, _ version: MCPVersion) -> MergedList? {
        validLists(kind, caller, version).map { merged(kind, $0) }
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
            // A list that is read again and again must not be kept as often.
            state.merged[kind]?.removeAll { !$0.isCurrent }
            state.merged[kind, default: []].append(made)
            if state.merged[kind, default: []].count > Self.mergedLists { state.merged[kind]?.removeFirst() }
        }
        return made
    }

    private static let maximumAnnotatedSchemas = 10_000

    private static func annotatedSchemas(_ entries: [ListedEntry]) -> [String: JSONValue] {
        var annotated: [String: JSONValue] = [:]
        for entry in entries {
            if let schema = entry.annotatedSchema { annotated[entry.name] = schema }
        }
        return annotated
    }

    // MARK: Finding the upstream of a name

    /// Finds the upstream that has a tool or prompt; nil when none has.
    ///
    /// A name that the cached lists lack is looked up again in lists that are at most five seconds old, so that a new
    /// tool is found at once and unknown names do not make the upstreams list their tools each time. A call waits longer for
    /// an upstream that is only starting than a list does, which can do without it.
    func find(
        _ kind: OfferingKind, _ name: String, _ caller: EndpointCaller, _ version: MCPVersion
    ) async -> ListedEntry? {
        if let found = await list(kind, caller, version)[name] { return found }
        return await list(kind, caller, version, maximumAge: .seconds(5), patience: limits.callPatience)[name]
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
