#if DEBUG

import Foundation

@testable package import Identity

/// A directory for database files that goes away with the test.
package final class TemporaryDatabase: Sendable {
    /// The directory.
    package let directory: String
    /// The path for a database file in it.
    package var path: String { directory + "/store.sqlite" }

    /// Makes the directory.
    package init() throws {
        directory = NSTemporaryDirectory() + "tool-server-tests-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }
}

extension PasswordHash.Parameters {
    /// Parameters that are cheap enough for tests.
    package static let test = PasswordHash.Parameters(rounds: 16, blockSize: 8, parallelism: 1)
}

extension PasswordHasher {
    /// Returns a hasher with ``PasswordHash/Parameters/test``.
    package static func test(concurrency: Int = 1, maximumPending: Int = 64) throws -> PasswordHasher {
        PasswordHasher(parameters: .test, concurrency: concurrency, maximumPending: maximumPending)
    }
}

#endif
