import Synchronization

/// A value that is set once and awaited once, in either order.
final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case empty
        case waiting(CheckedContinuation<Value, Never>)
        case full(Value)
        case taken
    }

    private let state = Mutex(State.empty)

    /// Sets the value; later ones are ignored. Returns whether this was the first.
    @discardableResult
    func set(_ value: Value) -> Bool {
        let (continuation, counted): (CheckedContinuation<Value, Never>?, Bool) = state.withLock { state in
            switch state {
            case .empty:
                state = .full(value)
                return (nil, true)
            case .waiting(let continuation):
                state = .taken
                return (continuation, true)
            case .full, .taken:
                return (nil, false)
            }
        }
        continuation?.resume(returning: value)
        return counted
    }

    /// Waits for the value. Must be called only once.
    func value() async -> Value {
        await withCheckedContinuation { continuation in
            let value: Value? = state.withLock { state in
                guard case .full(let value) = state else {
                    state = .waiting(continuation)
                    return nil
                }
                state = .taken
                return value
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
