import Dispatch
import Foundation
import Store
import Synchronization

/// Connections to one database, each with a thread of its own, opened when they are needed.
///
/// A job runs on one connection from beginning to end. Cancelling its task cancels its statement. A connection that the
/// server closed is replaced before the next job, so that jobs succeed again as soon as a restarted server is back.
final class PostgreSQLPool: Sendable {
    private let workers: PostgreSQLWorkers

    /// Creates a pool without opening a connection.
    init(_ location: PostgreSQLLocation, settings: PostgreSQLSettings, readOnly: Bool = false) {
        workers = PostgreSQLWorkers(location, settings: settings, readOnly: readOnly)
    }

    deinit { workers.stop() }

    /// Runs `body` on a connection.
    /// - Throws: The errors of `body`; ``StoreError`` of kind `busy` when no connection becomes free in time;
    ///   ``PostgreSQLError`` when none can be opened; `CancellationError`.
    func run<T: Sendable>(_ body: @escaping @Sendable (PostgreSQLConnection) throws -> T) async throws -> T {
        let ticket = PostgreSQLTicket()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                workers.submit(
                    PostgreSQLJob(ticket: ticket) { connection in
                        let result = Result { try body(connection.get()) }
                        // The server's error for a cancelled statement is replaced.
                        if case .failure = result, ticket.isCancelled {
                            continuation.resume(throwing: CancellationError())
                        } else {
                            continuation.resume(with: result)
                        }
                    })
            }
        } onCancel: {
            workers.cancel(ticket)
        }
    }

    /// Runs `body` on a connection and blocks the calling thread meanwhile: for the start of the process.
    func runBlocking<T: Sendable>(_ body: @escaping @Sendable (PostgreSQLConnection) throws -> T) throws -> T {
        let done = DispatchSemaphore(value: 0)
        let box = Box<T>()
        workers.submit(
            PostgreSQLJob(ticket: PostgreSQLTicket()) { connection in
                let outcome = Result { try body(connection.get()) }
                box.result.withLock { $0 = outcome }
                done.signal()
            })
        done.wait()
        guard let outcome = box.result.withLock({ $0 }) else { throw CancellationError() }
        return try outcome.get()
    }

    private final class Box<T: Sendable>: Sendable {
        let result = Mutex<Result<T, any Error>?>(nil)
    }

    /// Number of connections that are open or being opened.
    var connectionCount: Int { workers.count }

    /// Returns the numbers of busy and idle connections and of waiting calls.
    /// - Parameter name: Name of the pool in metrics; a bounded set.
    func load(_ name: String) -> DatabaseLoad { workers.load(name) }

    /// Closes all connections; running statements are cancelled.
    func close() async {
        workers.stop()
        await workers.ended()
    }
}

/// State of a job that its caller can cancel.
final class PostgreSQLTicket: Sendable {
    private struct State {
        var isCancelled = false
        var wake: WakeSignal?
    }

    private let state = Mutex(State())

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    func cancel() {
        state.withLock {
            $0.isCancelled = true
            $0.wake?.set()
        }
    }

    /// Begins the job, which `wake` can cancel from now on; false when it was cancelled before.
    func begin(_ wake: WakeSignal) -> Bool {
        state.withLock {
            guard !$0.isCancelled else { return false }
            // Under the lock: from here on a signal is meant for this job.
            wake.clear()
            $0.wake = wake
            return true
        }
    }

    func end() { state.withLock { $0.wake = nil } }
}

struct PostgreSQLJob: Sendable {
    let ticket: PostgreSQLTicket
    /// The job; called exactly once.
    let run: @Sendable (Result<PostgreSQLConnection, any Error>) -> Void
}

/// Threads of a pool and the queue that they share.
private final class PostgreSQLWorkers: Sendable {
    /// Largest number of waiting jobs.
    private static let queueLimit = 1024
    /// Time without use after which a connection is checked before the next job.
    private static let doubt: Duration = .seconds(30)
    /// Time after a failure to connect in which waiting jobs fail without another attempt.
    private static let pause: Duration = .milliseconds(200)

    private struct State {
        var queue: [PostgreSQLJob] = []
        var running: [PostgreSQLTicket] = []
        var workers = 0
        var idle = 0
        var isStopped = false
        var whenEnded: [CheckedContinuation<Void, Never>] = []
        var failure: (error: PostgreSQLError, until: ContinuousClock.Instant)?
    }

    private let location: PostgreSQLLocation
    private let settings: PostgreSQLSettings
    private let readOnly: Bool
    private let state = Mutex(State())
    private let work = DispatchSemaphore(value: 0)
    private static let timers = DispatchQueue(label: "postgresql.wait")

    init(_ location: PostgreSQLLocation, settings: PostgreSQLSettings, readOnly: Bool) {
        self.location = location
        self.settings = settings
        self.readOnly = readOnly
    }

    var count: Int { state.withLock { $0.workers } }

    func load(_ name: String) -> DatabaseLoad {
        state.withLock { state in
            // A connection that has just finished its job still counts as busy for a moment.
            let busy = min(state.running.count, state.workers)
            return DatabaseLoad(pool: name, busy: busy, idle: state.workers - busy, waiting: state.queue.count)
        }
    }

    func submit(_ job: PostgreSQLJob) {
        enum Next { case refuse(StoreError), cancelled, start, wait, go }
        let next = state.withLock { state -> Next in
            if state.isStopped { return .refuse(StoreError(.unavailable, "database: closed")) }
            // The job was cancelled before it came here; from now on `cancel` finds it in the queue.
            if job.ticket.isCancelled { return .cancelled }
            if state.queue.count >= Self.queueLimit {
                return .refuse(StoreError(.busy, "database: too many calls wait for a connection"))
            }
            state.queue.append(job)
            if state.idle >= state.queue.count { return .go }
            guard state.workers < settings.connections else { return .wait }
            state.workers += 1
            return .start
        }
        switch next {
        case .refuse(let error): job.run(.failure(error))
        case .cancelled: job.run(.failure(CancellationError()))
        case .go: work.signal()
        case .start:
            Thread.detachNewThread { self.serve() }
            work.signal()
        case .wait:
            work.signal()
            let deadline = DispatchTime.now() + .milliseconds(Int(settings.wait.inMilliseconds))
            Self.timers.asyncAfter(deadline: deadline) { [weak self] in
                self?.remove(job.ticket)?.run(
                    .failure(StoreError(.busy, "database: no connection became free in time")))
            }
        }
    }

    func cancel(_ ticket: PostgreSQLTicket) {
        ticket.cancel()
        remove(ticket)?.run(.failure(CancellationError()))
    }

    private func remove(_ ticket: PostgreSQLTicket) -> PostgreSQLJob? {
        state.withLock { state in
            guard let index = state.queue.firstIndex(where: { $0.ticket === ticket }) else { return nil }
            return state.queue.remove(at: index)
        }
    }

    /// Refuses waiting jobs, cancels running ones, and lets the threads end.
    func stop() {
        let (queue, running, workers) = state.withLock { state in
            state.isStopped = true
            defer { state.queue = [] }
            return (state.queue, state.running, state.workers)
        }
        for job in queue { job.run(.failure(StoreError(.unavailable, "database: closed"))) }
        for ticket in running { ticket.cancel() }
        for _ in 0..<workers { work.signal() }
    }

    /// Waits until the last thread has closed its connection.
    func ended() async {
        await withCheckedContinuation { continuation in
            let now = state.withLock { state in
                if state.workers > 0 { state.whenEnded.append(continuation) }
                return state.workers == 0
            }
            if now { continuation.resume() }
        }
    }

    // MARK: On a worker's thread

    private enum Turn { case job(PostgreSQLJob), nothing, end }

    private func serve() {
        let wake = try? WakeSignal()
        var connection: PostgreSQLConnection?
        serving: while true {
            state.withLock { $0.idle += 1 }
            let waited = work.wait(timeout: .now() + .milliseconds(Int(settings.idle.inMilliseconds)))
            let turn = state.withLock { state -> Turn in
                state.idle -= 1
                if !state.queue.isEmpty {
                    let job = state.queue.removeFirst()
                    state.running.append(job.ticket)
                    return .job(job)
                }
                return state.isStopped || waited == .timedOut ? .end : .nothing
            }
            switch turn {
            case .nothing: continue
            case .end: break serving
            case .job(let job):
                if let wake {
                    run(job, &connection, wake)
                } else {
                    job.run(.failure(StoreError(.unavailable, "database: too many open files")))
                }
                state.withLock { state in state.running.removeAll { $0 === job.ticket } }
            }
        }
        connection = nil
        let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.workers -= 1
            guard state.workers == 0 else { return [] }
            defer { state.whenEnded = [] }
            return state.whenEnded
        }
        for continuation in waiting { continuation.resume() }
    }

    private func run(_ job: PostgreSQLJob, _ connection: inout PostgreSQLConnection?, _ wake: WakeSignal) {
        guard job.ticket.begin(wake) else { return job.run(.failure(CancellationError())) }
        defer { job.ticket.end() }
        do {
            let usable = try ready(connection, wake)
            connection = usable
            job.run(.success(usable))
            if !usable.isIdle { connection = nil }
        } catch {
            connection = nil
            job.run(.failure(error))
        }
    }

    /// Returns the connection, or a new one where it is closed.
    private func ready(_ connection: PostgreSQLConnection?, _ wake: WakeSignal) throws -> PostgreSQLConnection {
        if let connection, connection.isOpen {
            if connection.lastUsed.duration(to: .now) < Self.doubt { return connection }
            if (try? connection.execute("SELECT 1")) != nil { return connection }
        }
        let recent = state.withLock { state in
            state.failure.flatMap { $0.until > .now ? $0.error : nil }
        }
        // A server that is down is not contacted again for each waiting call.
        if let recent { throw recent }
        do {
            return try PostgreSQLConnection(location, settings: settings, readOnly: readOnly, wake: wake)
        } catch let failure as PostgreSQLError {
            state.withLock { $0.failure = (failure, .now + Self.pause) }
            throw failure
        }
    }
}
