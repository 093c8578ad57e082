import Dispatch
import Foundation
import Synchronization

/// Writes lines to a descriptor on a thread of its own, many with one system call.
///
/// The descriptor stays as it is, for it belongs to others too: it may block, and then it blocks this thread alone.
final class LogWriter: Sendable {
    /// Longest time for which a line that is not urgent is held back to be written together with later ones.
    static let delay = DispatchTimeInterval.milliseconds(10)
    /// Bytes of lines that are written at once. What is written soon is still in the processor's cache.
    private static let batchSize = 64 << 10

    private enum Phase {
        /// There is no thread yet.
        case unstarted
        /// The thread waits for lines.
        case idle
        /// The thread lets lines gather for ``LogWriter/delay``.
        case gathering
        /// The thread is at work, or has been woken.
        case busy
    }

    private struct State {
        /// Whole lines.
        var lines: [UInt8] = []
        /// Lines that found no room since the last were taken. The first loss ends the acceptance, so that there is one
        /// gap, behind the lines that wait.
        var lost = 0
        /// One of the lines is urgent.
        var isUrgent = false
        /// To be told when the lines so far have been written.
        var flushes: [DispatchSemaphore] = []
        var isClosed = false
        var phase = Phase.unstarted

        var hasWork: Bool { !lines.isEmpty || lost > 0 || !flushes.isEmpty }
    }

    private let fileDescriptor: Int32
    private let capacity: Int
    private let state = Mutex(State())
    private let dropped = Atomic<Int>(0)
    private let wake = DispatchSemaphore(value: 0)

    /// - Parameter capacity: Bytes of lines that may wait.
    init(fileDescriptor: Int32, capacity: Int) {
        self.fileDescriptor = fileDescriptor
        self.capacity = capacity
    }

    /// Lines that were lost.
    var droppedLines: Int { dropped.load(ordering: .relaxed) }

    /// Takes a line with its line feed, or drops it when there is no room. Never waits.
    func append(_ line: UnsafeBufferPointer<UInt8>, isUrgent: Bool) {
        change { state in
            if state.lost == 0, line.count <= capacity - state.lines.count {
                state.lines.append(contentsOf: line)
            } else {
                state.lost += 1
                dropped.add(1, ordering: .relaxed)
            }
            if isUrgent || state.lines.count >= min(Self.batchSize, capacity / 4) { state.isUrgent = true }
        }
    }

    /// Waits until the lines so far have been written.
    func flush(within limit: Duration) -> Bool {
        guard state.withLock({ $0.phase != .unstarted || $0.hasWork }) else { return true }
        let done = DispatchSemaphore(value: 0)
        change { state in
            state.flushes.append(done)
            state.isUrgent = true
        }
        return done.wait(timeout: .now() + limit / .seconds(1)) == .success
    }

    /// Ends the thread once it has written what waits.
    func close() {
        change { state in
            state.isClosed = true
            state.isUrgent = true
        }
    }

    /// Changes the state and wakes the thread where that gives it something to do.
    private func change(_ body: (inout State) -> Void) {
        let before = state.withLock { state -> Phase? in
            body(&state)
            switch state.phase {
            case .busy: return nil
            case .gathering where !state.isUrgent: return nil
            case .unstarted where !state.hasWork: return nil
            case .unstarted, .idle, .gathering:
                defer { state.phase = .busy }
                return state.phase
            }
        }
        switch before {
        case nil, .busy: break
        case .unstarted: start()
        case .idle, .gathering: wake.signal()
        }
    }

    // MARK: The thread

    private func start() {
        let thread = Thread { self.run() }
        thread.name = "log"
        thread.start()
    }

    private func run() {
        // Signals are for other threads; SIGPIPE of a standard error that is gone must not end the process.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        var sink = LogSink(fileDescriptor: fileDescriptor)
        var batch: [UInt8] = []
        while waitForWork() {
            if batch.capacity > Self.keptCapacity { batch = [] } else { batch.removeAll(keepingCapacity: true) }
            let (lost, flushes) = state.withLock { state in
                defer {
                    state.lost = 0
                    state.flushes = []
                    state.isUrgent = false
                }
                swap(&state.lines, &batch)
                return (state.lost, state.flushes)
            }
            dropped.add(sink.write(batch, lost: lost), ordering: .relaxed)
            for flush in flushes { flush.signal() }
        }
    }

    /// The largest buffer that is kept for later lines, in bytes.
    private static let keptCapacity = 128 << 10

    /// Waits for lines, and for those that come soon after them. False when the output is closed and all is written.
    private func waitForWork() -> Bool {
        while true {
            let phase = state.withLock { state in
                if !state.hasWork, !state.isClosed {
                    state.phase = .idle
                } else if !state.isUrgent {
                    state.phase = .gathering
                } else {
                    state.phase = .busy
                }
                return state.phase
            }
            switch phase {
            case .idle:
                wake.wait()
            case .gathering:
                _ = wake.wait(timeout: .now() + Self.delay)
                state.withLock {
                    $0.isUrgent = true
                    $0.phase = .busy
                }
            case .unstarted, .busy:
                return state.withLock { $0.hasWork }
            }
        }
    }
}
