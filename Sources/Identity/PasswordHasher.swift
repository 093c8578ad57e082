import Glibc
import NIOConcurrencyHelpers
import NIOPosix

/// Password hashing on a few threads of its own, which refuses when too many wait: scrypt is made to be expensive, and
/// a flood of logins must not take memory or processors from other requests. In a server the threads run at a lower
/// priority than all others of the process.
package final class PasswordHasher: Sendable {
    /// Error of a password that is refused because too many wait.
    package struct Overloaded: Error {}

    /// Largest length of a password, in bytes of UTF-8; callers refuse a longer one before it is hashed.
    package static let maximumPasswordLength = 4096

    /// Niceness of the threads beyond the process's own: searches and answers come first where processors are scarce, and
    /// leave a quarter to logins.
    private static let yielding: Int32 = 5

    private static let process = __priority_which_t(PRIO_PROCESS.rawValue)

    /// Niceness of the threads; nil: the process's own.
    private let niceness: Int32?
    private let parameters: PasswordHash.Parameters
    private let pool: NIOThreadPool
    private let maximumPending: Int
    private let pending = NIOLockedValueBox(0)
    private let decoy: PasswordHash

    /// Starts the threads.
    /// - Parameters:
    ///   - concurrency: Number of simultaneous derivations.
    ///   - maximumPending: Largest number of derivations that run or wait; further ones are refused.
    ///   - isBackground: True in a server, whose other work comes first; false in a command, whose user waits.
    package init(
        parameters: PasswordHash.Parameters = .standard, concurrency: Int = 2, maximumPending: Int = 64,
        isBackground: Bool = false
    ) {
        niceness = isBackground ? min(19, getpriority(Self.process, 0) + Self.yielding) : nil
        self.parameters = parameters
        self.maximumPending = maximumPending
        pool = NIOThreadPool(numberOfThreads: concurrency)
        pool.start()
        // Same parameters as a real hash: checking a password of an unknown account takes as long as of a known one.
        decoy = PasswordHash(matchingNoneWith: parameters)
    }

    /// Returns the encoded hash of a new password.
    /// - Throws: ``Overloaded`` when too many passwords wait.
    package func hash(_ password: String) async throws -> String {
        let parameters = parameters
        return try await run { try PasswordHash(password: password, parameters: parameters).encoded }
    }

    /// Returns whether the password is that of the encoded hash; without a hash (an unknown account) it takes as long
    /// and returns false.
    /// - Throws: ``Overloaded`` when too many passwords wait.
    package func verify(_ password: String, encoded: String?) async throws -> Bool {
        let hash = encoded.flatMap(PasswordHash.init(encoded:))
        let decoy = decoy
        return try await run { try (hash ?? decoy).matches(password) && hash != nil }
    }

    /// Ends the threads after their current work.
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
        return try await pool.runIfActive { [niceness] in
            // On Linux each thread has its own niceness.
            if let niceness { _ = setpriority(Self.process, 0, niceness) }
            return try body()
        }
    }
}
