import Foundation
package import Logging
import Synchronization

/// Destination of a process's log lines, with the level and the secrets that all its loggers share.
///
/// Logging never waits: lines are put into a bounded buffer, in the order in which they come, and one thread writes them.
/// When the descriptor does not take them, the buffer fills up; further lines are dropped and counted, and a line says how
/// many as soon as lines are taken again.
package final class LogOutput: Sendable {
    private let writer: LogWriter
    private let currentLevel: Atomic<Int>
    private let redaction = Mutex(Redaction())

    /// - Parameters:
    ///   - fileDescriptor: Standard error by default: standard output belongs to MCP in stdio mode. It must stay open
    ///     until the output is flushed.
    ///   - level: Least severe level that is logged at first; see ``level``.
    ///   - capacity: Bytes of lines that may wait; as many more may be on their way to the descriptor.
    package init(fileDescriptor: Int32 = 2, level: Logger.Level = .info, capacity: Int = 1 << 20) {
        writer = LogWriter(fileDescriptor: fileDescriptor, capacity: capacity)
        currentLevel = Atomic(Self.index(of: level))
    }

    deinit { writer.close() }

    /// The least severe level that is written. May be changed at any time from any thread.
    package var level: Logger.Level {
        get { Logger.Level.allCases[currentLevel.load(ordering: .relaxed)] }
        set { currentLevel.store(Self.index(of: newValue), ordering: .relaxed) }
    }

    /// Lines that were lost since the start, because the descriptor did not take them.
    package var droppedLines: Int { writer.droppedLines }

    /// Returns a logger that writes here.
    package func logger(_ label: String) -> Logger { Logger(label: label) { JSONLogHandler(label: $0, output: self) } }

    /// From now on, `secret` is replaced wherever it would be written. Values under 6 bytes are not taken: replacing
    /// them everywhere would make the log unreadable and say where they stood.
    package func redact(_ secret: String) {
        redaction.withLock { $0.add(secret) }
    }

    /// Waits until the lines so far have been handed to the descriptor. Blocks; for the end of a process and for tests.
    ///
    /// - Parameter limit: Longest time to wait.
    /// - Returns: False when the descriptor did not take them in time.
    @discardableResult
    package func flush(within limit: Duration = .seconds(10)) -> Bool { writer.flush(within: limit) }

    func begin(_ line: inout LogLine, level: Logger.Level, label: String, message: String) {
        line.redaction = redaction.withLock { $0 }
        line.begin(level: level, label: label, message: message)
    }

    /// - Parameter isUrgent: Whether the line is written at once, with those before it, not gathered with later ones.
    func write(_ line: borrowing LogLine, isUrgent: Bool) { writer.append(line.bytes, isUrgent: isUrgent) }

    private static func index(of level: Logger.Level) -> Int {
        Logger.Level.allCases.firstIndex(of: level) ?? 0
    }
}

extension LogOutput {
    private static let flushedAtExit = Mutex<[LogOutput]>([])

    /// Returns the output of a process: standard error, flushed when the process exits, whichever way it does. A
    /// standard error that takes nothing holds the exit up for a second at most.
    package static func standardError(level: Logger.Level) -> LogOutput {
        let output = LogOutput(level: level)
        flushedAtExit.withLock { outputs in
            if outputs.isEmpty {
                atexit { for output in LogOutput.flushedAtExit.withLock({ $0 }) { output.flush(within: .seconds(1)) } }
            }
            outputs.append(output)
        }
        return output
    }
}

extension MetricsRegistry {
    /// Adds the count of log lines that were lost.
    ///
    /// - Parameters:
    ///   - output: Output of the process; nil where it does not log, so that nothing is lost.
    ///   - prefix: Beginning of the name, such as `gateway`.
    package func addLogMetrics(_ output: LogOutput?, prefix: String) {
        sampled(
            "\(prefix)_log_lines_dropped_total",
            help: "Log lines lost because standard error did not take them.", type: "counter"
        ) { [MetricSample(Double(output?.droppedLines ?? 0))] }
    }
}
