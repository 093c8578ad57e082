import Foundation

@testable import Identity
@testable import ToolServerCore

/// A directory for database files that goes away with the test.
final class TemporaryDatabase {
    let directory: String
    var path: String { directory + "/store.sqlite" }

    init() throws {
        directory = NSTemporaryDirectory() + "tool-server-tests-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }
}

extension PasswordHash.Parameters {
    /// Cheap enough for tests.
    static let test = PasswordHash.Parameters(rounds: 16, blockSize: 8, parallelism: 1)
}

extension PasswordHasher {
    static func test(concurrency: Int = 1, maximumPending: Int = 64) throws -> PasswordHasher {
        PasswordHasher(parameters: .test, concurrency: concurrency, maximumPending: maximumPending)
    }
}
