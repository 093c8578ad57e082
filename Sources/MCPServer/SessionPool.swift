import ProcessMemory

/// Resources that the legacy sessions of one class of callers share: anonymous callers have one pool, authenticated
/// callers another, so that a flood of the former takes nothing from the latter.
final class SessionPool: Sendable {
    let sessions: SessionTable
    /// Store of events for redelivery.
    let store: EventStore
    /// Streams that have ended and may still be fetched.
    let lingering: LingeringStreams

    init(limit: Int, ownerLimit: Int, _ configuration: StreamableHTTPConfiguration, memory: MemoryBudget) {
        sessions = SessionTable(limit: limit, ownerLimit: ownerLimit, idle: configuration.sessionIdle)
        store = EventStore(maximumBytes: configuration.eventStoreBytes, memory: memory)
        lingering = LingeringStreams(window: configuration.resumeWindow)
    }
}

/// Pools of an endpoint.
struct SessionPools: Sendable {
    /// Sessions of callers without an identity.
    let anonymous: SessionPool
    /// Sessions of users.
    let known: SessionPool

    init(_ configuration: StreamableHTTPConfiguration, memory: MemoryBudget) {
        anonymous = SessionPool(
            limit: configuration.anonymousSessionLimit, ownerLimit: .max, configuration, memory: memory)
        known = SessionPool(
            limit: configuration.sessionLimit, ownerLimit: configuration.ownerSessionLimit, configuration,
            memory: memory)
    }

    /// Returns the pool of a session's owner; nil is an anonymous caller.
    subscript(owner: String?) -> SessionPool { owner == nil ? anonymous : known }

    /// Both pools, for work on every session.
    var all: [SessionPool] { [anonymous, known] }

    /// All live sessions.
    var sessions: [Session] { all.flatMap(\.sessions.all) }
}
