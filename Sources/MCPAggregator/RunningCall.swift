import JSON
import MCP
import MCPClient
import MCPServer
import Synchronization

/// A request in progress at an upstream, as a queue of its events.
///
/// It outlives the client's request while a question of a legacy server waits for a client of 2026-07-28, which answers
/// with a request of its own. One waiter at a time.
final class RunningCall: Sendable {
    /// The next event of the upstream.
    enum Event: Sendable {
        case progress(MCPProgress)
        case notification(JSONRPCNotification)
        case question(JSONRPCRequest, UpstreamRequest.Reply)
        case finished(Result<UpstreamResult, any Error>)
    }

    /// The first event of a request, for a receiver that wants nothing but its result.
    enum First: Sendable {
        /// A whole result, short enough to be translated at once.
        case result(UpstreamResult)
        case cancelled
        /// Another event, which ``next()`` returns.
        case other
    }

    private struct State {
        var events: [Event] = []
        /// Takes the first event in place of a waiter.
        var onFirst: (@Sendable (First) -> Void)?
        var waiter: CheckedContinuation<Event, Never>?
        var cancel: (@Sendable () -> Void)?
        var isFinished = false
    }

    /// Largest number of queued events; further progress and log messages are dropped.
    private static let capacity = 256
    private let state = Mutex(State())

    /// Sends a request, whose listeners add to the queue.
    ///
    /// - Parameters:
    ///   - executor: Executor of the request's task; nil: the concurrency pool.
    ///   - onFirst: Takes the first event, once, on any thread, perhaps before this returns; nil: a waiter does.
    init(
        _ upstream: any EndpointUpstream, on executor: (any TaskExecutor)?,
        onFirst: (@Sendable (First) -> Void)? = nil, _ request: (RunningCall) -> UpstreamRequest
    ) {
        if let onFirst { state.withLock { $0.onFirst = onFirst } }
        let request = request(self)
        let cancel = upstream.start(request, on: executor) { [self] outcome in post(.finished(outcome)) }
        state.withLock { if !$0.isFinished { $0.cancel = cancel } }
    }

    /// Leaves the first event to a waiter. False if it has come already.
    func leaveFirst() -> Bool { state.withLock { $0.onFirst.take() } != nil }

    /// Waits for the next event. Cancelling the task cancels the request at the upstream, which then finishes.
    func next() async -> Event {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let event = state.withLock { state -> Event? in
                    if !state.events.isEmpty { return state.events.removeFirst() }
                    state.waiter = continuation
                    return nil
                }
                if let event { continuation.resume(returning: event) }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Cancels the request: the upstream is notified, and the waiter learns that the request was cancelled.
    func cancel() {
        state.withLock { $0.cancel }?()
    }

    /// Adds an event.
    func post(_ event: Event) {
        var onFirst: (@Sendable (First) -> Void)?
        var first = First.other
        let waiter = state.withLock { state -> CheckedContinuation<Event, Never>? in
            if case .finished = event {
                state.cancel = nil
                state.isFinished = true
            }
            onFirst = state.onFirst.take()
            if onFirst != nil {
                first = First(event)
                if case .other = first {} else { return nil }
            }
            if let waiter = state.waiter {
                state.waiter = nil
                return waiter
            }
            switch event {
            case .progress, .notification:
                if state.events.count < Self.capacity { state.events.append(event) }
            case .question, .finished: state.events.append(event)
            }
            return nil
        }
        onFirst?(first)
        waiter?.resume(returning: event)
    }
}

extension RunningCall.First {
    fileprivate init(_ event: RunningCall.Event) {
        switch event {
        case .finished(.success(let result))
        where result.isComplete && result.result.sizeLimit < ParsingQueue.longAnswer: self = .result(result)
        case .finished(.failure(is CancellationError)): self = .cancelled
        default: self = .other
        }
    }
}
