import Crypto
import Foundation
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

    /// A limit that is set, and its callers' use of it in this process.
    private struct Rule: Sendable {
        let limit: Limit
        /// Name in the shared counts.
        let name: String
        let policy: RateTable.Policy
        let table: RateTable
    }

    let configuration: RateLimitConfiguration
    private let address: Rule?
    private let login: Rule?
    private let credential: Rule?
    private let types: [String: Rule]

    /// Counts for all gateways; nil: each gateway counts by itself.
    let shared: SharedRateLimits?
    /// Key of callers' names in the shared counts: the same for all gateways with the same `sessionKey`.
    let sharedKey: SymmetricKey

    init(_ configuration: RateLimitConfiguration, shared: SharedRateLimits? = nil, sessionKey: String? = nil) {
        self.configuration = configuration
        self.shared = shared
        sharedKey = SymmetricKey(data: SHA256.hash(data: Array("rateLimits.shared \(sessionKey ?? "")".utf8)))
        func rule(_ limit: Limit, _ name: String, _ rate: RateConfiguration?) -> Rule? {
            rate?.policy.map {
                Rule(limit: limit, name: name, policy: $0, table: RateTable($0, entries: configuration.entries))
            }
        }
        address = rule(.address, "address", configuration.address)
        login = rule(.login, "login", configuration.login)
        credential = rule(.credential, "credential", configuration.credential)
        types = Dictionary(
            uniqueKeysWithValues: configuration.types.compactMap { type, rate in
                rule(.type, "type/" + type, rate).map { (type, $0) }
            })
    }

    /// Returns, by limit, the number of callers that were evicted before their debt was paid.
    func replacements(_ limit: Limit) -> Int {
        switch limit {
        case .address: address?.table.replacements ?? 0
        case .login: login?.table.replacements ?? 0
        case .credential: credential?.table.replacements ?? 0
        case .type: types.values.reduce(0) { $0 + $1.table.replacements }
        }
    }

    /// A refusal: the limit that caused it, and the seconds (at least 1) until a request is allowed again.
    struct LimitExceeded: Error, Hashable {
        let limit: Limit
        let seconds: UInt64
    }

    /// Calls of a request that are counted at once.
    enum Calls: Hashable, Sendable {
        /// A request as it arrives; perhaps a login attempt.
        case request(isLogin: Bool)
        /// A call of the tool of each type.
        case types([String])
        /// The messages of a body, of which one has been counted, and the calls of types' tools among them.
        case messages(Int, types: [String])

        /// False for calls that no limit counts.
        var areCounted: Bool {
            switch self {
            case .request: true
            case .types(let types): !types.isEmpty
            case .messages(let count, let types): count > 1 || !types.isEmpty
            }
        }
    }

    /// Counts calls in this process.
    /// - Parameter callers: Callers that the request's credentials name; empty: only its address is known.
    /// - Throws: The refusal of the first limit that they are over; those before it have counted them.
    func admit(
        _ calls: Calls, _ client: CallerAddress, callers: [CredentialPartition], now: NIODeadline
    ) throws(LimitExceeded) {
        try visit(calls, client, callers) { (rule, caller, count) throws(LimitExceeded) in
            guard case .refused(let nanoseconds) = rule.table.take(caller, count: count, now: now) else { return }
            throw LimitExceeded(limit: rule.limit, seconds: max(1, (nanoseconds + 999_999_999) / 1_000_000_000))
        }
    }

    /// Returns what the calls count against in the shared counts, in the order of ``admit(_:_:callers:now:)``.
    /// - Parameter callers: Partitions under ``sharedKey``.
    func charges(
        of calls: Calls, _ client: CallerAddress, callers: [CredentialPartition]
    ) -> [(limit: Limit, charge: SharedRateLimits.Charge)] {
        var charges: [(limit: Limit, charge: SharedRateLimits.Charge)] = []
        visit(calls, client, callers) { rule, caller, count in
            let charge = SharedRateLimits.Charge(key: key(rule.name, caller), policy: rule.policy, count: count)
            charges.append((rule.limit, charge))
        }
        return charges
    }

    /// Visits the rules that calls count against, with the caller and the number of calls for each.
    private func visit<Failure>(
        _ calls: Calls, _ client: CallerAddress, _ callers: [CredentialPartition],
        _ body: (Rule, Caller, Int) throws(Failure) -> Void
    ) throws(Failure) {
        func count(_ count: Int, _ rule: Rule?, byAddress: Bool = false) throws(Failure) {
            guard count > 0, let rule else { return }
            // Callers without a credential share one partition, so that they are distinguished by their addresses.
            if byAddress || callers.isEmpty { return try body(rule, .address(client), count) }
            for caller in callers { try body(rule, .credential(caller), count) }
        }
        let called: [String]
        switch calls {
        case .request(let isLogin):
            try count(1, address, byAddress: true)
            if isLogin { try count(1, login, byAddress: true) }
            try count(1, credential)
            return
        case .types(let types): called = types
        case .messages(let messages, let types):
            try count(messages - 1, address, byAddress: true)
            try count(messages - 1, credential)
            called = types
        }
        let counts = Dictionary(called.map { ($0, 1) }, uniquingKeysWith: +)
        for (type, calls) in counts.sorted(by: { $0.key < $1.key }) { try count(calls, types[type]) }
    }

    /// Name of a caller's use of a limit, from which neither address nor credential can be read.
    private func key(_ limit: String, _ caller: Caller) -> [UInt8] {
        var hash = HMAC<SHA256>(key: sharedKey)
        hash.update(data: Array(limit.utf8) + [0])
        switch caller {
        case .address(let address): hash.update(data: [0] + address.bytes)
        case .credential(let partition): hash.update(data: [1] + partition.bytes)
        }
        return Array("chat-gateway:rate:\(Data(hash.finalize().prefix(16)).base64EncodedString())".utf8)
    }

    /// Returns whether a type has a limit of its own.
    func limits(type: String) -> Bool { types[type] != nil }
}

extension GatewayError {
    /// Creates the error of a request over a limit.
    init(_ refusal: RateLimiter.LimitExceeded) {
        self.init(.rateLimited, retryAfter: "\(refusal.seconds)", detail: "limit: \(refusal.limit.rawValue)")
    }
}

extension GatewayRequest {
    /// Counts calls against the limits of their caller, then continues; answers the request where they are over one.
    ///
    /// Continues before it returns unless the limits are shared by several gateways. Costs one comparison where no limits are
    /// set.
    func withinLimits(_ calls: RateLimiter.Calls, _ goOn: @escaping () -> Void) {
        guard let limiter = settings.limiter, calls.areCounted else { return goOn() }
        guard let shared = limiter.shared else {
            if let refusal = localRefusal(calls, limiter) { return respond(refusal) }
            return goOn()
        }
        let callers = facts.limited { cookies, authorization, further in
            CredentialPartition(
                cookies: cookies, authorization: authorization, further: further, under: limiter.sharedKey)
        }
        let charges = limiter.charges(of: calls, CallerAddress(clientAddress), callers: callers)
        guard !charges.isEmpty else { return goOn() }
        shared.take(charges.map { $0.charge }, on: worker.eventLoop) { [self] outcome in
            // The client may have left meanwhile.
            guard !exchange.responseStarted else { return }
            switch outcome {
            case .allowed: goOn()
            case .refused(let place, let wait):
                let limit = charges.indices.contains(place) ? charges[place].limit : .address
                let seconds = UInt64(clamping: (max(0, min(wait, 1 << 50)) + 999_999) / 1_000_000)
                respond(refusal(RateLimiter.LimitExceeded(limit: limit, seconds: max(1, seconds))))
            case .unavailable where shared.server.configuration.onFailure == .local:
                if let refusal = localRefusal(calls, limiter) { return respond(refusal) }
                goOn()
            case .unavailable:
                respond(GatewayError(.overloaded, retryAfter: "1", detail: "rateLimits.shared is away"))
            }
        }
    }

    /// Counts calls in this process; nil when they may go on.
    private func localRefusal(_ calls: RateLimiter.Calls, _ limiter: RateLimiter) -> GatewayError? {
        do throws(RateLimiter.LimitExceeded) {
            try limiter.admit(
                calls, CallerAddress(clientAddress), callers: facts.limited(&worker.partitions), now: .now())
            return nil
        } catch {
            return refusal(error)
        }
    }

    private func refusal(_ refusal: RateLimiter.LimitExceeded) -> GatewayError {
        worker.metrics.rateLimited.with(refusal.limit.rawValue).increment()
        return GatewayError(refusal)
    }
}
