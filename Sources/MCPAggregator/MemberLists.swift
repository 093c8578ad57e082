import JSON
import Logging
import MCP
import MCPClient
import MCPServer
import ProcessMemory
import Synchronization

/// A kind of list that a server offers.
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

    /// Member of the result that contains the entries.
    var key: String {
        switch self {
        case .tools: "tools"
        case .prompts: "prompts"
        case .resources: "resources"
        case .templates: "resourceTemplates"
        }
    }

    /// Member of an entry that identifies it.
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

/// A list of one upstream as it was read. Immutable: a list that is read anew is another object.
final class MemberList: Sendable {
    /// Entries as the server sent them, in its order.
    let entries: [JSONValue]
    /// Rule that says how long, and which, clients may reuse it.
    let cache: CacheHint
    /// Memory that the entries have drawn.
    let reservation: MemoryReservation?
    /// Hash of the text of the entries, in their order, and of the rule.
    let digest: Int
    private let retired = Atomic<Bool>(false)

    /// True once another list has taken the place of this one, so that nothing made of it is used again.
    var isRetired: Bool { retired.load(ordering: .relaxed) }

    /// Marks the list as replaced.
    func retire() { retired.store(true, ordering: .relaxed) }

    init(entries: [JSONValue], cache: CacheHint, reservation: MemoryReservation? = nil) {
        self.entries = entries
        self.cache = cache
        self.reservation = reservation
        var hasher = Hasher()
        for entry in entries { entry.serialized.withUnsafeBytes { hasher.combine(bytes: $0) } }
        hasher.combine(cache)
        digest = hasher.finalize()
    }

    /// Returns whether the lists have the same entries under the same rule.
    func isEqual(to other: MemberList) -> Bool {
        digest == other.digest && cache == other.cache && entries == other.entries
    }
}

/// Lists of one upstream, cached for each caller that the upstream can distinguish. Callers for whom the upstream has equal
/// lists share one.
///
/// An expired list is read again by one request for all who wait. Who waits for a silent server longer than `patience`
/// gets the list as it was, as long as it is not older than `stale`.
final class MemberLists: Sendable {
    struct Limits: Sendable {
        /// Longest wait of a request for a list.
        var patience: Duration = .seconds(2)
        /// Age up to which the entries of an unreachable upstream are shown.
        var stale: Duration = .seconds(300)
        /// Lifetime of a list whose server gives none.
        var lifetime: Duration = .seconds(60)
        /// Largest numbers of pages and entries of one list, and its largest size in bytes; the rest is dropped with a
        /// warning.
        var pages = 200
        var entries = 10_000
        var bytes = 8 << 20
        /// Budget of the process, from which lists draw.
        var memory = MemoryBudget.unlimited
        /// Largest number of callers whose lists are kept.
        var callers = 4096
        /// Largest number of different lists of one kind that are kept.
        var lists = 256
    }

    private struct Key: Hashable {
        let partition: CredentialPartition
        /// Revision that is used with the upstream.
        let revision: MCPVersion
        let kind: OfferingKind
    }

    private struct Cached {
        let list: MemberList
        let read: ContinuousClock.Instant
        var expires: ContinuousClock.Instant
    }

    private struct State {
        var cache: [Key: Cached] = [:]
        var reads: [Key: Task<MemberList?, Never>] = [:]
        /// Lists that are in the cache, by their digests, with the number of places in which they are.
        var shared: [Int: (list: MemberList, uses: Int)] = [:]
        /// Counts the changes that the server announced: a read that began before one is not kept as fresh.
        var generation = 0
        /// Counts the changes of what the review lets pass: a read that began before one is not kept at all.
        var reviews = 0
        /// Error of the last read of a list; nil when it succeeded.
        var failure: String?
    }

    private let upstream: any EndpointUpstream
    private let reader: OfferingReader
    private let review: (any ToolReview)?
    private let limits: Limits
    private let logger: Logger
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state = Mutex(State())

    init(
        _ upstream: any EndpointUpstream, review: (any ToolReview)? = nil, limits: Limits, logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        self.upstream = upstream
        self.review = review
        reader = OfferingReader(upstream: upstream, limits: limits, logger: logger)
        self.limits = limits
        self.logger = logger
        self.now = now
    }

    /// Returns a list that is valid now, without waiting for anything; nil where one has to be read.
    func valid(_ kind: OfferingKind, _ caller: EndpointCaller, for version: MCPVersion) -> MemberList? {
        guard let revision = upstream.knownRevision(for: version) else { return nil }
        let key = Key(partition: caller.credentials(upstream.name).partition, revision: revision, kind: kind)
        return state.withLock { valid(key, nil, $0) }
    }

    /// Returns a list as that caller sees it; nil when the upstream is away and its entries are too old to be shown.
    ///
    /// - Parameters:
    ///   - maximumAge: The list is read again when it is older than this, however long it is valid.
    ///   - patience: Longest wait for a silent upstream; nil: that of the limits.
    func list(
        _ kind: OfferingKind, _ caller: EndpointCaller, for version: MCPVersion = .latestModern,
        maximumAge: Duration? = nil, patience: Duration? = nil
    ) async -> MemberList? {
        let key = await key(kind, caller, version)
        let read = state.withLock { state -> Task<MemberList?, Never>? in
            if valid(key, maximumAge, state) != nil { return nil }
            return state.reads[key] ?? begin(key, caller, version, &state)
        }
        if let read, let list = await Self.first(of: read, within: patience ?? limits.patience) { return list }
        return state.withLock { shown(key, $0) }
    }

    /// Returns whether there is a list that may be shown to that caller, without reading one.
    func isKnown(_ kind: OfferingKind, _ caller: EndpointCaller, for version: MCPVersion) async -> Bool {
        let key = await key(kind, caller, version)
        return state.withLock { shown(key, $0) != nil }
    }

    /// Error of the last read of a list; nil when it succeeded.
    var failure: String? { state.withLock { $0.failure } }

    /// Marks every list as expired: the server said that one has changed.
    func expire() {
        let now = now()
        state.withLock { state in
            state.generation += 1
            for key in state.cache.keys { state.cache[key]?.expires = now }
        }
    }

    /// Forgets every list: the review lets other tools pass than before.
    func forget() {
        state.withLock { state in
            state.generation += 1
            state.reviews += 1
            for cached in state.cache.values { cached.list.retire() }
            state.cache = [:]
            state.shared = [:]
            state.reads = [:]
        }
    }

    // MARK: The cache

    private func key(_ kind: OfferingKind, _ caller: EndpointCaller, _ version: MCPVersion) async -> Key {
        let revision = await upstream.revision(for: version)
        return Key(partition: caller.credentials(upstream.name).partition, revision: revision, kind: kind)
    }

    private func valid(_ key: Key, _ maximumAge: Duration?, _ state: State) -> MemberList? {
        let now = now()
        guard let cached = state.cache[key], now < cached.expires else { return nil }
        if let maximumAge, now - cached.read > maximumAge { return nil }
        return cached.list
    }

    /// A valid list, or one of an upstream that is away as long as it may be shown.
    private func shown(_ key: Key, _ state: State) -> MemberList? {
        guard let cached = state.cache[key] else { return nil }
        let now = now()
        return now < cached.expires || now - cached.read < limits.stale ? cached.list : nil
    }

    // MARK: Reading

    private func begin(
        _ key: Key, _ caller: EndpointCaller, _ version: MCPVersion, _ state: inout State
    ) -> Task<MemberList?, Never> {
        let (generation, reviews) = (state.generation, state.reviews)
        let task = Task { () -> MemberList? in
            let list = await read(key, caller, version)
            return self.state.withLock { state in
                state.reviews == reviews ? finish(key, list, generation, &state) : list
            }
        }
        state.reads[key] = task
        return task
    }

    /// Keeps a list that was read, and returns it, or the equal one that other callers have.
    private func finish(
        _ key: Key, _ read: MemberList?, _ generation: Int, _ state: inout State
    ) -> MemberList? {
        state.reads[key] = nil
        guard let read else { return nil }
        let former = state.cache.removeValue(forKey: key)
        let list = keep(read, &state)
        if let former { drop(former.list, &state) }
        if state.cache.count >= limits.callers * OfferingKind.allCases.count { evict(&state) { _ in true } }
        // A server's lifetime of zero would read the list with every request.
        let lifetime = max(Duration.milliseconds(list.cache.ttlMilliseconds), Duration.seconds(1))
        let now = now()
        let isCurrent = generation == state.generation
        state.cache[key] = Cached(list: list, read: now, expires: isCurrent ? now + lifetime : now)
        return list
    }

    /// Counts one more place of a list; an equal one that is there already takes its part.
    private func keep(_ list: MemberList, _ state: inout State) -> MemberList {
        if let known = state.shared[list.digest] {
            guard known.list.isEqual(to: list) else { return list }
            state.shared[list.digest] = (known.list, known.uses + 1)
            return known.list
        }
        if state.shared.count >= limits.lists * OfferingKind.allCases.count {
            let single = state.shared.filter { $0.value.uses == 1 }
            evict(&state) { single[$0.list.digest] != nil }
        }
        state.shared[list.digest] = (list, 1)
        return list
    }

    /// Removes the oldest list of those places.
    private func evict(_ state: inout State, where isMeant: (Cached) -> Bool) {
        let oldest = state.cache.filter { isMeant($0.value) }.min { $0.value.read < $1.value.read }
        if let oldest, let cached = state.cache.removeValue(forKey: oldest.key) { drop(cached.list, &state) }
    }

    /// Counts one place less of a list; one that is nowhere any more is retired.
    private func drop(_ list: MemberList, _ state: inout State) {
        guard let known = state.shared[list.digest], known.list === list else { return list.retire() }
        if known.uses > 1 {
            state.shared[list.digest] = (list, known.uses - 1)
        } else {
            state.shared[list.digest] = nil
            list.retire()
        }
    }

    private func read(_ key: Key, _ caller: EndpointCaller, _ version: MCPVersion) async -> MemberList? {
        do {
            var list = try await reader.read(key.kind, caller, version)
            if key.kind == .tools, let review {
                list = try await ParsingQueue.lists.run { [list] in
                    let admitted = review.admitted(
                        list.entries, version: key.revision, isOwn: key.partition == .anonymous)
                    return MemberList(entries: admitted, cache: list.cache, reservation: list.reservation)
                }
            }
            state.withLock { $0.failure = nil }
            return list
        } catch {
            let failure = "\(error)"
            let isKnown = state.withLock { state in
                defer { state.failure = failure }
                return state.failure == failure
            }
            // An upstream that is away is asked again and again.
            logger.log(
                level: isKnown ? .debug : .warning, "list of an upstream cannot be read",
                metadata: ["upstream": "\(upstream.name)", "mcp.method": "\(key.kind.method)", "error": "\(error)"])
            return nil
        }
    }

    /// Waits for a task, but no longer than that; the task goes on.
    private static func first(of task: Task<MemberList?, Never>, within limit: Duration) async -> MemberList? {
        let (lists, relay) = AsyncStream<MemberList?>.makeStream()
        Task {
            relay.yield(await task.value)
            relay.finish()
        }
        let timer = Task {
            try? await Task.sleep(for: limit)
            relay.finish()
        }
        defer { timer.cancel() }
        for await list in lists { return list }
        return nil
    }
}
