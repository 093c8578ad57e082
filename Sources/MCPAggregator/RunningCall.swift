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

    private struct State {
        var events: [Event] = []
        var waiter: CheckedContinuation<Event, Never>?
        var task: Task<Void, Never>?
    }

    /// Largest number of queued events; further progress and log messages are dropped.
    private static let capacity = 256
    private let state = Mutex(State())

    /// Sends a request, whose listeners add to the queue.
    init(_ upstream: any EndpointUpstream, _ request: (RunningCall) -> UpstreamRequest) {
        let request = request(self)
        let task = Task.immediate {
            let outcome: Result<UpstreamResult, any Error>
            do { outcome = .success(try await upstream.send(request)) } catch { outcome = .failure(error) }
            self.post(.finished(outcome))
        }
        state.withLock { $0.task = task }
    }

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
        state.withLock { $0.task }?.cancel()
    }

    /// Adds an event.
    func post(_ event: Event) {
        let waiter = state.withLock { state -> CheckedContinuation<Event, Never>? in
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
        waiter?.resume(returning: event)
    }
}
