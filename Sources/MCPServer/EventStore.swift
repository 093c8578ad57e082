import DequeModule
import ProcessMemory
import Synchronization

/// Store of the events of legacy streams, for redelivery after a broken connection, within one limit for the whole
/// process.
///
/// The oldest event of all is dropped first. Streams are the unit of redelivery: an event is only ever replayed on the
/// stream on which it was sent first (2025-11-25, Transports, "Resumability and Redelivery").
final class EventStore: Sendable {
    struct StreamKey: Hashable {
        /// Serial number of the session in this process.
        let session: UInt64
        let stream: UInt32
    }

    private struct Event {
        let number: UInt32
        let bytes: [UInt8]
    }

    private struct State {
        var logs: [StreamKey: Deque<Event>] = [:]
        /// Streams in the order in which their events came; the entry of a dropped event is skipped.
        var order: [StreamKey] = []
        var head = 0
        var bytes = 0
        var events = 0
    }

    /// Budget from which stored events draw, and with which the streams' connections buffer.
    let memory: MemoryBudget
    private let maximumBytes: Int
    private let state = Mutex(State())

    /// - Parameter maximumBytes: Largest size over all streams; 0: events are not stored.
    init(maximumBytes: Int, memory: MemoryBudget = .unlimited) {
        self.maximumBytes = maximumBytes
        self.memory = memory
    }

    deinit { memory.release(bytes) }

    /// Stores an event; numbers increase within a stream. An event larger than the limit is not stored, nor one for which
    /// the budget has no room even after as many older bytes were dropped.
    func append(_ event: [UInt8], number: UInt32, to key: StreamKey) {
        guard event.count <= maximumBytes else { return }
        state.withLock { state in
            defer { Self.compact(&state) }
            while state.bytes > maximumBytes - event.count { dropOldest(&state) }
            if !memory.draw(event.count) {
                let enough = max(0, state.bytes - event.count)
                while state.bytes > enough { dropOldest(&state) }
                guard memory.draw(event.count) else { return }
            }
            state.logs[key, default: []].append(Event(number: number, bytes: event))
            state.order.append(key)
            state.bytes += event.count
            state.events += 1
        }
    }

    /// Returns the events of a stream after number `last`. Dropped events are missing.
    func events(of key: StreamKey, after last: UInt32) -> [[UInt8]] {
        state.withLock { state in
            state.logs[key, default: []].lazy.filter { $0.number > last }.map(\.bytes)
        }
    }

    /// Removes a stream.
    func remove(_ key: StreamKey) {
        state.withLock { state in
            guard let log = state.logs.removeValue(forKey: key) else { return }
            let bytes = log.reduce(0) { $0 + $1.bytes.count }
            state.bytes -= bytes
            memory.release(bytes)
            state.events -= log.count
            Self.compact(&state)
        }
    }

    /// Size of the stored events, in bytes.
    var bytes: Int { state.withLock { $0.bytes } }

    private func dropOldest(_ state: inout State) {
        while state.head < state.order.count {
            let key = state.order[state.head]
            state.head += 1
            guard let event = state.logs[key]?.removeFirst() else { continue }
            state.bytes -= event.bytes.count
            memory.release(event.bytes.count)
            state.events -= 1
            if state.logs[key]?.isEmpty == true { state.logs[key] = nil }
            return
        }
    }

    /// Removes entries of removed streams, which must not accumulate in `order`.
    private static func compact(_ state: inout State) {
        guard state.order.count > 256, state.order.count > state.events * 4 else { return }
        let logs = state.logs
        var seen: [StreamKey: Int] = [:]
        state.order = state.order[state.head...].filter { key in
            guard let log = logs[key], seen[key, default: 0] < log.count else { return false }
            seen[key, default: 0] += 1
            return true
        }
        state.head = 0
    }
}
