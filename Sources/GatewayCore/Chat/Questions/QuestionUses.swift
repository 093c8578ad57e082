package import Foundation
package import NIOCore
import Synchronization

/// Record of the questions that have been answered, so that each answer counts once. Implemented by the process itself,
/// or by a store that gateways share.
package protocol QuestionUses: Sendable {
    /// Claims a question for its answer.
    ///
    /// - Parameters:
    ///   - question: Name of the question.
    ///   - expiry: Time from which the question is not accepted anyway.
    ///   - eventLoop: Loop on which the method is called and the closure runs.
    ///   - completion: Takes the outcome, exactly once, perhaps before the method returns.
    func claim(
        _ question: String, until expiry: Date, on eventLoop: any EventLoop,
        completion: @escaping (QuestionClaim) -> Void)

    /// Gives a claimed question back: its answer has certainly not been carried out.
    func release(_ question: String)
}

/// Outcome of a claim.
package enum QuestionClaim: Hashable, Sendable {
    /// The question had not been answered.
    case granted
    /// The question has been answered already.
    case used
    /// It cannot be determined, or cannot be remembered.
    case unavailable
}

/// Record of this process alone, limited in number: above the limit no question is granted until others have expired,
/// so that none is ever granted twice.
package final class ProcessQuestionUses: QuestionUses {
    private struct State {
        var expiries: [String: Date] = [:]
        /// Names in the order of their claims, which with one lifetime is nearly the order of expiry.
        var order: [String] = []
        var head = 0

        /// Removes the questions at the front that have expired or were given back.
        mutating func forget(before now: Date) {
            while head < order.count {
                if let expiry = expiries[order[head]] {
                    guard expiry <= now else { break }
                    expiries[order[head]] = nil
                }
                head += 1
            }
            if head >= 1024, head * 2 >= order.count {
                order.removeFirst(head)
                head = 0
            }
        }
    }

    private let limit: Int
    private let now: @Sendable () -> Date
    private let state = Mutex(State())

    /// - Parameter limit: Largest number of questions that are remembered, about 150 bytes each.
    package init(limit: Int = 100_000, now: @escaping @Sendable () -> Date = { Date() }) {
        self.limit = limit
        self.now = now
    }

    package func claim(
        _ question: String, until expiry: Date, on eventLoop: any EventLoop,
        completion: @escaping (QuestionClaim) -> Void
    ) {
        completion(claim(question, until: expiry))
    }

    private func claim(_ question: String, until expiry: Date) -> QuestionClaim {
        let now = now()
        return state.withLock { state in
            state.forget(before: now)
            guard state.expiries[question] == nil else { return .used }
            guard state.expiries.count < limit else { return .unavailable }
            state.expiries[question] = expiry
            state.order.append(question)
            return .granted
        }
    }

    package func release(_ question: String) {
        state.withLock { _ = $0.expiries.removeValue(forKey: question) }
    }

    /// Number of questions that are remembered.
    package var count: Int { state.withLock { $0.expiries.count } }
}
