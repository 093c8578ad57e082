package import JSON
package import MCP
import Synchronization

/// Limits and behaviour of one Streamable HTTP endpoint.
package struct StreamableHTTPConfiguration: Sendable {
    /// Largest number of legacy sessions of authenticated callers; the least recently used idle one is ended for a new
    /// one, and where all are busy, the new one is refused.
    package var sessionLimit: Int
    /// Largest number of legacy sessions of anonymous callers; they never displace one of an authenticated caller.
    package var anonymousSessionLimit: Int
    /// Largest number of legacy sessions of one authenticated caller; beyond it only its own sessions are ended.
    package var ownerSessionLimit: Int
    /// Time without use after which a legacy session ends.
    package var sessionIdle: Duration
    /// Largest size in bytes of the events kept for redelivery, over all sessions of authenticated callers, and as much
    /// again over all sessions of anonymous ones; 0: streams cannot be resumed.
    package var eventStoreBytes: Int
    /// Time that an ended stream can still be resumed with `Last-Event-ID`.
    package var resumeWindow: Duration
    /// Value of `retry` in priming events, in milliseconds.
    package var retryMilliseconds: Int
    /// Time after which a running call is answered with an event stream, if the client accepts one.
    package var streamAfter: Duration
    /// Time between the comments that keep a quiet stream open.
    package var keepAlive: Duration
    /// Time between two checks of time limits; zero: only when ``StreamableHTTP/tick(now:)`` is called.
    package var tick: Duration
    /// Largest number of messages in one 2025-03-26 batch.
    package var batchLimit: Int
    /// Issuer of session identifiers.
    package var identifiers: any SessionIdentifying
    /// Returns the `WWW-Authenticate` for a refused request; nil: this header cannot name a way to authenticate here,
    /// so the refusal is an error of the call instead.
    package var challenge: @Sendable (AccessError) -> String?

    /// Creates a configuration.
    package init(
        sessionLimit: Int = 10_000, anonymousSessionLimit: Int = 10_000,
        ownerSessionLimit: Int = 1000, sessionIdle: Duration = .seconds(1800),
        eventStoreBytes: Int = 16 * 1024 * 1024, resumeWindow: Duration = .seconds(300),
        retryMilliseconds: Int = 1000, streamAfter: Duration = .seconds(5), keepAlive: Duration = .seconds(15),
        tick: Duration = .milliseconds(500), batchLimit: Int = 100,
        identifiers: any SessionIdentifying = RandomSessionIdentifiers(),
        challenge: @escaping @Sendable (AccessError) -> String? = { _ in nil }
    ) {
        self.sessionLimit = sessionLimit
        self.anonymousSessionLimit = anonymousSessionLimit
        self.ownerSessionLimit = ownerSessionLimit
        self.sessionIdle = sessionIdle
        self.eventStoreBytes = eventStoreBytes
        self.resumeWindow = resumeWindow
        self.retryMilliseconds = retryMilliseconds
        self.streamAfter = streamAfter
        self.keepAlive = keepAlive
        self.tick = tick
        self.batchLimit = batchLimit
        self.identifiers = identifiers
        self.challenge = challenge
    }
}

/// Streamable HTTP transport of both eras, independent of an HTTP server: takes requests, returns responses.
///
/// One endpoint serves the legacy revisions with sessions and 2026-07-28 without; the era of each request follows from
/// its body first, then its headers.
package final class StreamableHTTP: Sendable {
    /// Closure that answers a POST whose body is a JSON object but not a JSON-RPC message; nil: the body is unknown.
    package typealias UnknownBodyHandler = @Sendable (MCPHTTPRequest, JSONObject) async -> MCPHTTPResponse?

    let server: MCPServer
    let configuration: StreamableHTTPConfiguration
    let pools: SessionPools
    let subscriptions = ListenSubscriptions()
    let exchanges = OpenResponses()
    /// Metadata of requests that are forwarded; nil where the server answers itself, which wants all values as trees.
    let metas: RequestMetaCache?
    let clock = ContinuousClock()
    private let ticker = Mutex<Task<Void, Never>?>(nil)
    private let lastKeepAlive: Mutex<ContinuousClock.Instant>
    private let changes: MCPServer.ChangeToken

    /// Creates the endpoint of a server.
    package init(
        server: MCPServer, configuration: StreamableHTTPConfiguration = StreamableHTTPConfiguration()
    ) {
        self.server = server
        self.configuration = configuration
        metas = server.forwarder == nil ? nil : RequestMetaCache()
        let pools = SessionPools(configuration, memory: server.configuration.memory)
        self.pools = pools
        lastKeepAlive = Mutex(clock.now)
        changes = server.onChange { [subscriptions] change in
            Self.announce(change, pools: pools, subscriptions: subscriptions)
        }
        if configuration.tick > .zero { startTicking() }
    }

    deinit { ticker.withLock { $0?.cancel() } }

    /// Answers one request, whose `Host` and `Origin` the HTTP server has accepted. Cancelling the calling task means
    /// that the client has left: this cancels the request in 2026-07-28, and nothing in the legacy revisions.
    package func handle(_ request: MCPHTTPRequest, foreignBody: UnknownBodyHandler? = nil) async -> MCPHTTPResponse {
        await server.forwarder?.prepare()
        switch request.method {
        case "POST": return await post(request, foreignBody)
        case "GET": return await listen(request)
        case "DELETE": return await delete(request)
        default:
            return .error(
                .invalidRequest("Method Not Allowed"), status: 405, headers: [("Allow", "GET, POST, DELETE")])
        }
    }

    /// Opens a legacy session, as after `initialize` and `notifications/initialized`, and returns its id.
    /// - Returns: Nil where every session that could make room is busy.
    package func openSession(version: MCPVersion = .latestLegacy, principal: Principal?) -> String? {
        newSession(SessionMetadata(version: version, owner: principal?.id))?.id
    }

    /// Number of live legacy sessions.
    package var sessionCount: Int { pools.all.reduce(0) { $0 + $1.sessions.count } }

    /// Ends every session and subscription, the latter with their results; running requests are cancelled.
    package func shutdown() {
        ticker.withLock { $0?.cancel() }
        subscriptions.end(serverInfo: server.info)
        // The clients did not end them: another replica, or this one after its restart, may resume them.
        for pool in pools.all {
            for session in pool.sessions.all where pool.sessions.remove(session.id) != nil { session.end() }
        }
    }

    // MARK: Sessions

    /// Opens a session; nil where there is no room for it.
    func newSession(_ facts: SessionMetadata) -> Session? {
        let id = configuration.identifiers.issue(facts)
        var facts = facts
        facts.expiry = configuration.identifiers.expiry(of: id)
        return insert(Session(id: id, facts: facts, memory: server.configuration.memory))
    }

    private func insert(_ session: Session) -> Session? {
        let insertion = pools[session.facts.owner].sessions.insert(session, now: clock.now)
        // An evicted session frees memory. Its client did not end it: where its identifier contains its data, it may be
        // resumed.
        for session in insertion.evicted { session.end() }
        return insertion.held
    }

    /// Result of looking up the session that a request names.
    enum SessionLookup {
        case found(Session)
        /// The session does not exist, or belongs to another caller.
        case unknown
        /// The session can be resumed, but there is no room for it here.
        case noRoom
    }

    /// Returns the session of that id if it belongs to that principal; for any other it does not exist.
    func session(_ id: String, principal: Principal?) async -> SessionLookup {
        if let session = find(id, principal) { return .found(session) }
        guard let facts = await configuration.identifiers.recognise(id, owner: principal?.id),
            facts.isOwned(by: principal)
        else { return .unknown }
        // Another request may have resumed the session meanwhile: there is one object for it.
        return insert(Session(id: id, facts: facts, memory: server.configuration.memory)).map { .found($0) } ?? .noRoom
    }

    /// Returns a session of this process, without asking who else may know it.
    func find(_ id: String, _ principal: Principal?) -> Session? {
        guard let session = pools[principal?.id].sessions.find(id, now: clock.now), session.facts.isOwned(by: principal)
        else { return nil }
        guard let expiry = session.facts.expiry, expiry <= server.now() else { return session }
        end(session)
        return nil
    }

    /// Drops the sessions that this process has resumed and another one has ended. Must be called periodically where
    /// processes share their ends.
    /// - Throws: The error that prevents finding out; then every session continues.
    package func dropSessionsEndedElsewhere() async throws {
        for pool in pools.all {
            let ids = pool.sessions.all.map(\.id)
            for start in stride(from: 0, to: ids.count, by: Self.endsAskedAtOnce) {
                let some = Array(ids[start..<min(start + Self.endsAskedAtOnce, ids.count)])
                for id in try await configuration.identifiers.endedElsewhere(among: some) {
                    pool.sessions.remove(id)?.end()
                }
            }
        }
    }

    private static let endsAskedAtOnce = 1000

    func end(_ session: Session) {
        guard pools[session.facts.owner].sessions.remove(session.id) != nil else { return }
        configuration.identifiers.ended(session.id)
        session.end()
    }

    private static func announce(
        _ change: ServerChange, pools: SessionPools, subscriptions: ListenSubscriptions
    ) {
        subscriptions.announce(change)
        let message = change.notification.json.serialized
        for session in pools.sessions {
            if case .resource(let uri) = change, !session.isSubscribed(to: uri) { continue }
            session.announce(message)
        }
    }

    // MARK: Time

    /// Checks everything that depends on time: idle sessions, long calls, quiet streams, expired streams.
    package func tick(now: ContinuousClock.Instant) {
        for pool in pools.all {
            for session in pool.sessions.expire(now: now) { session.end() }
            pool.lingering.expire(now: now)
        }
        exchanges.promote(startedBefore: now - configuration.streamAfter)
        let quiet = lastKeepAlive.withLock { last in
            guard now - last >= configuration.keepAlive else { return false }
            last = now
            return true
        }
        guard quiet else { return }
        exchanges.keepAlive()
        for session in pools.sessions { session.keepAlive() }
    }

    private func startTicking() {
        let interval = configuration.tick
        let task = Task { [weak self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: interval)
                guard let self else { return }
                self.tick(now: self.clock.now)
            }
        }
        ticker.withLock { $0 = task }
    }
}

/// A response that waits or streams.
protocol OpenResponse: AnyObject, Sendable {
    /// Begins the event stream, because the request runs long.
    func promote()
    /// Sends a comment on a stream, so that proxies do not close it.
    func keepAlive()
}

/// POSTs and listening streams that wait or stream.
final class OpenResponses: Sendable {
    private struct Entry {
        let started: ContinuousClock.Instant
        let response: any OpenResponse
    }

    private struct State {
        var next: UInt64 = 0
        var entries: [UInt64: Entry] = [:]
    }

    private let state = Mutex(State())

    func add(_ response: any OpenResponse, started: ContinuousClock.Instant) -> UInt64 {
        state.withLock { state in
            state.next += 1
            state.entries[state.next] = Entry(started: started, response: response)
            return state.next
        }
    }

    func remove(_ token: UInt64) { state.withLock { _ = $0.entries.removeValue(forKey: token) } }

    func promote(startedBefore limit: ContinuousClock.Instant) {
        let due = state.withLock { state in state.entries.values.filter { $0.started <= limit }.map(\.response) }
        for response in due { response.promote() }
    }

    func keepAlive() {
        let all = state.withLock { state in state.entries.values.map(\.response) }
        for response in all { response.keepAlive() }
    }

    var count: Int { state.withLock { $0.entries.count } }
}

/// Legacy streams that have ended but may still be fetched with `Last-Event-ID`, for a while.
final class LingeringStreams: Sendable {
    private struct Entry {
        let session: Session
        let stream: EventStream
        let until: ContinuousClock.Instant
    }

    private struct State {
        var entries: [Entry] = []
        var head = 0
    }

    /// Largest number of streams that are kept, whatever the resume window.
    private static let limit = 4096
    private let window: Duration
    private let state = Mutex(State())

    init(window: Duration) { self.window = window }

    func add(_ stream: EventStream, of session: Session, now: ContinuousClock.Instant) {
        let excess = state.withLock { state -> Entry? in
            state.entries.append(Entry(session: session, stream: stream, until: now + window))
            guard state.entries.count - state.head > Self.limit else { return nil }
            return Self.pop(&state)
        }
        if let excess { excess.session.drop(excess.stream) }
    }

    func expire(now: ContinuousClock.Instant) {
        while let entry = state.withLock({ state -> Entry? in
            guard state.head < state.entries.count, state.entries[state.head].until <= now else { return nil }
            return Self.pop(&state)
        }) {
            entry.session.drop(entry.stream)
        }
    }

    private static func pop(_ state: inout State) -> Entry {
        let entry = state.entries[state.head]
        state.head += 1
        if state.head >= 256, state.head * 2 >= state.entries.count {
            state.entries.removeFirst(state.head)
            state.head = 0
        }
        return entry
    }
}
