package import Logging

/// Log handler that writes each event as one JSON line.
///
/// `{"ts":"2026-07-28T09:30:00.123Z","level":"info","logger":"gateway","message":"listening","listener":"main",…}`:
/// the message is a constant, everything that varies is metadata, flat, under its own (dotted) key, in the order of the
/// keys.
package struct JSONLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let output: LogOutput
    private var ownLevel: Logger.Level?

    /// - Parameters:
    ///   - label: Name of the logger, the `logger` of each line.
    ///   - output: Destination of the lines; shared by all handlers of the process.
    package init(label: String, output: LogOutput) {
        self.label = label
        self.output = output
    }

    /// Level set on this logger, else the process's level, which can change at run time.
    package var logLevel: Logger.Level {
        get { ownLevel ?? output.level }
        set { ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line = LogLine()
        output.begin(&line, level: event.level, label: label, message: event.message.description)
        var merged = metadata
        if let provided = metadataProvider?.get() { merged.merge(provided) { _, new in new } }
        if let own = event.metadata { merged.merge(own) { _, new in new } }
        for (key, value) in merged.sorted(by: { $0.key < $1.key }) { line.add(key: key, value) }
        if let error = event.error { line.add(key: "error", .string("\(error)")) }
        line.end()
        output.write(line, isUrgent: true)
    }
}
