package import NIOCore
import ProcessMemory
import Synchronization

/// Receiver of the outcome of a transfer. All calls come on the event loop that was given to `CurlEngine.start`, in
/// order. From libcurl's thread they are batched: one `execute` per loop and turn carries the events of all its transfers.
package protocol CurlTransferReceiver: AnyObject {
    /// Handles the final response's status and headers, in streaming mode. Called at most once, before any body.
    func transferHead(status: Int, headers: CurlHeaders)
    /// Handles the next bytes of the body, in streaming mode. At most `CurlEngineConfiguration.streamWindow` bytes (and
    /// one chunk of the read buffer's size) are on their way to the loop; then the socket is not read until this has
    /// returned for half of them.
    func transferBody(_ bytes: ByteBuffer)
    /// Handles the end of the transfer; called exactly once, last. Buffered: the whole body; streaming: an empty body.
    func transferDone(_ result: Result<CurlResponse, CurlError>)
}

extension CurlTransferReceiver {
    package func transferHead(status: Int, headers: CurlHeaders) {}
    package func transferBody(_ bytes: ByteBuffer) {}
}

/// A transfer that was passed to an engine. Its methods may be called from any thread, and do nothing once it is over.
/// This class is libcurl's; a subclass is that of connections without it.
///
/// `@unchecked Sendable`: every stored property belongs to exactly one of four groups.
/// - Immutable: `request`, `eventLoop`, `mailbox`, `memory`, `manualCredit`.
/// - Atomics: `commands`, `inFlight`, `held`, `starved`.
/// - `next`: written by the one thread that won the `queued` bit of `commands`, before it publishes the transfer with a
///   releasing exchange on the mailbox; read by the engine's thread after an acquiring exchange took it out, and before
///   it clears `queued`.
/// - Confined: `handle`, `phase` to the engine's thread; `receiver` to the event loop (to the engine's thread without
///   a loop) once it is submitted.
package class CurlTransfer: @unchecked Sendable {
    enum Phase { case waiting, active, done }

    /// Bits of `commands`. A transfer is in the mailbox at most once: only the thread that sets `queued` puts it there.
    enum Command {
        static let queued: UInt32 = 1
        static let start: UInt32 = 2
        static let cancel: UInt32 = 4
        /// Check again whether the receiver takes bytes, or the body's source has some.
        static let wake: UInt32 = 8
    }

    /// Request that is sent.
    package let request: CurlRequest
    let eventLoop: (any EventLoop)?
    /// Mailbox of libcurl's thread; nil for a transfer without libcurl.
    private let mailbox: TransferMailbox?
    /// Budget from which bytes in flight draw beyond `MemoryBudget.allowance`.
    let memory: MemoryBudget
    /// True if body bytes count as in flight until `consumed`, not only until `transferBody` returned.
    let manualCredit: Bool

    let commands = Atomic<UInt32>(0)
    let inFlight = Atomic<Int>(0)
    let held = Atomic<Bool>(false)
    /// True if the transfer was paused because the budget had no room for more bytes in flight.
    private let starved = Atomic<Bool>(false)

    var next: UInt = 0

    var phase = Phase.waiting
    var handle: EasyHandle?

    var receiver: (any CurlTransferReceiver)?

    init(
        _ request: CurlRequest, eventLoop: (any EventLoop)?, mailbox: TransferMailbox?, memory: MemoryBudget,
        manualCredit: Bool, receiver: any CurlTransferReceiver
    ) {
        self.request = request
        self.eventLoop = eventLoop
        self.mailbox = mailbox
        self.memory = memory
        self.manualCredit = manualCredit
        self.receiver = receiver
    }

    /// Returns what a receiver that has left did not process.
    deinit { memory.release(Self.drawn(inFlight.load(ordering: .relaxed))) }

    /// Ends the transfer with `.cancelled` and closes its connection. An outcome that is already on its way to the loop
    /// is delivered instead.
    package func cancel() { post(Command.cancel) }

    /// Stops reading the response (streaming mode). Bytes that are already on their way to the loop still arrive, at
    /// most the stream window.
    package func pause() { held.store(true, ordering: .sequentiallyConsistent) }

    /// Continues after `pause`.
    package func resume() {
        held.store(false, ordering: .sequentiallyConsistent)
        post(Command.wake)
    }

    /// Passes a command to the thread that carries the transfer out.
    func post(_ command: UInt32) {
        let (old, _) = commands.bitwiseOr(command | Command.queued, ordering: .acquiringAndReleasing)
        guard old & Command.queued == 0 else { return }
        if mailbox?.push(self) != true, commands.load(ordering: .acquiring) & Command.start != 0 {
            // The engine's thread has ended and never saw this transfer, so that it must be ended here.
            TransferEvent.done(self, .failure(.engineShutDown)).deliverFromAnywhere()
        }
    }

    /// Returns whether the receiver already has as many bytes as it may have. Called on the engine's thread, in the
    /// write callback.
    ///
    /// No wake-up is lost: `resume` and `consumed` first change the values that are tested here and then post `wake`,
    /// which the engine handles after the callback that paused.
    func mustWait(window: Int) -> Bool {
        held.load(ordering: .sequentiallyConsistent) || inFlight.load(ordering: .sequentiallyConsistent) >= window
    }

    /// Returns the bytes in flight that are drawn from the budget.
    private static func drawn(_ inFlight: Int) -> Int { max(0, inFlight - MemoryBudget.allowance) }

    /// Counts bytes that go on their way to the receiver. False when the budget has no room for them, and the receiver
    /// has so many to process that it will post `wake`. Called on the engine's thread alone.
    func began(_ count: Int) -> Bool {
        // The receiver only reduces the number meanwhile, so that too much is drawn here at most, and returned below.
        let before = inFlight.load(ordering: .sequentiallyConsistent)
        let wanted = Self.drawn(before + count) - Self.drawn(before)
        var drawn = 0
        if wanted > 0, before > 0 {
            if memory.draw(wanted) {
                drawn = wanted
            } else {
                starved.store(true, ordering: .sequentiallyConsistent)
                if inFlight.load(ordering: .sequentiallyConsistent) > MemoryBudget.allowance / 2 { return false }
                starved.store(false, ordering: .sequentiallyConsistent)
            }
        }
        let (old, new) = inFlight.add(count, ordering: .sequentiallyConsistent)
        let difference = Self.drawn(new) - Self.drawn(old) - drawn
        if difference < 0 { memory.release(-difference) } else if difference > 0 { memory.charge(difference) }
        return true
    }

    /// Records that the receiver has processed that many bytes.
    func consumed(_ count: Int, window: Int) {
        let (old, new) = inFlight.subtract(count, ordering: .sequentiallyConsistent)
        memory.release(Self.drawn(old) - Self.drawn(new))
        if new <= MemoryBudget.allowance / 2, starved.load(ordering: .sequentiallyConsistent),
            starved.exchange(false, ordering: .sequentiallyConsistent)
        {
            return post(Command.wake)
        }
        // Pausing needs `window` bytes in flight, so that the count passes the half on its way down.
        if old > window / 2, new <= window / 2 { post(Command.wake) }
    }
}

/// Event for a receiver.
enum TransferEvent: Sendable {
    case head(CurlTransfer, status: Int, CurlHeaders)
    case body(CurlTransfer, ByteBuffer, window: Int)
    case done(CurlTransfer, Result<CurlResponse, CurlError>)
    /// The body's source may continue.
    case consumed(CurlTransfer, CurlBodySource.Consumed)

    var transfer: CurlTransfer {
        switch self {
        case .head(let transfer, _, _), .body(let transfer, _, _), .done(let transfer, _), .consumed(let transfer, _):
            transfer
        }
    }

    /// Delivers the event. Must run on the thread of the transfer's receiver.
    func deliver() {
        switch self {
        case .head(let transfer, let status, let headers):
            transfer.receiver?.transferHead(status: status, headers: headers)
        case .body(let transfer, let bytes, let window):
            let count = bytes.readableBytes
            transfer.receiver?.transferBody(bytes)
            if !transfer.manualCredit { transfer.consumed(count, window: window) }
        case .done(let transfer, let result):
            // Released first: the receiver usually retains the transfer.
            let receiver = transfer.receiver
            transfer.receiver = nil
            if case .stream(let source) = transfer.request.body { source.discard() }
            receiver?.transferDone(result)
        case .consumed(_, let consumed):
            consumed.call()
        }
    }

    func deliverFromAnywhere() {
        if let eventLoop = transfer.eventLoop {
            eventLoop.execute { deliver() }
        } else {
            deliver()
        }
    }
}

extension CurlError {
    static let engineShutDown = CurlError(kind: .shutdown, message: "engine is shut down", requestSent: false)
}
