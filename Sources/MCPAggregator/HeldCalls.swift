import Foundation
import MCP
import MCPServer
import Synchronization

/// Requests at legacy servers that wait for the answer of a client of 2026-07-28, by an identifier in `requestState`.
///
/// They are held in this process: at another gateway the client must start again.
final class HeldCalls: Sendable {
    /// A held request, with the question to the client.
    struct Held: Sendable {
        let call: RunningCall
        let question: JSONRPCRequest
        let reply: UpstreamRequest.Reply
        let member: Int
        let timeout: Task<Void, Never>
    }

    private let held = Mutex<[String: Held]>([:])
    private let limit: Int
    private let lifetime: Duration

    /// - Parameters:
    ///   - limit: Largest number of held requests; further ones are declined at once.
    ///   - lifetime: Time after which an unanswered question is declined.
    init(limit: Int, lifetime: Duration) {
        self.limit = limit
        self.lifetime = lifetime
    }

    /// Holds a request; nil when there are too many already.
    func hold(
        _ call: RunningCall, _ question: JSONRPCRequest, _ reply: @escaping UpstreamRequest.Reply, member: Int
    ) -> String? {
        let id = UUID().uuidString
        let timeout = Task { [weak self, lifetime] in
            try? await Task.sleep(for: lifetime)
            guard !Task.isCancelled, let expired = self?.take(id) else { return }
            // The server's result after the decline could not be delivered, so that the call is cancelled.
            expired.reply(Declined.answer(to: question))
            expired.call.cancel()
        }
        let isHeld = held.withLock { held in
            guard held.count < limit else { return false }
            held[id] = Held(call: call, question: question, reply: reply, member: member, timeout: timeout)
            return true
        }
        if isHeld { return id }
        timeout.cancel()
        return nil
    }

    /// Removes a request, once; nil for an unknown identifier.
    func take(_ id: String) -> Held? {
        let found = held.withLock { $0.removeValue(forKey: id) }
        found?.timeout.cancel()
        return found
    }

    /// Number of held requests.
    var count: Int { held.withLock { $0.count } }
}
