import NIOCore

/// Events of one engine turn, by event loop: each loop gets one `execute` per turn, not one per transfer.
/// Confined to the engine's thread.
struct TransferOutbox {
    private struct Batch {
        let eventLoop: (any EventLoop)?
        var events: [TransferEvent] = []
    }

    /// Events by loop. An engine serves one loop, or few: searching is cheaper than hashing.
    private var batches: [Batch] = []
    private var isEmpty = true

    mutating func add(_ event: TransferEvent) {
        isEmpty = false
        let eventLoop = event.transfer.eventLoop
        for index in batches.indices where batches[index].eventLoop === eventLoop {
            batches[index].events.append(event)
            return
        }
        batches.append(Batch(eventLoop: eventLoop, events: [event]))
    }

    /// Returns the events of one loop; nil when there are none left. They are removed before they are delivered:
    /// receivers may start transfers, which may add events.
    mutating func next() -> (eventLoop: (any EventLoop)?, events: [TransferEvent])? {
        if isEmpty { return nil }
        for index in batches.indices where !batches[index].events.isEmpty {
            let events = batches[index].events
            batches[index].events = []
            return (batches[index].eventLoop, events)
        }
        isEmpty = true
        return nil
    }
}
