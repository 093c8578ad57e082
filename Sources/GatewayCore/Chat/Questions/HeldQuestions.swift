import NIOCore
import Synchronization

/// Calls of legacy servers that wait for an answer, by the names of their questions. Shared by all workers: an answer
/// may arrive at another one than the call's.
final class HeldQuestions: Sendable {
    private let calls = Mutex<[String: NIOLoopBound<AskingCall>]>([:])

    /// Number of held calls.
    var count: Int { calls.withLock { $0.count } }

    /// Holds a call of the event loop that this runs on.
    ///
    /// - Returns: False when so many are held already.
    func hold(_ call: AskingCall, for question: String, limit: Int) -> Bool {
        let bound = NIOLoopBound(call, eventLoop: call.eventLoop)
        return calls.withLock { calls in
            guard calls.count < limit else { return false }
            calls[question] = bound
            return true
        }
    }

    /// Returns whether the call of a question is held here.
    func holds(_ question: String) -> Bool { calls.withLock { $0[question] != nil } }

    /// Removes the call of a question, once; nil for a question that is not held here.
    func take(_ question: String) -> NIOLoopBound<AskingCall>? {
        calls.withLock { $0.removeValue(forKey: question) }
    }
}
