import MCPClient
import NIOCore
import Observability

/// The configured limits with the callers' use of them; shared by all workers, kept over reloads.
final class RateLimiter: Sendable {
    /// Kind of limit that refused a request; a bounded set, for metrics.
    enum Limit: String, CaseIterable, Sendable {
        case address, login, credential, type
    }

    /// Caller whom a limit counts.
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

    /// Returns, by limit, the number of callers that were evicted before their debt was paid.
    func replacements(_ limit: Limit) -> Int {
        switch limit {
        case .address: address?.replacements ?? 0
        case .login: login?.replacements ?? 0
        case .credential: credential?.replacements ?? 0
        case .type: types.values.reduce(0) { $0 + $1.replacements }
        }
    }

    /// A refusal: the limit that caused it, and the seconds (at least 1) until a request is allowed again.
    struct Refusal: Error, Hashable {
        let limit: Limit
        let seconds: UInt64
    }

    /// Counts a request as it arrives.
    ///
    /// - Parameters:
    ///   - callers: The callers that the request's credentials name; empty: only its address is known.
    ///   - isLogin: True if the request may be a login attempt.
    func admit(
        _ client: CallerAddress, callers: [CredentialPartition], isLogin: Bool, now: NIODeadline
    ) throws(Refusal) {
        if let address { try Self.check(.address, address.take(client, now: now)) }
        if isLogin, let login { try Self.check(.login, login.take(client, now: now)) }
        try takeCredential(1, client, callers, now)
    }

    /// Counts the calls of a request beyond the first, once its body has been read.
    func admit(
        further count: Int, _ client: CallerAddress, callers: [CredentialPartition], now: NIODeadline
    ) throws(Refusal) {
        guard count > 0 else { return }
        if let address { try Self.check(.address, address.take(client, count: count, now: now)) }
        try takeCredential(count, client, callers, now)
    }

    /// Counts calls of a type's tool.
    func admit(
        type: String, calls count: Int, _ client: CallerAddress, callers: [CredentialPartition], now: NIODeadline
    ) throws(Refusal) {
        guard let table = types[type] else { return }
        for caller in Self.keys(client, callers) { try Self.check(.type, table.take(caller, count: count, now: now)) }
    }

    /// Returns whether a type has a limit of its own.
    func limits(type: String) -> Bool { types[type] != nil }

    private func takeCredential(
        _ count: Int, _ client: CallerAddress, _ callers: [CredentialPartition], _ now: NIODeadline
    ) throws(Refusal) {
        guard let credential else { return }
        for caller in Self.keys(client, callers) {
            try Self.check(.credential, credential.take(caller, count: count, now: now))
        }
    }

    /// Returns the keys that are counted. Callers without a credential share one partition, so that they are
    /// distinguished by their addresses.
    private static func keys(_ client: CallerAddress, _ callers: [CredentialPartition]) -> [Caller] {
        callers.isEmpty ? [.address(client)] : callers.map { .credential($0) }
    }

    private static func check(_ limit: Limit, _ verdict: RateTable.Verdict) throws(Refusal) {
        guard case .refused(let nanoseconds) = verdict else { return }
        throw Refusal(limit: limit, seconds: max(1, (nanoseconds + 999_999_999) / 1_000_000_000))
    }
}

extension GatewayError {
    /// Creates the error of a request over a limit.
    init(_ refusal: RateLimiter.Refusal) {
        self.init(.rateLimited, retryAfter: "\(refusal.seconds)", detail: "limit: \(refusal.limit.rawValue)")
    }
}

extension GatewayExchange {
    /// Counts this request against the limits of its caller; nil when it may go on. Costs one comparison where no
    /// limits are set.
    func rateRefusal(isLogin: Bool = false) -> GatewayError? {
        guard let limiter = settings.limiter else { return nil }
        return refusal { (client, callers, now) throws(RateLimiter.Refusal) in
            try limiter.admit(client, callers: callers, isLogin: isLogin, now: now)
        }
    }

    /// Counts a call against the limits of types; nil when it may go on.
    func rateRefusal(of types: [String]) -> GatewayError? {
        guard let limiter = settings.limiter, !types.isEmpty else { return nil }
        return refusal { (client, callers, now) throws(RateLimiter.Refusal) in
            for type in types { try limiter.admit(type: type, calls: 1, client, callers: callers, now: now) }
        }
    }

    /// Counts the calls in a body of the pass-through: each message of a batch, and those of a type's tool against the
    /// limit of the type; nil when they may go on.
    ///
    /// - Parameters:
    ///   - messages: Number of messages in the body, of which one has been counted.
    ///   - types: Types whose limits the calls count against, once for each call.
    func rateRefusal(messages: Int, types: [String]) -> GatewayError? {
        guard let limiter = settings.limiter, messages > 1 || !types.isEmpty else { return nil }
        let calls = Dictionary(types.map { ($0, 1) }, uniquingKeysWith: +)
        return refusal { (client, callers, now) throws(RateLimiter.Refusal) in
            try limiter.admit(further: messages - 1, client, callers: callers, now: now)
            for (type, count) in calls {
                try limiter.admit(type: type, calls: count, client, callers: callers, now: now)
            }
        }
    }

    private func refusal(
        _ admit: (CallerAddress, [CredentialPartition], NIODeadline) throws(RateLimiter.Refusal) -> Void
    ) -> GatewayError? {
        do throws(RateLimiter.Refusal) {
            try admit(CallerAddress(clientAddress), facts.limited(&worker.partitions), .now())
            return nil
        } catch {
            worker.metrics.rateLimited.with(error.limit.rawValue).increment()
            return GatewayError(error)
        }
    }
}
