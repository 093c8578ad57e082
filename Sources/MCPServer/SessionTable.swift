import Synchronization

/// The legacy sessions of one endpoint, bounded in number and idle time; the least recently used goes first.
///
/// One lock, no suspension: looking a session up costs a dictionary access and a list splice.
final class SessionTable: Sendable {
    /// Entries live in an array and form a doubly linked list by index, most recently used first.
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
        var newest: Int32 = -1
        var oldest: Int32 = -1
    }

    private let limit: Int
    private let idle: Duration
    private let state = Mutex(State())
    /// How far from the oldest eviction looks for a session with nothing in flight.
    private static let evictionReach = 16

    init(limit: Int, idle: Duration) {
        self.limit = max(limit, 1)
        self.idle = idle
    }

    var count: Int { state.withLock { $0.index.count } }

    /// The session of that id, marked as used now.
    func find(_ id: String, now: ContinuousClock.Instant) -> Session? {
        state.withLock { state in
            guard let slot = state.index[id] else { return nil }
            Self.touch(&state, slot, now)
            return state.entries[Int(slot)]?.session
        }
    }

    /// Adds a session unless there is one of its id. Returns the one that is in the table now, and those that had to go
    /// for it; the caller ends them outside the lock.
    func insert(_ session: Session, now: ContinuousClock.Instant) -> (held: Session, evicted: [Session]) {
        state.withLock { state in
            if let slot = state.index[session.id], let known = state.entries[Int(slot)]?.session {
                Self.touch(&state, slot, now)
                return (known, [])
            }
            var evicted: [Session] = []
            while state.index.count >= limit, let slot = Self.victim(state) {
                if let session = Self.unlink(&state, slot) { evicted.append(session) }
            }
            let slot: Int32
            if let reused = state.free.popLast() {
                slot = reused
            } else {
                slot = Int32(state.entries.count)
                state.entries.append(nil)
            }
            state.entries[Int(slot)] = Entry(session: session, lastUsed: now, newer: -1, older: -1)
            state.index[session.id] = slot
            Self.pushFront(&state, slot)
            return (session, evicted)
        }
    }

    func remove(_ id: String) -> Session? {
        state.withLock { state in
            guard let slot = state.index[id] else { return nil }
            return Self.unlink(&state, slot)
        }
    }

    /// Takes out the sessions that were not used for the idle time. A busy one counts as used now.
    func expire(now: ContinuousClock.Instant) -> [Session] {
        state.withLock { state in
            var expired: [Session] = []
            while state.oldest >= 0, let entry = state.entries[Int(state.oldest)], now - entry.lastUsed >= idle {
                if entry.session.isBusy {
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

    private static func victim(_ state: State) -> Int32? {
        var slot = state.oldest
        for _ in 0..<evictionReach {
            guard slot >= 0, let entry = state.entries[Int(slot)] else { break }
            if !entry.session.isBusy { return slot }
            slot = entry.newer
        }
        return state.oldest >= 0 ? state.oldest : nil
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
        if let session { state.index[session.id] = nil }
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
