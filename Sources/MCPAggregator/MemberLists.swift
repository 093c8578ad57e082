import JSON
import Logging
import MCP
import MCPClient
import MCPServer

/// A list that a server offers.
enum OfferingKind: CaseIterable, Sendable {
    case tools, prompts, resources, templates

    var method: String {
        switch self {
        case .tools: MCPMethod.toolsList
        case .prompts: MCPMethod.promptsList
        case .resources: MCPMethod.resourcesList
        case .templates: MCPMethod.resourcesTemplatesList
        }
    }

    /// Member of the result that holds the entries.
    var key: String {
        switch self {
        case .tools: "tools"
        case .prompts: "prompts"
        case .resources: "resources"
        case .templates: "resourceTemplates"
        }
    }

    /// Member of an entry that names it.
    var identifier: String {
        switch self {
        case .tools, .prompts: "name"
        case .resources: "uri"
        case .templates: "uriTemplate"
        }
    }

    /// Returns whether a server with these capabilities offers the list.
    func isOffered(by capabilities: ServerCapabilities) -> Bool {
        switch self {
        case .tools: capabilities.tools != nil
        case .prompts: capabilities.prompts != nil
        case .resources, .templates: capabilities.resources != nil
        }
    }
}

/// A list of one upstream as it was last read.
struct MemberList: Sendable {
    /// Entries as the server sent them, in its order.
    var entries: [JSONValue]
    /// How long and by whom clients may reuse it.
    var cache: CacheHint
}

/// The lists of one upstream, cached for each caller that the upstream can tell apart.
///
/// An expired list is read again by one request for all who wait. Who waits for a silent server longer than `patience`
/// gets the list as it was, as long as it is not older than `stale`.
actor MemberLists {
    struct Limits: Sendable {
        /// Longest wait of a request for a list.
        var patience: Duration = .seconds(2)
        /// Age up to which the entries of an upstream that is away are shown.
        var stale: Duration = .seconds(300)
        /// Lifetime of a list whose server gives none.
        var lifetime: Duration = .seconds(60)
        /// Pages and entries of one list; the rest is left out with a warning.
        var pages = 200
        var entries = 10_000
        /// Callers whose lists are kept.
        var callers = 256
    }

    private struct Key: Hashable {
        let partition: CredentialPartition
        /// Revision in which the upstream is spoken to.
        let revision: MCPVersion
        let kind: OfferingKind
    }

    private struct Cached {
        var list: MemberList
        var read: ContinuousClock.Instant
        var expires: ContinuousClock.Instant
    }

    private let upstream: any EndpointUpstream
    private let limits: Limits
    private let logger: Logger
    private let now: @Sendable () -> ContinuousClock.Instant
    private var cache: [Key: Cached] = [:]
    private var reads: [Key: Task<MemberList?, Never>] = [:]
    /// Counts the changes that the server announced: a read that began before one is not kept as fresh.
    private var generation = 0

    init(
        _ upstream: any EndpointUpstream, limits: Limits, logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        self.upstream = upstream
        self.limits = limits
        self.logger = logger
        self.now = now
    }

    /// Returns a list as that caller sees it; nil when the upstream is away and its entries are too old to be shown.
    ///
    /// - Parameter maximumAge: Reads the list again when it is older than this, however long it is valid.
    func list(
        _ kind: OfferingKind, _ caller: EndpointCaller, for version: MCPVersion = .latestModern,
        maximumAge: Duration? = nil
    ) async -> MemberList? {
        let revision = await upstream.revision(for: version)
        let key = Key(partition: caller.credentials(upstream.name).partition, revision: revision, kind: kind)
        if let cached = cache[key], now() < cached.expires {
            guard let maximumAge, now() - cached.read > maximumAge else { return cached.list }
        }
        let read = reads[key] ?? begin(key, caller, version)
        if let list = await Self.first(of: read, within: limits.patience) { return list }
        guard let cached = cache[key], now() - cached.read < limits.stale else { return nil }
        return cached.list
    }

    /// Marks every list as expired: the server said that one has changed.
    func expire() {
        generation += 1
        for key in cache.keys { cache[key]?.expires = now() }
    }

    // MARK: Reading

    private func begin(_ key: Key, _ caller: EndpointCaller, _ version: MCPVersion) -> Task<MemberList?, Never> {
        let began = generation
        let task = Task { () -> MemberList? in
            let list = await read(key.kind, caller, version)
            finish(key, list, began)
            return list
        }
        reads[key] = task
        return task
    }

    private func finish(_ key: Key, _ list: MemberList?, _ began: Int) {
        reads[key] = nil
        guard let list else { return }
        if cache[key] == nil, cache.count >= limits.callers * OfferingKind.allCases.count,
            let oldest = cache.min(by: { $0.value.read < $1.value.read })?.key
        {
            cache[oldest] = nil
        }
        // A server's zero would mean reading the list with every request.
        let lifetime = max(Duration.milliseconds(list.cache.ttlMilliseconds), Duration.seconds(1))
        let isCurrent = began == generation
        cache[key] = Cached(list: list, read: now(), expires: isCurrent ? now() + lifetime : now())
    }

    private func read(_ kind: OfferingKind, _ caller: EndpointCaller, _ version: MCPVersion) async -> MemberList? {
        do {
            let description = try await upstream.describe(caller)
            guard kind.isOffered(by: description.capabilities) else {
                return MemberList(entries: [], cache: hint(nil))
            }
            return try await pages(kind, caller, version)
        } catch {
            logger.warning(
                "list of an upstream cannot be read",
                metadata: ["upstream": "\(upstream.name)", "mcp.method": "\(kind.method)", "error": "\(error)"])
            return nil
        }
    }

    private func pages(
        _ kind: OfferingKind, _ caller: EndpointCaller, _ version: MCPVersion
    ) async throws -> MemberList {
        var entries: [JSONValue] = []
        var cache: CacheHint?
        var seen: Set<[UInt8]> = []
        var params: JSONObject = [:]
        while true {
            let answer = try await upstream.send(
                UpstreamRequest(method: kind.method, params: params, caller: caller, version: version))
            cache = cache ?? CacheHint(result: answer.result)
            entries += (answer.result[kind.key]?.array ?? []).filter { $0[kind.identifier]?.string != nil }
            guard let cursor = answer.result["nextCursor"]?.string else { break }
            // An empty cursor is the end for legacy servers; a cursor that comes again would come for ever.
            if answer.era == .legacy, cursor.isEmpty { break }
            guard seen.insert(Array(cursor.utf8)).inserted, seen.count < limits.pages, entries.count < limits.entries
            else {
                logger.warning(
                    "list of an upstream is cut",
                    metadata: ["upstream": "\(upstream.name)", "mcp.method": "\(kind.method)"])
                break
            }
            params = ["cursor": .string(cursor)]
        }
        return MemberList(entries: Array(entries.prefix(limits.entries)), cache: hint(cache))
    }

    private func hint(_ given: CacheHint?) -> CacheHint {
        given ?? CacheHint(ttlMilliseconds: Int(limits.lifetime.components.seconds) * 1000, scope: .private)
    }

    /// Waits for a task, but no longer than that; the task goes on.
    private static func first(of task: Task<MemberList?, Never>, within limit: Duration) async -> MemberList? {
        await withTaskGroup(of: MemberList?.self) { group in
            let done = AsyncStream<MemberList?>.makeStream()
            let relay = Task {
                done.continuation.yield(await task.value)
                done.continuation.finish()
            }
            group.addTask {
                for await list in done.stream { return list }
                return nil
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return nil
            }
            defer {
                group.cancelAll()
                _ = relay
            }
            return await group.next() ?? nil
        }
    }
}
