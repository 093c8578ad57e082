import Glibc
import NIOConcurrencyHelpers
import NIOPosix

/// Derives password hashes on a few threads of its own, and refuses when too many wait: scrypt is made to be
/// expensive, and a flood of logins must cost neither the memory nor the processors of the rest. The threads give way
/// to all others of the process.
package final class PasswordHasher: Sendable {
    /// Thrown instead of queueing without end.
    package struct Overloaded: Error {}

    /// A password longer than this is refused by callers before it is hashed, in UTF-8 bytes.
    package static let maximumPasswordLength = 4096

    /// The priority of the threads: searches and answers go first where processors are short.
    private static let niceness: Int32 = 10

    private let parameters: PasswordHash.Parameters
    private let pool: NIOThreadPool
    private let maximumPending: Int
    private let pending = NIOLockedValueBox(0)
    private let decoy: PasswordHash

    /// Starts the threads.
    /// - Parameters:
    ///   - concurrency: derivations at a time.
    ///   - maximumPending: derivations running or waiting before the next is refused.
    package init(
        parameters: PasswordHash.Parameters = .standard, concurrency: Int = 2, maximumPending: Int = 64
    ) {
        self.parameters = parameters
        self.maximumPending = maximumPending
        pool = NIOThreadPool(numberOfThreads: concurrency)
        pool.start()
        // Same parameters as a real hash: checking a password for nobody takes as long as for somebody.
        decoy = PasswordHash(ofNobodyWith: parameters)
    }

    /// The encoded hash of a new password.
    /// - Throws: ``Overloaded`` when too many passwords wait.
    package func hash(_ password: String) async throws -> String {
        let parameters = parameters
        return try await run { try PasswordHash(password: password, parameters: parameters).encoded }
    }

    /// Returns true if the password is that of the encoded hash; without a hash (an unknown account) it takes as long
    /// and returns false.
    /// - Throws: ``Overloaded`` when too many passwords wait.
    package func verify(_ password: String, encoded: String?) async throws -> Bool {
        let hash = encoded.flatMap(PasswordHash.init(encoded:))
        let decoy = decoy
        return try await run { try (hash ?? decoy).matches(password) && hash != nil }
    }

    /// Ends the threads after what they are doing.
    package func shutdown() async {
        try? await pool.shutdownGracefully()
    }

    private func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        let accepted = pending.withLockedValue { count in
            guard count < maximumPending else { return false }
            count += 1
            return true
        }
        guard accepted else { throw Overloaded() }
        defer { pending.withLockedValue { $0 -= 1 } }
        return try await pool.runIfActive {
            // On Linux a priority is a thread's own.
            _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
            return try body()
        }
    }
}
