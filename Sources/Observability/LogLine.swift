import Foundation
import JSON
import Logging

/// One line of the log while it is written: a JSON object whose first members are `ts`, `level`, `logger` and `message`.
///
/// Values are appended to a byte buffer as they are; nothing is collected first. Text may come from outside: it is
/// escaped, so that it can neither end the line nor look like another one, and secrets in it are replaced.
package struct LogLine: Sendable {
    private(set) var bytes: [UInt8] = []
    /// The secrets to look for.
    var redaction = Redaction()
    /// The second whose date `stamp` has.
    private var second = Int.min
    /// Date and time to the second, as they begin every line of that second.
    private var stamp: [UInt8] = []
    /// The last key, for the check of their order in debug builds.
    private var lastKey: StaticString = ""

    /// Begins a line, in place of the one before.
    mutating func begin(level: Logger.Level, label: String, message: String) {
        bytes.removeAll(keepingCapacity: true)
        lastKey = ""
        append(raw: "{\"ts\":\"")
        appendTime()
        append(raw: "\",\"level\":\"")
        bytes.append(contentsOf: level.rawValue.utf8)
        append(raw: "\",\"logger\":")
        JSONText.appendQuoted(label, to: &bytes)
        append(raw: ",\"message\":")
        append(text: message)
    }

    /// Ends the line.
    mutating func end() { append(raw: "}\n") }

    // MARK: Fields

    /// Appends a field with a text, of which at most `limit` code points are shown.
    ///
    /// - Parameter key: Keys come in ascending order, as those of the other lines do.
    package mutating func add(_ key: StaticString, _ text: some StringProtocol, limit: Int = .max) {
        begin(key)
        append(text: text, limit: limit)
    }

    /// Appends a field with a number.
    package mutating func add(_ key: StaticString, _ number: Int) {
        begin(key)
        append(number: number)
    }

    /// Appends a field with a boolean.
    package mutating func add(_ key: StaticString, _ flag: Bool) {
        begin(key)
        append(raw: flag ? "true" : "false")
    }

    /// Appends a field with a time in milliseconds, with one to three digits after the point.
    package mutating func add(_ key: StaticString, milliseconds duration: Duration) {
        begin(key)
        let microseconds = max(0, duration.nanoseconds).magnitude / 1000
        append(digits: microseconds / 1000)
        append(raw: ".")
        var digits = microseconds % 1000
        var weight: UInt64 = 100
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digits / weight))
            digits %= weight
            weight /= 10
        } while digits > 0
    }

    /// Appends a field with numbers as hexadecimal digits, 16 for each.
    package mutating func add(_ key: StaticString, hexadecimal numbers: UInt64...) {
        begin(key)
        append(raw: "\"")
        for number in numbers { bytes.append(contentsOf: TraceContext.text(ofSpanID: number).utf8) }
        append(raw: "\"")
    }

    /// Appends a field with an IPv4 address in network order.
    package mutating func add(_ key: StaticString, octets: some Collection<UInt8>) {
        begin(key)
        append(raw: "\"")
        for (index, octet) in octets.enumerated() {
            if index > 0 { append(raw: ".") }
            append(digits: octet)
        }
        append(raw: "\"")
    }

    /// Appends a field whose key is known at run time only.
    mutating func add(key: String, _ value: Logger.Metadata.Value) {
        append(raw: ",")
        JSONText.appendQuoted(Self.reserved.contains(key) ? "metadata.\(key)" : key, to: &bytes)
        append(raw: ":")
        append(value: value)
    }

    private static let reserved: Set<String> = ["ts", "level", "logger", "message"]

    private mutating func begin(_ key: StaticString) {
        assert(follows(key), "\(key) does not follow \(lastKey)")
        append(raw: ",\"")
        append(raw: key)
        append(raw: "\":")
    }

    /// Tells whether the key comes behind the one before, in the order of the other lines' keys.
    private mutating func follows(_ key: StaticString) -> Bool {
        defer { lastKey = key }
        return lastKey.description < key.description
    }

    // MARK: Values

    private mutating func append(raw text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    private mutating func append(number: Int) {
        if number < 0 { append(raw: "-") }
        append(digits: number.magnitude)
    }

    private mutating func append(digits number: some FixedWidthInteger & UnsignedInteger) {
        // 64 bits have no more than 20 digits.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = digits.count
            var rest = number
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            bytes.append(contentsOf: digits[start...])
        }
    }

    private mutating func append(text: some StringProtocol, limit: Int = .max) {
        // Nearly every text is plain ASCII, where bytes and code points are the same.
        let isWritten = text.utf8.withContiguousStorageIfAvailable { utf8 in
            let shown = UnsafeBufferPointer(rebasing: utf8.prefix(limit))
            guard shown.allSatisfy(Self.isPlain), !redaction.occurs(in: UnsafeRawBufferPointer(utf8)) else {
                return false
            }
            bytes.append(UInt8(ascii: "\""))
            bytes.append(contentsOf: shown)
            bytes.append(UInt8(ascii: "\""))
            return true
        }
        if isWritten != true {
            // Secrets before the cut: it must not leave the beginning of one.
            let text = redaction.redacted(String(text))
            let shown = limit == .max ? text : String(text.unicodeScalars.prefix(limit))
            JSONText.appendQuoted(shown.escapedForLog, to: &bytes)
        }
    }

    /// Tells whether a byte stands in a line as it is.
    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x20..<0x7F).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private mutating func append(value: Logger.Metadata.Value) {
        switch value {
        case .string(let text):
            append(text: text)
        case .stringConvertible(let value):
            // Numbers and booleans stay what they are, so that a log store can compare them.
            switch value {
            case let number as any BinaryInteger: bytes.append(contentsOf: "\(number)".utf8)
            case let flag as Bool: append(raw: flag ? "true" : "false")
            case let number as Double where number.isFinite: bytes.append(contentsOf: "\(number)".utf8)
            default: append(text: "\(value)")
            }
        case .array(let values):
            append(raw: "[")
            for (index, element) in values.enumerated() {
                if index > 0 { append(raw: ",") }
                append(value: element)
            }
            append(raw: "]")
        case .dictionary(let values):
            append(raw: "{")
            for (index, (key, element)) in values.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { append(raw: ",") }
                JSONText.appendQuoted(key, to: &bytes)
                append(raw: ":")
                append(value: element)
            }
            append(raw: "}")
        }
    }

    private mutating func appendTime() {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        if time.tv_sec != second {
            second = time.tv_sec
            stamp = Array(Timestamp.string(seconds: second, milliseconds: 0).utf8.dropLast("000Z".utf8.count))
        }
        bytes.append(contentsOf: stamp)
        let milliseconds = time.tv_nsec / 1_000_000
        for digit in [milliseconds / 100, milliseconds / 10 % 10, milliseconds % 10] {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit))
        }
        append(raw: "Z")
    }
}
