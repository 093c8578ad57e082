package import Foundation

/// Instants as Django writes them into SQLite with `USE_TZ`: `2026-11-22 23:14:37.135558`, in UTC, without a fraction
/// where it is zero.
///
/// Such texts sort by time, with and without a fraction.
package enum DjangoTimestamp {
    /// Seconds since 1970 of the years 1 to 9999, which have four digits.
    private static let writable = -62_135_596_800.0...253_402_300_799.0

    /// Returns the text, to the microsecond; for an instant before the year 1 or after 9999 that of the nearest one.
    package static func text(_ date: Date) -> String {
        var time = date.timeIntervalSince1970
        // NaN is not in any range.
        if !writable.contains(time) { time = time > 0 ? writable.upperBound : writable.lowerBound }
        let total = Int64((time * 1_000_000).rounded())
        let (seconds, fraction) = floorDivision(total, 1_000_000)
        let (days, second) = floorDivision(seconds, 86_400)
        let (year, month, day) = civil(days)
        var text =
            "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2)) "
            + "\(digits(second / 3600, 2)):\(digits(second / 60 % 60, 2)):\(digits(second % 60, 2))"
        if fraction != 0 { text += "." + digits(fraction, 6) }
        return text
    }

    /// Returns the instant of such a text, also with a `T`, a `Z` or an offset, as other programs write it. Nil for
    /// anything else.
    package static func date(_ text: String) -> Date? {
        let bytes = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= bytes.count else { return nil }
            var value: Int64 = 0
            for byte in bytes[range] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            return value
        }
        guard bytes.count >= 19, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
            bytes[10] == UInt8(ascii: " ") || bytes[10] == UInt8(ascii: "T"),
            bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"),
            let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
        else { return nil }
        var position = 19
        var fraction = 0.0
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            let start = position + 1
            position = start
            while position < bytes.count, position - start < 9, (0x30...0x39).contains(bytes[position]) {
                position += 1
            }
            guard position > start, let value = number(start..<position) else { return nil }
            fraction = Double(value) / pow(10, Double(position - start))
        }
        var offset: Int64 = 0
        let zone = bytes[position...]
        if let sign = zone.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
            guard zone.count == 6, bytes[position + 3] == UInt8(ascii: ":"),
                let hours = number(position + 1..<position + 3), let minutes = number(position + 4..<position + 6)
            else { return nil }
            offset = (hours * 3600 + minutes * 60) * (sign == UInt8(ascii: "-") ? -1 : 1)
        } else if !zone.isEmpty, zone != [UInt8(ascii: "Z")] {
            return nil
        }
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
        return Date(timeIntervalSince1970: Double(seconds) + fraction)
    }

    /// The text in UTC, to the microsecond, of an instant that RFC 3339 allows; nil for anything else, and for an instant
    /// outside of the years 1 to 9999.
    package static func normalized(_ text: String) -> String? {
        var text = text.uppercased()
        if let point = text.firstIndex(of: ".") {
            // What is finer than the databases' instants is left out.
            let end = text[text.index(after: point)...].firstIndex { !$0.isNumber } ?? text.endIndex
            text = "\(text[..<point])\(text[point..<end].prefix(7))\(text[end...])"
        }
        guard let date = date(text), writable.contains(date.timeIntervalSince1970) else { return nil }
        return self.text(date)
    }

    private static func floorDivision(_ value: Int64, _ divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    private static func digits(_ value: Int64, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    /// Returns the days since 1970-01-01 of a date of the Gregorian calendar; years begin in March so that leap days
    /// come last.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = floorDivision(shifted, 400)
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floorDivision(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }
}
