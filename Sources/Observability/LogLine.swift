import Foundation
import JSON
import Logging

/// One line of the log while it is written: a JSON object whose first members are `ts`, `level`, `logger` and `message`.
///
/// Values are appended to a byte buffer as they are; nothing is collected first. Text may come from outside: it is
/// escaped, so that it can neither end the line nor look like another one, and secrets in it are replaced.
package struct LogLine: ~Copyable, Sendable {
    /// Nearly every line is shorter.
    private var buffer = LineBuffer(capacity: 1024)
    /// The secrets to look for.
    var redaction = Redaction()
    /// The second whose date `stamp` has.
    private var second = Int.min
    /// Date and time to the second, as they begin every line of that second.
    private var stamp: [UInt8] = []
    /// The last key, for the check of their order in debug builds.
    private var lastKey: StaticString = ""

    /// The line so far.
    var bytes: UnsafeBufferPointer<UInt8> { buffer.bytes }

    /// Begins a line, in place of the one before.
    mutating func begin(level: Logger.Level, label: String, message: String) {
        buffer.removeAll()
        lastKey = ""
        buffer.append("{\"ts\":\"")
        appendTime()
        buffer.append("\",\"level\":")
        append(text: level.rawValue)
        buffer.append(",\"logger\":")
        append(text: label)
        buffer.append(",\"message\":")
        append(text: message)
    }

    /// Ends the line.
    mutating func end() { buffer.append("}\n") }

    // MARK: Fields

    /// Appends a field with a text, of which at most `limit` code points are shown.
    ///
    /// - Parameter key: Keys come in ascending order, as those of the other lines do.
    package mutating func add(_ key: StaticString, _ text: String, limit: Int = .max) {
        begin(key)
        append(text: text, limit: limit)
    }

    /// Appends a field with a text, of which at most `limit` code points are shown.
    package mutating func add(_ key: StaticString, _ text: Substring, limit: Int = .max) {
        begin(key)
        let isWritten = text.utf8.withContiguousStorageIfAvailable { appendPlain($0, limit: limit) }
        if isWritten != true { append(escaping: String(text), limit: limit) }
    }

    /// Appends a field with a number.
    package mutating func add(_ key: StaticString, _ number: Int) {
        begin(key)
        if number < 0 { buffer.append(UInt8(ascii: "-")) }
        buffer.append(digits: UInt64(truncatingIfNeeded: number.magnitude))
    }

    /// Appends a field with a boolean.
    package mutating func add(_ key: StaticString, _ flag: Bool) {
        begin(key)
        append(flag)
    }

    /// Appends a field with a time in milliseconds, with one to three digits after the point.
    package mutating func add(_ key: StaticString, milliseconds duration: Duration) {
        begin(key)
        let microseconds = max(0, duration.nanoseconds).magnitude / 1000
        buffer.append(digits: microseconds / 1000)
        buffer.append(UInt8(ascii: "."))
        var digits = microseconds % 1000
        var weight: UInt64 = 100
        repeat {
            buffer.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digits / weight))
            digits %= weight
            weight /= 10
        } while digits > 0
    }

    /// Appends a field with a number as 16 hexadecimal digits.
    package mutating func add(_ key: StaticString, hexadecimal number: UInt64) {
        begin(key)
        buffer.append(UInt8(ascii: "\""))
        append(hexadecimal: number)
        buffer.append(UInt8(ascii: "\""))
    }

    /// Appends a field with a number of 128 bits as 32 hexadecimal digits.
    package mutating func add(_ key: StaticString, hexadecimal high: UInt64, _ low: UInt64) {
        begin(key)
        buffer.append(UInt8(ascii: "\""))
        append(hexadecimal: high)
        append(hexadecimal: low)
        buffer.append(UInt8(ascii: "\""))
    }

    /// Appends a field with an IPv4 address in network order.
    package mutating func add(_ key: StaticString, octets: [UInt8]) {
        begin(key)
        buffer.append(UInt8(ascii: "\""))
        for index in octets.indices {
            if index > 0 { buffer.append(UInt8(ascii: ".")) }
            buffer.append(digits: UInt64(truncatingIfNeeded: octets[index]))
        }
        buffer.append(UInt8(ascii: "\""))
    }

    /// Appends a field whose key is known at run time only.
    mutating func add(key: String, _ value: Logger.Metadata.Value) {
        buffer.append(",")
        append(quoting: Self.reserved.contains(key) ? "metadata.\(key)" : key)
        buffer.append(":")
        append(value: value)
    }

    private static let reserved: Set<String> = ["ts", "level", "logger", "message"]

    private mutating func begin(_ key: StaticString) {
        assert(follows(key), "\(key) does not follow \(lastKey)")
        buffer.append(key: key)
    }

    /// Tells whether the key comes behind the one before, in the order of the other lines' keys.
    private mutating func follows(_ key: StaticString) -> Bool {
        defer { lastKey = key }
        return lastKey.description < key.description
    }

    // MARK: Values

    private mutating func append(_ flag: Bool) { buffer.append(flag ? "true" : "false") }

    private mutating func append(hexadecimal number: UInt64) {
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: number >> shift) & 0x0F
            buffer.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }

    private mutating func append(text: String, limit: Int = .max) {
        let isWritten = text.utf8.withContiguousStorageIfAvailable { appendPlain($0, limit: limit) }
        if isWritten != true { append(escaping: text, limit: limit) }
    }

    /// Appends a text that needs no change, as nearly every one is. Of plain ASCII bytes and code points are the same.
    /// - Returns: False, and nothing is appended, if the text must be escaped or has a secret.
    private mutating func appendPlain(_ utf8: UnsafeBufferPointer<UInt8>, limit: Int) -> Bool {
        let shown = UnsafeBufferPointer(rebasing: utf8.prefix(limit))
        guard Self.isPlain(shown), !redaction.occurs(in: UnsafeRawBufferPointer(utf8)) else { return false }
        buffer.append(quoted: shown)
        return true
    }

    private mutating func append(escaping text: String, limit: Int) {
        // Secrets before the cut: it must not leave the beginning of one.
        let text = redaction.redacted(text)
        append(quoting: (limit == .max ? text : String(text.unicodeScalars.prefix(limit))).escapedForLog)
    }

    private mutating func append(quoting text: String) {
        var quoted: [UInt8] = []
        JSONText.appendQuoted(text, to: &quoted)
        buffer.append(quoted)
    }

    /// Tells whether all bytes stand in a line as they are: printable ASCII but for quotation mark and backslash.
    private static func isPlain(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let raw = UnsafeRawBufferPointer(bytes)
        var other: UInt64 = 0
        var index = 0
        // Eight bytes at a time; the highest bit of each says what it is. The last eight overlap those before.
        while index + 8 < raw.count {
            other |= unfit(raw.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            index += 8
        }
        if raw.count >= 8 {
            other |= unfit(raw.loadUnaligned(fromByteOffset: raw.count - 8, as: UInt64.self))
        } else {
            for byte in raw { other |= unfit(UInt64(truncatingIfNeeded: byte) | 0x2020_2020_2020_2000) }
        }
        return other & highest == 0
    }

    /// Sets the highest bit of a byte where one of the eight must not stand in a line as it is.
    @inline(__always)
    private static func unfit(_ word: UInt64) -> UInt64 {
        // Control characters, DEL, the quotation mark, the backslash, and what is not ASCII.
        word | below(0x20, word) | equal(0x7F, word) | equal(0x22, word) | equal(0x5C, word)
    }

    private static let highest: UInt64 = 0x8080_8080_8080_8080

    /// Sets the highest bit of each byte that is less than `limit`, and perhaps of bytes above one that is.
    @inline(__always)
    private static func below(_ limit: UInt64, _ word: UInt64) -> UInt64 {
        (word &- limit &* 0x0101_0101_0101_0101) & ~word
    }

    /// Sets the highest bit of each byte that is `byte`, and perhaps of bytes above one that is.
    @inline(__always)
    private static func equal(_ byte: UInt64, _ word: UInt64) -> UInt64 {
        let difference = word ^ byte &* 0x0101_0101_0101_0101
        return (difference &- 0x0101_0101_0101_0101) & ~difference
    }

    private mutating func append(value: Logger.Metadata.Value) {
        switch value {
        case .string(let text):
            append(text: text)
        case .stringConvertible(let value):
            // Numbers and booleans stay what they are, so that a log store can compare them.
            switch value {
            case let number as any BinaryInteger: buffer.append(Array("\(number)".utf8))
            case let flag as Bool: append(flag)
            case let number as Double where number.isFinite: buffer.append(Array("\(number)".utf8))
            default: append(text: "\(value)")
            }
        case .array(let values):
            buffer.append("[")
            for (index, element) in values.enumerated() {
                if index > 0 { buffer.append(",") }
                append(value: element)
            }
            buffer.append("]")
        case .dictionary(let values):
            buffer.append("{")
            for (index, (key, element)) in values.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { buffer.append(",") }
                append(quoting: key)
                buffer.append(":")
                append(value: element)
            }
            buffer.append("}")
        }
    }

    private mutating func appendTime() {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        if time.tv_sec != second {
            second = time.tv_sec
            stamp = Array(Timestamp.string(seconds: second, milliseconds: 0).utf8.dropLast("000Z".utf8.count))
        }
        buffer.append(stamp)
        let milliseconds = UInt64(truncatingIfNeeded: time.tv_nsec / 1_000_000)
        buffer.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: milliseconds / 100))
        buffer.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: milliseconds / 10 % 10))
        buffer.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: milliseconds % 10))
        buffer.append("Z")
    }
}
