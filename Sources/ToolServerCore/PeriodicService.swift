import Logging
import ServiceLifecycle
import Store

/// Does something again and again until the server stops; what fails is logged and tried again the next time.
struct PeriodicService: Service {
    /// For the log.
    let name: String
    /// Between the end of one run and the start of the next.
    let interval: Duration
    let logger: Logger
    /// Ends early when its task is cancelled.
    let body: @Sendable () async throws -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await Task.sleep(for: interval)
                    try await body()
                } catch is CancellationError {
                    // The loop's condition tells whether the server stops.
                } catch {
                    logger.warning(
                        "periodic work failed", metadata: ["work": "\(name)", "error": "\(error)"])
                }
            }
        }
    }
}

extension ToolServer {
    /// Takes up what changed in external tables, for the models that have an index.
    func refreshIndexes() async throws {
        for index in try await search.searchIndexes() where index.state == .stale {
            do {
                let report = try await search.updateSearchIndex(model: index.model) { _ in }
                logger.info(
                    "search index updated", metadata: ["model": "\(index.model)", "rows": "\(report.changed)"])
            } catch let error as StoreError where error.kind == .busy {
                // Another process is at it.
            }
        }
    }
}
