import AuthorizationClient
import CurlTransport
import JSONConfiguration
import NIOCore
import Synchronization

/// Tokens of one upstream: kept until shortly before they expire, fetched once for all waiting calls. Shared by all
/// workers.
final class TokenSource: Sendable {
    typealias Outcome = Result<String, AuthorizationError>

    private struct Waiter: Sendable {
        let eventLoop: any EventLoop
        let completion: @Sendable (Outcome) -> Void
    }

    private struct Entry {
        var token: String?
        var end = NIODeadline.uptimeNanoseconds(0)
        var isFetching = false
        var waiters: [Waiter] = []
        /// Scopes that the token was asked for.
        var scope = ScopeSet()
        /// Scopes beside the selected ones, which an earlier token lacked.
        var added = ScopeSet()
        /// True while the next token is fetched because of a missing scope.
        var isStepUp = false
        /// Time before which no further scope is asked for, after a step-up that failed.
        var noStepUpBefore = NIODeadline.uptimeNanoseconds(0)
    }

    private let endpoint: TokenEndpoint
    /// True if the scopes are configured, so that no others are asked for.
    private let hasFixedScope: Bool
    /// The client's secret or private key.
    private let secret: SecretSource?
    private let redact: @Sendable (String) -> Void
    /// Tokens by the caller's token; the empty text stands for the gateway's own.
    private let entries = Mutex<[String: Entry]>([:])

    /// Largest number of tokens that are kept; beyond it expired ones are removed first.
    static let limit = 10_000
    private static let timeout = Duration.seconds(10)
    /// Time after a failed step-up in which no other one is made, so that an upstream that refuses everything does not
    /// cost the authorization server a request for each call.
    static let stepUpPause = TimeAmount.seconds(60)

    init(
        _ configuration: TokenConfiguration, _ upstream: UpstreamConfiguration, reach: UpstreamReach? = nil,
        redact: @escaping @Sendable (String) -> Void
    ) {
        endpoint = TokenEndpoint(
            configuration, reach ?? UpstreamReach(upstream), kind: upstream.kind, timeout: Self.timeout)
        hasFixedScope = configuration.scope != nil
        secret = configuration.secret ?? configuration.privateKey
        self.redact = redact
    }

    /// Returns the token that is kept for a caller, if it has not nearly expired.
    func known(for subject: String, now: NIODeadline) -> String? {
        entries.withLock { entries in
            guard let entry = entries[subject], now < entry.end else { return nil }
            return entry.token
        }
    }

    /// Gets a token; the first caller fetches it for all.
    ///
    /// - Parameter completion: Called once, on the event loop.
    func fetch(
        for subject: String, engine: CurlEngine, on eventLoop: any EventLoop,
        completion: @escaping @Sendable (Outcome) -> Void
    ) {
        let added = entries.withLock { entries -> ScopeSet? in
            if entries[subject] == nil { Self.makeRoom(&entries, now: .now()) }
            var entry = entries[subject] ?? Entry()
            entry.waiters.append(Waiter(eventLoop: eventLoop, completion: completion))
            let isFirst = !entry.isFetching
            entry.isFetching = true
            entries[subject] = entry
            return isFirst ? entry.added : nil
        }
        guard let added else { return }
        Task {
            // A secret in a file may have been replaced.
            let secret = (try? self.secret?.read()) ?? self.secret?.value
            if let secret { redact(secret.value) }
            let outcome: Result<TokenEndpoint.Issued, AuthorizationError>
            do throws(AuthorizationError) {
                let issued = try await endpoint.fetch(
                    subject: subject.isEmpty ? nil : subject, secret: secret, adding: added, engine: engine)
                redact(issued.token.value)
                outcome = .success(issued)
            } catch {
                outcome = .failure(error)
            }
            finish(subject, outcome, now: .now())
        }
    }

    /// Forgets a token that the upstream has refused.
    ///
    /// - Parameter challenge: Values of `WWW-Authenticate` of the refusal.
    func forget(_ token: String, for subject: String, challenge: [String]) {
        let isCurrent = entries.withLock { entries in
            guard entries[subject]?.token == token else { return false }
            entries[subject]?.token = nil
            return true
        }
        if isCurrent { endpoint.note(challenge: challenge) }
    }

    /// Prepares a token with further scopes, in place of one that the upstream found insufficient.
    ///
    /// - Returns: False where another token would not help: the scopes are configured, or were asked for already, or
    ///   were refused a short time ago.
    func stepUp(from token: String, for subject: String, to scope: ScopeSet, now: NIODeadline) -> Bool {
        entries.withLock { entries in
            guard !hasFixedScope, !scope.names.isEmpty, var entry = entries[subject] else { return false }
            // Another call has asked for more meanwhile.
            guard entry.token == token else { return entry.token != nil || entry.isFetching }
            let all = entry.scope.union(scope)
            guard now >= entry.noStepUpBefore, !entry.scope.contains(scope), all.contains(scope) else { return false }
            entry.token = nil
            entry.added = all
            entry.isStepUp = true
            entries[subject] = entry
            return true
        }
    }

    private func finish(
        _ subject: String, _ outcome: Result<TokenEndpoint.Issued, AuthorizationError>, now: NIODeadline
    ) {
        let waiters = entries.withLock { entries -> [Waiter] in
            var entry = entries[subject] ?? Entry()
            let waiters = entry.waiters
            switch outcome {
            case .success(let issued):
                entry.token = issued.token.value
                entry.end = now + TimeAmount(Self.usable(issued.token.lifetime))
                entry.scope = issued.scope
                entry.isFetching = false
                entry.isStepUp = false
                entry.waiters = []
                entries[subject] = entry
            case .failure where entry.isStepUp:
                // The next token has the scopes of before.
                var fresh = Entry()
                fresh.noStepUpBefore = now + Self.stepUpPause
                entries[subject] = fresh
            case .failure: entries[subject] = nil
            }
            return waiters
        }
        let result = outcome.map(\.token.value)
        for waiter in waiters { waiter.eventLoop.execute { waiter.completion(result) } }
    }

    /// Returns the time for which a token is used: a little less than its lifetime, because the request takes time.
    static func usable(_ lifetime: Duration) -> Duration { lifetime - min(.seconds(30), lifetime / 10) }

    private static func makeRoom(_ entries: inout [String: Entry], now: NIODeadline) {
        guard entries.count >= limit else { return }
        for (subject, entry) in entries where !entry.isFetching && now >= entry.end { entries[subject] = nil }
        while entries.count >= limit, let oldest = entries.first(where: { !$0.value.isFetching })?.key {
            entries[oldest] = nil
        }
    }
}
