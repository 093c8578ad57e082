import MCP
import Synchronization

/// One server-sent event stream of a legacy session: the response to a POST, or a GET stream.
///
/// The stream outlives its connection. Events carry ids `STREAM-NUMBER` that are unique in the session, and are kept in
/// the ``EventStore`` so that a GET with `Last-Event-ID` continues where the connection broke.
final class EventStream: Sendable {
    private struct State {
        var sequence: UInt32 = 0
        var connection: MCPResponseStream?
        var isEnded = false
    }

    let number: UInt32
    private let key: EventStore.StreamKey
    private let store: EventStore
    private let state = Mutex(State())

    init(session: UInt64, number: UInt32, store: EventStore) {
        self.number = number
        key = .init(session: session, stream: number)
        self.store = store
    }

    /// Attaches the connection that carries the stream from now on, and sends it the events after number `last`. A
    /// former connection is closed, so that no message is sent to two.
    ///
    /// - Parameter priming: Value of `retry` in milliseconds; then the first event has an id and no data, so that a
    ///   client can resume even before the first message (2025-11-25).
    func connect(_ connection: MCPResponseStream, after last: UInt32? = nil, priming: Int? = nil) {
        let former: MCPResponseStream? = state.withLock { state in
            let former = state.connection
            state.connection = connection
            if let last {
                for event in store.events(of: key, after: last) { connection.push(event) }
            }
            if let priming, last == nil {
                state.sequence += 1
                connection.push(SSEWriter.event(data: "", id: "\(number)-\(state.sequence)", retry: priming))
            }
            if state.isEnded { connection.close() }
            return former
        }
        former?.close()
    }

    /// Sends a message without waiting. Without a connection it is kept for redelivery.
    func offer(_ message: [UInt8]) {
        // Numbering, storing and sending happen under one lock: otherwise two senders could swap their events, and a
        // resumption in between could lose one.
        state.withLock { state in
            guard !state.isEnded else { return }
            state.sequence += 1
            let event = SSEWriter.event(data: message, event: "message", id: "\(number)-\(state.sequence)")
            store.append(event, number: state.sequence, to: key)
            state.connection?.push(event)
        }
    }

    /// Waits while the client reads too slowly.
    func room() async {
        await state.withLock { $0.connection }?.room()
    }

    /// Closes the connection but not the stream: the client comes back with `Last-Event-ID` (2025-11-25, polling).
    func closeConnection(retry: Int) {
        let connection = state.withLock { state in
            defer { state.connection = nil }
            return state.connection
        }
        connection?.push("retry: \(retry)\n\n".utf8)
        connection?.close()
    }

    /// Detaches a broken connection; the stream stays.
    func disconnected(_ connection: MCPResponseStream) {
        state.withLock { state in
            if state.connection === connection { state.connection = nil }
        }
    }

    /// Ends the stream: nothing more is sent.
    func end() {
        let connection = state.withLock { state in
            state.isEnded = true
            defer { state.connection = nil }
            return state.connection
        }
        connection?.close()
    }

    /// Removes the events that are kept for redelivery.
    func forget() { store.remove(key) }

    /// Sends a comment, so that proxies do not consider the connection idle.
    func keepAlive() {
        state.withLock { _ = $0.connection?.push(SSEWriter.comment("keep-alive")) }
    }

    var isConnected: Bool { state.withLock { $0.connection?.isOpen ?? false } }
    var isEnded: Bool { state.withLock { $0.isEnded } }
}

/// An event id, parsed.
struct EventID: Hashable {
    let stream: UInt32
    let number: UInt32

    /// Parses an id; nil for anything that this server never issues.
    init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let stream = UInt32(parts[0]), let number = UInt32(parts[1]) else { return nil }
        self.stream = stream
        self.number = number
    }
}
