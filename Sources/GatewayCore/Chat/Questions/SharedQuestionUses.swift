import Foundation
import NIOCore
import Redis

/// Record of answered questions in the server of `rateLimits.shared`, one for all gateways.
///
/// Each process keeps a record of its own as well: while the server is away, a question is good once in each process
/// (`onFailure: local`), or not at all (`refuse`).
final class SharedQuestionUses: QuestionUses {
    private let server: SharedServer
    private let local: any QuestionUses
    private let now: @Sendable () -> Date

    init(_ server: SharedServer, local: any QuestionUses, now: @escaping @Sendable () -> Date) {
        self.server = server
        self.local = local
        self.now = now
    }

    func claim(
        _ question: String, until expiry: Date, on eventLoop: any EventLoop,
        completion: @escaping (QuestionClaim) -> Void
    ) {
        local.claim(question, until: expiry, on: eventLoop) { [self] claim in
            guard claim == .granted else { return completion(claim) }
            // The server forgets the question when it is not accepted anyway.
            let seconds = min(max(expiry.timeIntervalSince(now()), 0), 86_400)
            let lifetime = String(format: "%.0f", (seconds * 1000).rounded(.up) + 1)
            let command = ["SET", Self.key(question), "1", "NX", "PX", lifetime].map { Array($0.utf8) }
            server.send(command, on: eventLoop) { [self] result in
                switch result {
                case .success(.text):
                    server.noteSuccess()
                    completion(.granted)
                case .success(.null):
                    server.noteSuccess()
                    completion(.used)
                case .success(let reply):
                    server.noteFailure("unexpected reply: \(reply)")
                    fail(question, completion)
                case .failure: fail(question, completion)
                }
            }
        }
    }

    func release(_ question: String) {
        local.release(question)
        server.send(["DEL", Self.key(question)].map { Array($0.utf8) })
    }

    private func fail(_ question: String, _ completion: (QuestionClaim) -> Void) {
        switch server.configuration.onFailure {
        case .local: completion(.granted)
        case .refuse:
            local.release(question)
            completion(.unavailable)
        }
    }

    private static func key(_ question: String) -> String { "chat-gateway:question:" + question }
}
