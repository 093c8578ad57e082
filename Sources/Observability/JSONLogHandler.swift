import Foundation
import JSON
package import Logging
import Synchronization

/// Writes each log event as one JSON line.
///
/// `{"ts":"2026-07-28T09:30:00.123Z","level":"info","logger":"gateway","message":"listening","listener":"main",…}`:
/// the message is a constant, everything that varies is metadata, flat, under its own (dotted) key.
package struct JSONLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let output: LogOutput
    private var ownLevel: Logger.Level?

    /// - Parameters:
    ///   - label: The logger's name, the `logger` of each line.
    ///   - output: Where lines go; shared by all handlers of the process.
    package init(label: String, output: LogOutput) {
        self.label = label
        self.output = output
    }

    /// The level set on this logger, else the process's level, which can change at run time.
    package var logLevel: Logger.Level {
        get { ownLevel ?? output.level }
        set { ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line: [UInt8] = []
        line.reserveCapacity(256)
        line.append(contentsOf: Array("{\"ts\":\"".utf8))
        line.append(contentsOf: Timestamp.now().utf8)
        line.append(contentsOf: Array("\",\"level\":\"".utf8))
        line.append(contentsOf: event.level.rawValue.utf8)
        line.append(contentsOf: Array("\",\"logger\":".utf8))
        JSONText.appendQuoted(label, to: &line)
        line.append(contentsOf: Array(",\"message\":".utf8))
        appendText(event.message.description, to: &line)
        var merged = metadata
        if let provided = metadataProvider?.get() { merged.merge(provided) { _, new in new } }
        if let own = event.metadata { merged.merge(own) { _, new in new } }
        for (key, value) in merged.sorted(by: { $0.key < $1.key }) { append(key, value, to: &line) }
        if let error = event.error { append("error", .string("\(error)"), to: &line) }
        line.append(contentsOf: Array("}\n".utf8))
        output.write(line)
    }

    private static let reserved: Set<String> = ["ts", "level", "logger", "message"]

    private func append(_ key: String, _ value: Logger.Metadata.Value, to line: inout [UInt8]) {
        line.append(UInt8(ascii: ","))
        JSONText.appendQuoted(Self.reserved.contains(key) ? "metadata.\(key)" : key, to: &line)
        line.append(UInt8(ascii: ":"))
        append(value, to: &line)
    }

    /// Appends text that may come from outside: without secrets, and without characters that do not show as themselves.
    private func appendText(_ text: String, to line: inout [UInt8]) {
        JSONText.appendQuoted(output.redacted(text).escapedForLog, to: &line)
    }

    private func append(_ value: Logger.Metadata.Value, to line: inout [UInt8]) {
        switch value {
        case .string(let text):
            appendText(text, to: &line)
        case .stringConvertible(let value):
            // Numbers and booleans stay what they are, so that a log store can compare them.
            switch value {
            case let number as any BinaryInteger: line.append(contentsOf: "\(number)".utf8)
            case let flag as Bool: line.append(contentsOf: (flag ? "true" : "false").utf8)
            case let number as Double where number.isFinite: line.append(contentsOf: "\(number)".utf8)
            default: appendText("\(value)", to: &line)
            }
        case .array(let values):
            line.append(UInt8(ascii: "["))
            for (index, element) in values.enumerated() {
                if index > 0 { line.append(UInt8(ascii: ",")) }
                append(element, to: &line)
            }
            line.append(UInt8(ascii: "]"))
        case .dictionary(let values):
            line.append(UInt8(ascii: "{"))
            for (index, (key, element)) in values.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { line.append(UInt8(ascii: ",")) }
                JSONText.appendQuoted(key, to: &line)
                line.append(UInt8(ascii: ":"))
                append(element, to: &line)
            }
            line.append(UInt8(ascii: "}"))
        }
    }
}

/// Destination of a process's log lines, with the level and the secrets that all its loggers share.
package final class LogOutput: Sendable {
    private let fileDescriptor: Int32
    private let currentLevel: Atomic<Int>
    private let secrets = Mutex<[String]>([])

    /// - Parameters:
    ///   - fileDescriptor: Standard error by default: standard output belongs to MCP in stdio mode.
    ///   - level: What is logged at first; see ``level``.
    package init(fileDescriptor: Int32 = 2, level: Logger.Level = .info) {
        self.fileDescriptor = fileDescriptor
        currentLevel = Atomic(Self.index(of: level))
    }

    /// The least severe level that is written. May be changed at any time from any thread.
    package var level: Logger.Level {
        get { Logger.Level.allCases[currentLevel.load(ordering: .relaxed)] }
        set { currentLevel.store(Self.index(of: newValue), ordering: .relaxed) }
    }

    /// From now on, `secret` is replaced wherever it would be written. Values under 6 characters are not taken: replacing
    /// them everywhere would make the log unreadable and say where they stood.
    package func redact(_ secret: String) {
        guard secret.utf8.count >= 6 else { return }
        secrets.withLock { if !$0.contains(secret) { $0.append(secret) } }
    }

    func redacted(_ text: String) -> String {
        let known = secrets.withLock { $0 }
        var text = text
        for secret in known where text.contains(secret) {
            text = text.replacingOccurrences(of: secret, with: "<redacted>")
        }
        return text
    }

    /// One `write` a line: lines of several threads never mix (a pipe keeps up to 4 KiB whole, a file all of it).
    func write(_ line: [UInt8]) {
        line.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let written = Foundation.write(fileDescriptor, rest.baseAddress, rest.count)
                if written < 0 {
                    if errno == EINTR { continue }
                    return  // Nobody reads our log any more; the process goes on.
                }
                rest = rest.dropFirst(written)
            }
        }
    }

    private static func index(of level: Logger.Level) -> Int {
        Logger.Level.allCases.firstIndex(of: level) ?? 0
    }
}

extension Slice where Base == UnsafeRawBufferPointer {
    fileprivate var baseAddress: UnsafeRawPointer? { UnsafeRawBufferPointer(rebasing: self).baseAddress }
}
