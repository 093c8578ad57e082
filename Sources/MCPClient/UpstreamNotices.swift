import Logging
import NIOCore
import Synchronization

/// Warnings about one upstream: at most one line of each kind a minute, however often it happens.
final class UpstreamNotices: Sendable {
    /// Kind of warning; their number limits what is stored.
    enum Kind: Hashable, Sendable {
        case handshake, notification, transport
        case catalog(ToolCatalog.Warning.Kind)
        case call(MCPCallError.Kind)
    }

    private struct Line {
        var next: NIODeadline
        var withheld = 0
    }

    private let upstream: String?
    private let logger: Logger
    private let clock: @Sendable () -> NIODeadline
    private let lines = Mutex<[Kind: Line]>([:])

    /// Time between two lines of one kind.
    static let interval = TimeAmount.minutes(1)

    /// - Parameter upstream: Name that is added to every line; nil: the logger already has it.
    init(upstream: String?, logger: Logger, clock: @escaping @Sendable () -> NIODeadline = { .now() }) {
        self.upstream = upstream
        self.logger = logger
        self.clock = clock
    }

    /// Logs a warning, unless one of its kind was logged less than a minute ago.
    func warn(_ kind: Kind, _ message: Logger.Message, _ metadata: @autoclosure () -> Logger.Metadata) {
        let now = clock()
        let withheld: Int? = lines.withLock { lines in
            if let line = lines[kind], now < line.next {
                lines[kind]?.withheld += 1
                return nil
            }
            return lines.updateValue(Line(next: now + Self.interval), forKey: kind)?.withheld ?? 0
        }
        guard let withheld else { return }
        var metadata = metadata()
        if let upstream { metadata["upstream"] = "\(upstream)" }
        if withheld > 0 { metadata["withheld"] = "\(withheld)" }
        logger.warning(message, metadata: metadata)
    }
}

/// Outcomes of the latest tool calls of one upstream. Safe to use from any thread.
package final class CallHealth: Sendable {
    /// Number of consecutive failed calls after which an upstream counts as failing.
    package static let threshold = 3

    private let failures = Atomic<Int>(0)
    private let problem = Mutex<String?>(nil)

    /// Creates the state without any calls.
    package init() {}

    /// Number of calls that failed since the last success, and the failure of the last one; nil while there are too
    /// few.
    package var failing: (calls: Int, problem: String)? {
        let count = failures.load(ordering: .relaxed)
        guard count >= Self.threshold else { return nil }
        return (count, problem.withLock { $0 } ?? "")
    }

    func note(_ outcome: MCPCallOutcome) {
        switch outcome {
        case .result:
            // Mostly zero already: otherwise every worker would write to the same cache line.
            if failures.load(ordering: .relaxed) != 0 { failures.store(0, ordering: .relaxed) }
        case .failure(let failure):
            guard failure.isTheUpstreams else { return }
            failures.add(1, ordering: .relaxed)
            problem.withLock { $0 = failure.kind.rawValue + ": " + failure.detail }
        }
    }
}

extension MCPCallError {
    /// True if the upstream is to blame, not the caller: not for refused credentials, arguments or load.
    var isTheUpstreams: Bool {
        switch kind {
        case .failed, .invalid, .unreachable, .timeout: true
        case .rejected: rpcError?.knownCode != .invalidParams && rpcError?.knownCode != .resourceNotFound
        case .unauthorized, .forbidden, .rateLimited, .overloaded, .cancelled: false
        }
    }

    /// Returns the key of the configuration that may help.
    func helpfulKey(for upstream: String) -> String {
        switch kind {
        case .unauthorized, .forbidden: "upstreams.\(upstream).forward"
        case .timeout, .rateLimited, .cancelled: "chat.types.*.timeout"
        case .overloaded: "limits.memory"
        case .unreachable: "upstreams.\(upstream).url"
        case .rejected where status == 404 || status == 405: "upstreams.\(upstream).url"
        case .rejected, .failed, .invalid: "upstreams.\(upstream).protocolVersion"
        }
    }
}
