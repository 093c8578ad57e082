import Foundation
import MCPServer

/// Bounds how many searches read a whole table at one time; later ones wait in order of arrival.
struct SearchScans: Sendable {
    /// How many rows a search looks at before it counts as a scan: enough for letters that every other row has.
    static let headRows = 2000

    private let limiter: CallLimiter

    /// Half of the processors at once, so that the others answer what is quick.
    init(limit: Int = max(1, ProcessInfo.processInfo.activeProcessorCount / 2), queueLimit: Int = 64) {
        limiter = CallLimiter(limit: limit, queueLimit: queueLimit)
    }

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
