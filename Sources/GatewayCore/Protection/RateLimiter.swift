import MCPClient
import NIOCore
import Observability

/// The configured limits with what callers have used of them; shared by all workers, kept over reloads.
final class RateLimiter: Sendable {
    /// Which limit refused a request: bounded, for metrics.
    enum Limit: String, CaseIterable, Sendable {
        case address, login, credential, type
    }

    /// Whom a limit counts.
    enum Caller: Hashable, Sendable {
        case address(CallerAddress)
        case credential(CredentialPartition)
    }

    let configuration: RateLimitConfiguration
    private let address: RateTable?
    private let login: RateTable?
    private let credential: RateTable?
    private let types: [String: RateTable]

    init(_ configuration: RateLimitConfiguration) {
        self.configuration = configuration
        func table(_ rate: RateConfiguration?) -> RateTable? {
            rate?.policy.map { RateTable($0, entries: configuration.entries) }
        }
        address = table(configuration.address)
        login = table(configuration.login)
        credential = table(configuration.credential)
        types = configuration.types.compactMapValues { table($0) }
    }

    /// Callers that were forgotten while they still owed something, by limit.
    func replacements(_ limit: Limit) -> Int {
        switch limit {
        case .address: address?.replacements ?? 0
        case .login: login?.replacements ?? 0
        case .credential: credential?.replacements ?? 0
        case .type: types.values.reduce(0) { $0 + $1.replacements }
        }
    }

    /// A refusal: which limit, and for how many whole seconds (at least 1).
    struct Refusal: Error, Hashable {
        let limit: Limit
        let seconds: UInt64
    }

    /// Counts a request as it arrives.
    ///
    /// - Parameter isLogin: Whether it may be an attempt to log in.
    func admit(
        _ client: CallerAddress, credential partition: CredentialPartition, isLogin: Bool, now: NIODeadline
    ) throws(Refusal) {
        if let address { try Self.check(.address, address.take(client, now: now)) }
        if isLogin, let login { try Self.check(.login, login.take(client, now: now)) }
        if let credential {
            try Self.check(.credential, credential.take(Self.caller(client, partition), now: now))
        }
    }

    /// Counts a request of a type, once the type is known.
    func admit(
        type: String, _ client: CallerAddress, credential partition: CredentialPartition, now: NIODeadline
    ) throws(Refusal) {
        guard let table = types[type] else { return }
        try Self.check(.type, table.take(Self.caller(client, partition), now: now))
    }

    func limits(type: String) -> Bool { types[type] != nil }

    /// Callers without a credential share one partition, so it is their addresses that tell them apart.
    private static func caller(_ client: CallerAddress, _ partition: CredentialPartition) -> Caller {
        partition == .anonymous ? .address(client) : .credential(partition)
    }

    private static func check(_ limit: Limit, _ verdict: RateTable.Verdict) throws(Refusal) {
        guard case .refused(let nanoseconds) = verdict else { return }
        throw Refusal(limit: limit, seconds: max(1, (nanoseconds + 999_999_999) / 1_000_000_000))
    }
}

extension GatewayError {
    /// A request over a limit.
    init(_ refusal: RateLimiter.Refusal) {
        self.init(.rateLimited, retryAfter: "\(refusal.seconds)", detail: "limit: \(refusal.limit.rawValue)")
    }
}

extension GatewayExchange {
    /// Counts this request in the limits of its caller; nil when it may go on. Costs one comparison where there are no
    /// limits.
    func rateRefusal(isLogin: Bool = false) -> GatewayError? {
        guard let limiter = settings.limiter else { return nil }
        return refusal { (client, partition, now) throws(RateLimiter.Refusal) in
            try limiter.admit(client, credential: partition, isLogin: isLogin, now: now)
        }
    }

    /// The same for a type's own limit.
    func rateRefusal(of type: String) -> GatewayError? {
        guard let limiter = settings.limiter, limiter.limits(type: type) else { return nil }
        return refusal { (client, partition, now) throws(RateLimiter.Refusal) in
            try limiter.admit(type: type, client, credential: partition, now: now)
        }
    }

    private func refusal(
        _ admit: (CallerAddress, CredentialPartition, NIODeadline) throws(RateLimiter.Refusal) -> Void
    ) -> GatewayError? {
        let client = CallerAddress(
            peer: exchange.remoteAddress, headers: exchange.head.headers, header: settings.addressHeader,
            trusted: settings.trustedProxies)
        let partition = facts.partition(&worker.partitions)
        do throws(RateLimiter.Refusal) {
            try admit(client, partition, .now())
            return nil
        } catch {
            worker.metrics.rateLimited.with(error.limit.rawValue).increment()
            return GatewayError(error)
        }
    }
}
