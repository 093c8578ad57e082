import Foundation
import GRDB
import MCPServer
import Store

/// Bounds how many searches read a whole table at one time; later ones wait in order of arrival.
struct SearchScans: Sendable {
    /// How many rows a search looks at before it counts as a scan: enough for letters that every other row has.
    static let headRows = 2000

    /// How many at one time.
    let limit: Int
    private let limiter: CallLimiter

    /// Half of the processors at once, and never all connections of a pool, so that what is quick is still answered.
    static var standardLimit: Int {
        let readers = GRDB.Configuration().maximumReaderCount
        return max(1, min(ProcessInfo.processInfo.activeProcessorCount / 2, readers - 1))
    }

    init(limit: Int = standardLimit, queueLimit: Int = 64) {
        self.limit = limit
        limiter = CallLimiter(limit: limit, queueLimit: queueLimit)
    }

    /// Searches that read a whole table now.
    var running: Int { limiter.running }

    /// - Throws: ``SearchRefusal/tooManyScans``; `CancellationError` when the task is cancelled while it waits.
    func scan<T: Sendable>(_ body: () async throws -> T) async throws -> T {
        do {
            try await limiter.enter()
        } catch .overloaded {
            throw SearchRefusal.tooManyScans
        } catch .cancelled {
            throw CancellationError()
        }
        defer { limiter.leave() }
        return try await body()
    }
}
