import Foundation

/// Time of day in the form of logs and the API.
package enum Timestamp {
    /// Returns the current time, RFC 3339 in UTC with milliseconds, such as `2026-07-28T09:30:00.123Z`.
    package static func now() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return string(seconds: Int(time.tv_sec), milliseconds: Int(time.tv_nsec) / 1_000_000)
    }

    /// Returns a time since the epoch, RFC 3339 in UTC with milliseconds.
    package static func string(seconds: Int, milliseconds: Int) -> String {
        var calendar = tm()
        var seconds = time_t(seconds)
        gmtime_r(&seconds, &calendar)
        let date = [Int(calendar.tm_year) + 1900, Int(calendar.tm_mon) + 1, Int(calendar.tm_mday)]
        let clock = [Int(calendar.tm_hour), Int(calendar.tm_min), Int(calendar.tm_sec)]
        var text = ""
        text.reserveCapacity(24)
        append(date[0], width: 4, to: &text)
        text += "-"
        append(date[1], width: 2, to: &text)
        text += "-"
        append(date[2], width: 2, to: &text)
        text += "T"
        append(clock[0], width: 2, to: &text)
        text += ":"
        append(clock[1], width: 2, to: &text)
        text += ":"
        append(clock[2], width: 2, to: &text)
        text += "."
        append(milliseconds, width: 3, to: &text)
        return text + "Z"
    }

    private static func append(_ value: Int, width: Int, to text: inout String) {
        let digits = String(value)
        text += String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
