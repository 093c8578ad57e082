import JSON
import Logging
import Store

/// Readiness of the process, for `/readyz`.
struct Readiness: Sendable {
    let store: any Store
    let external: (any ExternalDatabase)?
    let state: ProcessState
    let logger: Logger

    /// Returns whether requests can be served, and the document with the reasons if not.
    func document() async -> (isReady: Bool, document: JSONValue) {
        let reasons = state.isDraining.load(ordering: .relaxed) ? ["draining"] : await unavailable()
        if reasons.isEmpty { return (true, ["status": "ready"]) }
        return (false, ["status": "not ready", "reasons": .array(reasons.map { .string($0) })])
    }

    /// Returns what is unavailable, each by the key that configures it.
    private func unavailable() async -> [String] {
        var checks: [(name: String, check: @Sendable () async throws -> Void)] = []
        if let external { checks.append(("database", external.checkHealth)) }
        checks.append((external == nil ? "database" : "stateDatabase", store.checkHealth))
        var reasons: [String] = []
        for (name, check) in checks {
            do {
                try await check()
            } catch {
                logger.warning("not ready", metadata: ["dependency": "\(name)", "error": "\(error)"])
                reasons.append("\(name): \((error as? StoreError)?.kind.rawValue ?? "unavailable")")
            }
        }
        return reasons
    }
}
