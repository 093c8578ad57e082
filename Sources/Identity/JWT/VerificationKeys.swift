package import Logging

/// Error of a check before the keys could be read for the first time.
package struct VerificationKeysUnavailable: Error, CustomStringConvertible {
    package var description: String { "the keys of the token's issuer are unavailable" }
}

/// Keys of an issuer, read when they are needed and kept.
///
/// A token with an unknown key causes a reading, because issuers rotate their keys; but at most one in an interval,
/// because any client can send such tokens. After `maximumAge` the keys are read again in any case, so that a withdrawn
/// key is no longer accepted. A failed reading changes nothing. Only callers with an unknown key wait for a reading.
package actor VerificationKeys {
    private let load: @Sendable () async throws -> [UInt8]
    private let algorithms: Set<String>
    private let interval: Duration
    private let maximumAge: Duration
    private let now: @Sendable () -> ContinuousClock.Instant
    private let logger: Logger

    private var keys: [VerificationKey] = []
    private var readAt: ContinuousClock.Instant?
    private var triedAt: ContinuousClock.Instant?
    private var reading: Task<Void, Never>?

    /// - Parameters:
    ///   - algorithms: The accepted ones; keys for others are left out.
    ///   - interval: Smallest time between the starts of two readings.
    ///   - maximumAge: Time after which the keys are read again.
    ///   - now: Clock of both.
    ///   - load: Reads the key set.
    package init(
        algorithms: Set<String>, interval: Duration, maximumAge: Duration, logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        load: @escaping @Sendable () async throws -> [UInt8]
    ) {
        self.algorithms = algorithms
        self.interval = interval
        self.maximumAge = maximumAge
        self.logger = logger
        self.now = now
        self.load = load
    }

    /// Returns the keys that may have signed a token with that header: those of its `kid`, or without one all for the
    /// algorithm.
    /// - Throws: ``VerificationKeysUnavailable``.
    func candidates(algorithm: String, id: String?) async throws -> [VerificationKey] {
        if let readAt, now() - readAt >= maximumAge { beginReading() }
        var found = match(algorithm, id)
        if found.isEmpty {
            beginReading()
            await reading?.value
            // These are the latest keys, whatever happened during the wait.
            found = match(algorithm, id)
        }
        if found.isEmpty, readAt == nil { throw VerificationKeysUnavailable() }
        return found
    }

    /// Reads the keys now.
    /// - Throws: The error that prevents their use.
    package func read() async throws {
        triedAt = now()
        try await replace(with: try await load())
    }

    private func match(_ algorithm: String, _ id: String?) -> [VerificationKey] {
        keys.filter { key in
            guard key.algorithms[algorithm] != nil else { return false }
            return id == nil || key.id == id
        }
    }

    /// Starts a reading unless one is in progress or the last one is too recent.
    private func beginReading() {
        guard reading == nil else { return }
        if let triedAt, now() - triedAt < interval { return }
        reading = Task {
            do {
                try await read()
            } catch {
                logger.warning(
                    "verification keys could not be read; those read before are still used",
                    metadata: ["error": "\(error)", "keys": "\(keys.count)"])
            }
            reading = nil
        }
    }

    private func replace(with bytes: [UInt8]) async throws {
        let fresh = try await VerificationKey.keys(inSet: bytes, algorithms: algorithms)
        keys = fresh
        readAt = now()
        logger.debug("keys read", metadata: ["keys": "\(fresh.count)"])
    }

    /// Waits until no reading is in progress.
    func settled() async { await reading?.value }
}
