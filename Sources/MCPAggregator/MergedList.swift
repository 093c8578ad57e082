import JSON
import MCP
import MCPServer
import ProcessMemory
import Synchronization

/// An entry of a list with the upstream that it comes from.
struct ListedEntry: Sendable {
    let member: Int
    /// Name, URI or template as the upstream has it.
    let identifier: String
    /// The same as the endpoint shows it.
    let name: String
    let entry: JSONValue
    /// Input schema of a tool some of whose arguments are repeated in headers; nil for any other entry.
    var annotatedSchema: JSONValue?
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
    /// Results that were made of its pages.
    private let pages = Mutex<[PageKey: (result: JSONObjectText, reservation: MemoryReservation?)]>([:])

    /// A page as clients of a revision get it.
    struct PageKey: Hashable {
        let version: MCPVersion
        /// Name of the first entry; nil: there is none.
        let name: ExactString?
    }

    /// Largest number of pages that are kept.
    private static let keptPages = 64

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
            var listed = ListedEntry(
                member: index, identifier: identifier, name: hasPrefix ? member.prefix + identifier : identifier,
                entry: entry)
            if kind == .tools, let schema = entry["inputSchema"], isAnnotated(schema) {
                listed.annotatedSchema = schema
            }
            return listed
        }
    }

    /// Returns whether some property of the schema is repeated in a header.
    private static func isAnnotated(_ schema: JSONValue) -> Bool {
        switch schema {
        case .object(let members): members.contains { $0.key == "x-mcp-header" || isAnnotated($0.value) }
        case .array(let elements): elements.contains(where: isAnnotated)
        default: false
        }
    }

    /// Returns whether it was made of these very lists.
    func isMade(of lists: [MemberList?]) -> Bool {
        self.lists.count == lists.count && zip(self.lists, lists).allSatisfy { $0 === $1 }
    }

    /// Returns the result that was made of a page before.
    func page(_ key: PageKey) -> JSONObjectText? { pages.withLock { $0[key]?.result } }

    /// Keeps the result that was made of a page, unless there are many already.
    ///
    /// - Parameter reservation: Memory that the result has drawn.
    func keep(_ result: JSONObjectText, as key: PageKey, _ reservation: MemoryReservation?) {
        pages.withLock { pages in
            if pages.count < Self.keptPages { pages[key] = (result, reservation) }
        }
    }

    /// True while none of them has been replaced.
    var isCurrent: Bool { !lists.contains { $0?.isRetired == true } }

    /// The entry of that name, byte by byte.
    subscript(name: String) -> ListedEntry? { positions[ExactString(name)].map { entries[$0] } }
}
