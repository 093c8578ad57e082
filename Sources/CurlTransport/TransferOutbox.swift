import NIOCore

/// Events of one engine turn, by event loop: each loop gets one `execute` per turn, not one per transfer.
/// Confined to the engine's thread.
struct TransferOutbox {
    private struct Batch {
        let eventLoop: (any EventLoop)?
        var events: [TransferEvent] = []
    }

    /// An engine serves one loop, or few: searching is cheaper than hashing.
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

    mutating func flush() {
        if isEmpty { return }
        isEmpty = true
        for index in batches.indices where !batches[index].events.isEmpty {
            let events = batches[index].events
            batches[index].events = []
            if let eventLoop = batches[index].eventLoop {
                eventLoop.execute { for event in events { event.deliver() } }
            } else {
                for event in events { event.deliver() }
            }
        }
    }
}
