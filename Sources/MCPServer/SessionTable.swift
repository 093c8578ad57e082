import Synchronization

/// Legacy sessions of one class of callers at one endpoint, limited in number and idle time.
///
/// A session with a call in progress is never ended to make room: the least recently used idle one is, and if there is
/// none, the new session is refused. One caller can hold only a share of the table, and beyond it only its own sessions
/// are ended.
///
/// One lock, no suspension: looking a session up costs a dictionary access and a list splice.
final class SessionTable: Sendable {
    /// Entry of the table. Entries are in an array and form a doubly linked list by index, most recently used first.
    private struct Entry {
        let session: Session
        var lastUsed: ContinuousClock.Instant
        var newer: Int32
        var older: Int32
    }

    private struct State {
        var entries: [Entry?] = []
        var free: [Int32] = []
        var index: [String: Int32] = [:]
        /// Indexes of each owner's sessions; anonymous callers, who cannot be distinguished, are not included.
        var owned: [[UInt8]: Set<Int32>] = [:]
        var newest: Int32 = -1
        var oldest: Int32 = -1
    }

    /// Result of adding a session.
    struct Insertion {
        /// Session of that id that is in the table now; nil: every session that could be ended is busy.
        let held: Session?
        /// Sessions that were ended to make room.
        let evicted: [Session]
    }

    private let limit: Int
    private let ownerLimit: Int
    private let idle: Duration
    private let state = Mutex(State())
    /// Number of the oldest sessions among which an idle one is searched. Busy ones among them count as used now, so
    /// that the next search begins after them.
    private static let evictionReach = 64

    /// - Parameters:
    ///   - limit: Largest number of sessions.
    ///   - ownerLimit: Largest number of sessions of one owner.
    init(limit: Int, ownerLimit: Int = .max, idle: Duration) {
        self.limit = max(limit, 1)
        self.ownerLimit = max(ownerLimit, 1)
        self.idle = idle
    }

    var count: Int { state.withLock { $0.index.count } }

    /// Returns the session of that id, marked as used now.
    func find(_ id: String, now: ContinuousClock.Instant) -> Session? {
        state.withLock { state in
            guard let slot = state.index[id] else { return nil }
            Self.touch(&state, slot, now)
            return state.entries[Int(slot)]?.session
        }
    }

    /// Adds a session unless there is one of its id, or no room. The caller ends the evicted ones outside the lock.
    func insert(_ session: Session, now: ContinuousClock.Instant) -> Insertion {
        state.withLock { state in
            if let slot = state.index[session.id], let known = state.entries[Int(slot)]?.session {
                Self.touch(&state, slot, now)
                return Insertion(held: known, evicted: [])
            }
            var evicted: [Session] = []
            if let owner = Self.key(of: session), let places = state.owned[owner], places.count >= ownerLimit {
                guard let victim = Self.retireOldest(among: places, &state) else {
                    return Insertion(held: nil, evicted: [])
                }
                evicted.append(victim)
            }
            if state.index.count >= limit {
                guard let victim = Self.retireOldest(&state, now) else {
                    return Insertion(held: nil, evicted: evicted)
                }
                evicted.append(victim)
            }
            Self.add(session, &state, now)
            return Insertion(held: session, evicted: evicted)
        }
    }

    private static func add(_ session: Session, _ state: inout State, _ now: ContinuousClock.Instant) {
        let slot: Int32
        if let reused = state.free.popLast() {
            slot = reused
        } else {
            slot = Int32(state.entries.count)
            state.entries.append(nil)
        }
        state.entries[Int(slot)] = Entry(session: session, lastUsed: now, newer: -1, older: -1)
        state.index[session.id] = slot
        if let owner = key(of: session) { state.owned[owner, default: []].insert(slot) }
        pushFront(&state, slot)
    }

    /// Returns the key of the session's owner. Owners are compared as bytes.
    private static func key(of session: Session) -> [UInt8]? { session.facts.owner.map { Array($0.utf8) } }

    func remove(_ id: String) -> Session? {
        state.withLock { state in
            guard let slot = state.index[id] else { return nil }
            return Self.unlink(&state, slot)
        }
    }

    /// Ends and removes the sessions that were not used for the idle time. A busy one counts as used now.
    func expire(now: ContinuousClock.Instant) -> [Session] {
        state.withLock { state in
            var expired: [Session] = []
            while state.oldest >= 0, let entry = state.entries[Int(state.oldest)], now - entry.lastUsed >= idle {
                if !entry.session.endIfIdle() {
                    Self.touch(&state, state.oldest, now)
                } else if let session = Self.unlink(&state, state.oldest) {
                    expired.append(session)
                }
            }
            return expired
        }
    }

    var all: [Session] { state.withLock { $0.entries.compactMap { $0?.session } } }

    // MARK: List

    /// Ends and removes the least recently used session that is idle; nil when the oldest ones are all busy.
    private static func retireOldest(_ state: inout State, _ now: ContinuousClock.Instant) -> Session? {
        for _ in 0..<evictionReach {
            let slot = state.oldest
            guard slot >= 0, let session = state.entries[Int(slot)]?.session else { return nil }
            if session.endIfIdle() { return unlink(&state, slot) }
            touch(&state, slot, now)
        }
        return nil
    }

    /// Does the same among some sessions.
    private static func retireOldest(among places: Set<Int32>, _ state: inout State) -> Session? {
        let byAge = places.compactMap { slot in state.entries[Int(slot)].map { (slot, $0) } }
            .sorted { $0.1.lastUsed < $1.1.lastUsed }
        for (slot, entry) in byAge where entry.session.endIfIdle() { return unlink(&state, slot) }
        return nil
    }

    private static func touch(_ state: inout State, _ slot: Int32, _ now: ContinuousClock.Instant) {
        state.entries[Int(slot)]?.lastUsed = now
        guard state.newest != slot else { return }
        detach(&state, slot)
        pushFront(&state, slot)
    }

    private static func unlink(_ state: inout State, _ slot: Int32) -> Session? {
        detach(&state, slot)
        let session = state.entries[Int(slot)]?.session
        state.entries[Int(slot)] = nil
        state.free.append(slot)
        if let session {
            state.index[session.id] = nil
            if let owner = key(of: session) {
                state.owned[owner]?.remove(slot)
                if state.owned[owner]?.isEmpty == true { state.owned[owner] = nil }
            }
        }
        return session
    }

    private static func detach(_ state: inout State, _ slot: Int32) {
        guard let entry = state.entries[Int(slot)] else { return }
        if entry.newer >= 0 { state.entries[Int(entry.newer)]?.older = entry.older } else { state.newest = entry.older }
        if entry.older >= 0 { state.entries[Int(entry.older)]?.newer = entry.newer } else { state.oldest = entry.newer }
    }

    private static func pushFront(_ state: inout State, _ slot: Int32) {
        state.entries[Int(slot)]?.newer = -1
        state.entries[Int(slot)]?.older = state.newest
        if state.newest >= 0 { state.entries[Int(state.newest)]?.newer = slot }
        state.newest = slot
        if state.oldest < 0 { state.oldest = slot }
    }
}
