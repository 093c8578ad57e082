import Foundation
import GRDB
import MCPServer
import Store

/// Limit on the searches that read a whole table at the same time; further ones wait in order of arrival.
struct SearchScans: Sendable {
    /// Number of rows that a search may read before it counts as a scan: enough for letters that every other row has.
    static let headRows = 2000

    /// Largest number of scans at a time.
    let limit: Int
    private let limiter: CallLimiter

    /// Default limit: half of the processors, and fewer than the connections of a pool, so that quick queries are still
    /// answered.
    static var standardLimit: Int {
        let readers = GRDB.Configuration().maximumReaderCount
        return max(1, min(ProcessInfo.processInfo.activeProcessorCount / 2, readers - 1))
    }

    init(limit: Int = standardLimit, queueLimit: Int = 64) {
        self.limit = limit
        limiter = CallLimiter(limit: limit, queueLimit: queueLimit)
    }

    /// Number of scans in progress.
    var running: Int { limiter.running }

    /// - Throws: ``SearchError/tooManyScans``; `CancellationError` when the task is cancelled while it waits.
    func scan<T: Sendable>(_ body: () async throws -> T) async throws -> T {
        do {
            try await limiter.enter()
        } catch .overloaded {
            throw SearchError.tooManyScans
        } catch .cancelled {
            throw CancellationError()
        }
        defer { limiter.leave() }
        return try await body()
    }
}
