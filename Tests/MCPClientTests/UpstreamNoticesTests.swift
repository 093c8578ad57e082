import JSON
import Logging
import NIOCore
import Synchronization
import Testing

@testable import MCPClient

/// One line of each kind a minute, and what calls have come to.
@Suite struct UpstreamNoticesTests {
    /// Keeps what is logged.
    private final class Lines: Sendable {
        let all = Mutex<[(Logger.Level, String, Logger.Metadata)]>([])
    }

    private struct Handler: LogHandler {
        let lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.all.withLock { $0.append((event.level, "\(event.message)", event.metadata ?? [:])) }
        }
    }

    @Test func aKindHasOneLineAMinuteAndSaysHowManyItWithheld() {
        let lines = Lines()
        let now = Mutex(NIODeadline.uptimeNanoseconds(0))
        let notices = UpstreamNotices(
            upstream: "crm", logger: Logger(label: "test") { _ in Handler(lines: lines) },
            clock: { now.withLock { $0 } })
        for _ in 0..<1000 {
            notices.warn(.handshake, "failed", ["answer": "status 500"])
            notices.warn(.call(.invalid), "call failed", [:])
            now.withLock { $0 = $0 + .milliseconds(50) }
        }
        #expect(lines.all.withLock { $0.count } == 2)
        now.withLock { $0 = $0 + .seconds(10) }
        notices.warn(.handshake, "failed", ["answer": "status 500"])
        let last = lines.all.withLock { $0.last }
        #expect(last?.0 == .warning)
        #expect(last?.2["withheld"] == "999")
        #expect(last?.2["upstream"] == "crm")
        #expect(last?.2["answer"] == "status 500")
    }

    @Test func callsThatFailInARowAreShownUntilOneSucceeds() {
        let health = CallHealth()
        func fail(_ kind: MCPCallError.Kind) {
            health.note(.failure(MCPCallError(kind: kind, executed: .unknown, detail: "why")))
        }
        for kind in [MCPCallError.Kind.unauthorized, .forbidden, .rateLimited, .cancelled] { fail(kind) }
        #expect(health.failing == nil)
        fail(.invalid)
        fail(.failed)
        #expect(health.failing == nil)
        fail(.timeout)
        #expect(health.failing?.calls == 3)
        #expect(health.failing?.problem == "timeout: why")
        guard case .result(let message, let result) = CallMachineTests.result().content else {
            Issue.record("no result")
            return
        }
        health.note(.result(MCPCallResult(message: message, result: result)))
        #expect(health.failing == nil)
    }
}
