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

/// The lists of all upstreams as one, with what calls look up in it. Immutable.
final class MergedList: Sendable {
    /// In the order in which they are listed; each name once.
    let entries: [ListedEntry]
    /// Rule that says how long, and which, clients may reuse it.
    let cache: CacheHint
    /// Names of tools and prompts that are left out because an earlier upstream has them too. Two servers with one resource
    /// mean the same by its URI.
    let shadowed: [EndpointRouter.ShadowedName]
    /// The lists that it was made of, by upstream; nil for one that is away.
    private let lists: [MemberList?]
    private let positions: [ExactString: Int]

    init(_ kind: OfferingKind, _ lists: [MemberList?], of members: [EndpointMember]) {
        self.lists = lists
        var entries: [ListedEntry] = []
        var positions: [ExactString: Int] = [:]
        var shadowed: [EndpointRouter.ShadowedName] = []
        var ttl = Int.max
        var isPublic = true
        for (index, list) in lists.enumerated() {
            guard let list else {
                // An upstream that is away may be back at any time.
                ttl = min(ttl, 1000)
                continue
            }
            ttl = min(ttl, list.cache.ttlMilliseconds)
            isPublic = isPublic && list.cache.scope == .public
            let isNamed = kind == .tools || kind == .prompts
            for entry in Self.visible(list.entries, kind, index, members[index]) {
                if positions[ExactString(entry.name)] == nil {
                    positions[ExactString(entry.name)] = entries.count
                    entries.append(entry)
                } else if isNamed {
                    shadowed.append(
                        EndpointRouter.ShadowedName(
                            kind: kind.key, name: entry.name, upstream: members[index].upstream.name))
                }
            }
        }
        self.entries = entries
        self.positions = positions
        self.shadowed = shadowed
        let scope: CacheScope = isPublic && !entries.isEmpty ? .public : .private
        cache = CacheHint(ttlMilliseconds: min(ttl, 300_000), scope: scope)
    }

    private static func visible(
        _ entries: [JSONValue], _ kind: OfferingKind, _ index: Int, _ member: EndpointMember
    ) -> [ListedEntry] {
        let hasPrefix = kind == .tools || kind == .prompts
        return entries.compactMap { entry in
            guard let identifier = entry[kind.identifier]?.string else { return nil }
            if kind == .tools, !member.shows(tool: identifier) { return nil }
            return ListedEntry(
                member: index, identifier: identifier, name: hasPrefix ? member.prefix + identifier : identifier,
                entry: entry)
        }
    }

    /// Returns whether it was made of these very lists.
    func isMade(of lists: [MemberList?]) -> Bool {
        self.lists.count == lists.count && zip(self.lists, lists).allSatisfy { $0 === $1 }
    }

    /// The entry of that name, byte by byte.
    subscript(name: String) -> ListedEntry? { positions[ExactString(name)].map { entries[$0] } }
}
