package import Logging
import Synchronization

/// The access log of one event loop: a line for each request, with the message `request`.
///
/// A line is written into one buffer, which serves again for the next, and handed to the process's output whole. A loop
/// has an access log of its own, so that loops do not wait for each other while they write their lines.
package final class AccessLog: Sendable {
    private let label: String
    private let output: LogOutput
    private let line = Mutex(LogLine())

    /// - Parameters:
    ///   - label: The `logger` of each line.
    ///   - output: Destination of the process's lines.
    package init(label: String, output: LogOutput) {
        self.label = label
        self.output = output
    }

    /// Writes a line, unless lines of its level are not wanted.
    ///
    /// It may reach the descriptor up to ``LogWriter/delay`` later than it was written, together with others.
    ///
    /// - Parameter fields: Appends the fields, whose keys come in ascending order.
    package func write(level: Logger.Level = .info, _ fields: (inout LogLine) -> Void) {
        guard level >= output.level else { return }
        line.withLock { line in
            output.begin(&line, level: level, label: label, message: "request")
            fields(&line)
            line.end()
            output.write(line, isUrgent: false)
        }
    }
}

extension LogLine {
    /// Appends what every request has: the fields `http.…`.
    ///
    /// Clients choose method and path; their first 32 and 256 code points are shown.
    package mutating func add(
        method: String, path: Substring, requestBytes: Int, requestID: String, responseBytes: Int, status: Int
    ) {
        add("http.method", method, limit: 32)
        add("http.path", path, limit: 256)
        add("http.request_bytes", requestBytes)
        add("http.request_id", requestID)
        add("http.response_bytes", responseBytes)
        add("http.status", status)
    }
}
