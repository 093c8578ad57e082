import CCurl
import Synchronization

/// Mailbox of an engine's thread: a lock-free stack of transfers with commands, and an eventfd.
///
/// `head` is `awake` or `asleep` when the stack is empty, `closed` permanently after the end, else the address of the
/// topmost transfer, whose `next` is the following one. Pushing is a compare-and-swap, taking is one exchange of the
/// whole stack, so the ABA problem cannot arise. The stack retains each transfer in it.
///
/// A push writes to the eventfd only when it finds `asleep`: the engine sets that with a compare-and-swap from `awake`
/// right before it waits, which fails when something was pushed meanwhile, so no wake-up is lost.
final class TransferMailbox: Sendable {
    private static let awake: UInt = 0
    private static let asleep: UInt = 1
    private static let closed: UInt = 2

    private let head = Atomic<UInt>(TransferMailbox.awake)
    private let stopping = Atomic<Bool>(false)
    /// Eventfd that becomes readable (edge-triggered) when something was pushed while the engine slept; -1 if there is
    /// none.
    let wakeups: Int32 = ccurl_eventfd_create()

    deinit {
        if wakeups >= 0 { close(wakeups) }
    }

    /// - Returns: False when the engine has ended; the transfer was not taken.
    func push(_ transfer: CurlTransfer) -> Bool {
        let node = Unmanaged.passRetained(transfer)
        let address = UInt(bitPattern: node.toOpaque())
        var old = head.load(ordering: .relaxed)
        while true {
            if old == Self.closed {
                node.release()
                return false
            }
            transfer.next = old == Self.asleep ? Self.awake : old
            let (exchanged, current) = head.weakCompareExchange(
                expected: old, desired: address, successOrdering: .acquiringAndReleasing, failureOrdering: .relaxed)
            if exchanged { break }
            old = current
        }
        if old == Self.asleep { ccurl_eventfd_signal(wakeups) }
        return true
    }

    /// Asks the engine's thread to end.
    func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
        ccurl_eventfd_signal(wakeups)
    }

    var shouldStop: Bool { stopping.load(ordering: .sequentiallyConsistent) }

    // The following is for the engine's thread.

    /// - Returns: False when something is in the stack.
    func prepareToSleep() -> Bool {
        head.compareExchange(
            expected: Self.awake, desired: Self.asleep, successOrdering: .acquiringAndReleasing,
            failureOrdering: .relaxed
        ).exchanged
    }

    /// Takes all transfers, in order of arrival.
    func take(_ visit: (CurlTransfer, _ commands: UInt32) -> Void) {
        if head.load(ordering: .relaxed) == Self.awake { return }
        empty(leaving: Self.awake, visit)
    }

    /// Takes all transfers and closes the mailbox.
    func end(_ visit: (CurlTransfer, _ commands: UInt32) -> Void) { empty(leaving: Self.closed, visit) }

    private func empty(leaving state: UInt, _ visit: (CurlTransfer, UInt32) -> Void) {
        var top = head.exchange(state, ordering: .acquiringAndReleasing)
        // The stack has the newest on top; it is reversed in place.
        var reversed: UInt = 0
        while top > Self.closed {
            guard let transfer = Self.transfer(at: top) else { break }
            let below = transfer._withUnsafeGuaranteedRef { $0.next }
            transfer._withUnsafeGuaranteedRef { $0.next = reversed }
            reversed = top
            top = below
        }
        while let node = Self.transfer(at: reversed) {
            let transfer = node.takeRetainedValue()
            reversed = transfer.next
            // From here on other threads may push the transfer again.
            visit(transfer, transfer.commands.exchange(0, ordering: .acquiringAndReleasing))
        }
    }

    private static func transfer(at address: UInt) -> Unmanaged<CurlTransfer>? {
        UnsafeRawPointer(bitPattern: address).map { Unmanaged.fromOpaque($0) }
    }
}
