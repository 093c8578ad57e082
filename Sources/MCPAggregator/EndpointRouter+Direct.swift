package import JSON
package import MCP
package import MCPServer
import Synchronization

/// Requests that are served without a task, where all lists are known.
extension EndpointRouter {
    package func resultAtHand(of request: DirectRequest, context: ToolContext) -> JSONObjectText? {
        let caller = context.attachment as? EndpointCaller ?? .anonymous
        guard isPrepared, let list = knownList(.tools, caller, context.version) else { return nil }
        return try? page(list, .tools, cursor: nil, context.version)
    }

    package func begin(
        _ request: DirectRequest, context: ToolContext, onFirst: @escaping @Sendable (FirstOfCall) -> Void
    ) -> (any BegunCall)? {
        let caller = context.attachment as? EndpointCaller ?? .anonymous
        guard isPrepared, let found = knownList(.tools, caller, context.version)?[request.name],
            found.annotatedSchema == nil
        else { return nil }
        let forwarded = Self.call(of: found, request.method, ["name": .string(found.identifier)], request.arguments)
        let counted = CountedRequest(underWay)
        let running = start(forwarded, caller, context) { first in
            switch first {
            case .result(let received):
                counted.end()
                onFirst(
                    .result(
                        ResultTranslation.result(
                            received.result, of: forwarded.method, from: received.era, to: context.version)))
            case .cancelled:
                counted.end()
                onFirst(.cancelled)
            case .other: onFirst(.other)
            }
        }
        return ForwardedRequest(forwarded, caller, running, counted)
    }
}

/// A request in progress as one of those for which the end of the process waits.
final class CountedRequest: Sendable {
    private let counter: SharedCounter
    private let isOver = Atomic<Bool>(false)

    init(_ counter: SharedCounter) {
        self.counter = counter
        counter.add(1)
    }

    deinit { end() }

    /// Counts the request no longer.
    func end() {
        if !isOver.exchange(true, ordering: .relaxed) { counter.add(-1) }
    }
}

/// Number of requests in progress.
final class SharedCounter: Sendable {
    private let number = Atomic<Int>(0)

    var value: Int { number.load(ordering: .relaxed) }

    func add(_ more: Int) { number.wrappingAdd(more, ordering: .relaxed) }
}

/// A call that was begun without a task.
final class ForwardedRequest: BegunCall {
    let forwarded: ForwardedCall
    let caller: EndpointCaller
    let running: RunningCall
    private let counted: CountedRequest
    private let isTaken = Atomic<Bool>(false)

    init(_ forwarded: ForwardedCall, _ caller: EndpointCaller, _ running: RunningCall, _ counted: CountedRequest) {
        self.forwarded = forwarded
        self.caller = caller
        self.running = running
        self.counted = counted
    }

    /// Cancels a call that no request waits for any more.
    deinit { if !isTaken.load(ordering: .relaxed) { running.cancel() } }

    func cancel() { running.cancel() }

    func leaveFirst() -> Bool { running.leaveFirst() }

    /// Returns the call to the one who waits for it from now on.
    func take() -> RunningCall {
        isTaken.store(true, ordering: .relaxed)
        // It is counted where it is waited for.
        counted.end()
        return running
    }
}
