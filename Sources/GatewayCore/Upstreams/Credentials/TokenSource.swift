import CurlTransport
import JSONConfiguration
import NIOCore
import Synchronization

/// Tokens of one upstream: kept until shortly before they expire, fetched once for all waiting calls. Shared by all
/// workers.
final class TokenSource: Sendable {
    typealias Outcome = Result<String, TokenEndpoint.Failure>

    private struct Waiter: Sendable {
        let eventLoop: any EventLoop
        let completion: @Sendable (Outcome) -> Void
    }

    private struct Entry {
        var token: String?
        var end = NIODeadline.uptimeNanoseconds(0)
        var isFetching = false
        var waiters: [Waiter] = []
    }

    private let endpoint: TokenEndpoint
    /// The client's secret or private key.
    private let secret: SecretSource?
    private let redact: @Sendable (String) -> Void
    /// Tokens by the caller's token; the empty text stands for the gateway's own.
    private let entries = Mutex<[String: Entry]>([:])

    /// Largest number of tokens that are kept; beyond it expired ones are removed first.
    static let limit = 10_000
    private static let timeout = Duration.seconds(10)

    init(_ configuration: TokenConfiguration, _ upstream: UpstreamAddress, redact: @escaping @Sendable (String) -> Void)
    {
        endpoint = TokenEndpoint(configuration: configuration, upstream: upstream, timeout: Self.timeout)
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
        let isFirst = entries.withLock { entries in
            if entries[subject] == nil { Self.makeRoom(&entries, now: .now()) }
            entries[subject, default: Entry()].waiters.append(Waiter(eventLoop: eventLoop, completion: completion))
            if entries[subject]?.isFetching == true { return false }
            entries[subject]?.isFetching = true
            return true
        }
        guard isFirst else { return }
        Task {
            let outcome: Result<AccessToken, TokenEndpoint.Failure>
            do {
                // A secret in a file may have been replaced.
                let secret = (try? self.secret?.read()) ?? self.secret?.value
                if let secret { redact(secret.value) }
                let token = try await endpoint.fetch(
                    subject: subject.isEmpty ? nil : subject, secret: secret, engine: engine)
                redact(token.value)
                outcome = .success(token)
            } catch {
                outcome = .failure(error as? TokenEndpoint.Failure ?? .unreachable("\(error)"))
            }
            finish(subject, outcome, now: .now())
        }
    }

    /// Forgets a token that the upstream has refused.
    func forget(_ token: String, for subject: String) {
        entries.withLock { entries in
            if entries[subject]?.token == token { entries[subject]?.token = nil }
        }
    }

    private func finish(_ subject: String, _ outcome: Result<AccessToken, TokenEndpoint.Failure>, now: NIODeadline) {
        let waiters = entries.withLock { entries -> [Waiter] in
            var entry = entries[subject] ?? Entry()
            let waiters = entry.waiters
            if case .success(let token) = outcome {
                entry.token = token.value
                entry.end = now + TimeAmount(Self.usable(token.lifetime))
                entry.isFetching = false
                entry.waiters = []
                entries[subject] = entry
            } else {
                entries[subject] = nil
            }
            return waiters
        }
        let result = outcome.map(\.value)
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
