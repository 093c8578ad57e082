/// Waits until `condition` holds, for real time: processes have no injectable clock.
///
/// - Returns: whether it held before `limit` was over.
@discardableResult
package func eventually(
    within limit: Duration = .seconds(10), every interval: Duration = .milliseconds(10),
    isolation: isolated (any Actor)? = #isolation, _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let start = ContinuousClock.now
    while true {
        if try await condition() { return true }
        if ContinuousClock.now - start > limit.underSanitizer { return false }
        try? await Task.sleep(for: interval)
        if Task.isCancelled { return false }
    }
}
