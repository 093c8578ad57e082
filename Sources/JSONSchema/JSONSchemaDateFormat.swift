/// A format of JSON Schema for dates and times, as RFC 3339 writes them.
package enum JSONSchemaDateFormat: String, CaseIterable, Hashable, Sendable {
    /// `full-date`: a day of the Gregorian calendar.
    case date
    /// `date-time`: an instant with its offset from UTC.
    case dateTime = "date-time"

    /// Description of an accepted text, for messages.
    package var expectation: String {
        switch self {
        case .date: "a date, such as 2026-01-31"
        case .dateTime: "a date and time with its offset, such as 2026-01-31T08:00:00Z"
        }
    }

    /// Returns whether the text has the format: its grammar, and a day that the month has. A leap second stands at the end of
    /// a day of UTC only (RFC 3339, section 5.7).
    package func matches(_ text: String) -> Bool {
        // The longest: a fraction may have any number of digits, of which no caller needs more.
        guard text.utf8.count <= 64 else { return false }
        var reader = Reader(bytes: Array(text.utf8))
        guard reader.date() else { return false }
        if self == .dateTime { guard reader.time() else { return false } }
        return reader.isAtEnd
    }

    private struct Reader {
        let bytes: [UInt8]
        var position = 0

        var isAtEnd: Bool { position == bytes.count }

        mutating func date() -> Bool {
            guard let year = number(4), skip("-"), let month = number(2), skip("-"), let day = number(2),
                (1...12).contains(month)
            else { return false }
            return (1...Self.days(year, month)).contains(day)
        }

        mutating func time() -> Bool {
            guard skip("Tt"), let hour = number(2), skip(":"), let minute = number(2), skip(":"),
                let second = number(2), hour < 24, minute < 60, second <= 60
            else { return false }
            if skip(".") {
                let start = position
                while position < bytes.count, Self.isDigit(bytes[position]) { position += 1 }
                guard position > start else { return false }
            }
            var offset = 0
            if !skip("Zz") {
                let isWest = position < bytes.count && bytes[position] == UInt8(ascii: "-")
                guard skip("+-"), let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60
                else { return false }
                offset = (hours * 60 + minutes) * (isWest ? -1 : 1)
            }
            let minuteOfDay = (hour * 60 + minute - offset + 2880) % 1440
            return second < 60 || minuteOfDay == 1439
        }

        private mutating func number(_ digits: Int) -> Int? {
            guard position + digits <= bytes.count else { return nil }
            var value = 0
            for byte in bytes[position..<position + digits] {
                guard Self.isDigit(byte) else { return nil }
                value = value * 10 + Int(byte - UInt8(ascii: "0"))
            }
            position += digits
            return value
        }

        private mutating func skip(_ accepted: StaticString) -> Bool {
            guard position < bytes.count,
                accepted.withUTF8Buffer({ $0.contains(bytes[position]) })
            else { return false }
            position += 1
            return true
        }

        private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

        private static func days(_ year: Int, _ month: Int) -> Int {
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
        }
    }
}
