import Foundation
import Logging
import ServiceLifecycle
import Store

/// Service that repeats an action until the server stops; a failure is logged, and the action is tried again the next
/// time.
struct PeriodicService: Service {
    /// Name of the action in the log.
    let name: String
    /// Time between the end of one run and the start of the next.
    let interval: Duration
    let logger: Logger
    /// The action; ends early when its task is cancelled.
    let body: @Sendable () async throws -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await Task.sleep(for: interval)
                    try await body()
                } catch is CancellationError {
                    // The condition of the loop ends it.
                } catch {
                    logger.warning(
                        "periodic work failed", metadata: ["work": "\(name)", "error": "\(error)"])
                }
            }
        }
    }
}

extension ToolServer {
    /// Updates the indexes of external tables that have changed.
    func refreshIndexes() async throws {
        for index in try await search.searchIndexes() where index.state == .stale {
            do {
                let report = try await search.updateSearchIndex(model: index.model) { _ in }
                logger.info(
                    "search index updated", metadata: ["model": "\(index.model)", "rows": "\(report.changed)"])
            } catch let error as StoreError where error.kind == .busy {
                // Another process is updating the index.
            }
        }
    }

    /// Removes results of writes that have been kept for the configured time, in small transactions.
    func removeRecordedWrites(now: Date) async throws {
        let writer: any StatementWriter = external ?? store
        while try await writer.removeRecordedWrites(before: now, limit: 1000) == 1000 {
            try Task.checkCancellation()
        }
    }
}
