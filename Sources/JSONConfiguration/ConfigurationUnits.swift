/// Durations and sizes in the form in which people write them.
package enum ConfigurationUnits {
    /// Parses `"500ms"`, `"10s"`, `"2m"`, `"1h"`, `"7d"`; a number without a unit is in seconds. Nil for anything else.
    package static func duration(_ text: String) -> Duration? {
        let units: [(suffix: String, seconds: Double)] = [
            ("ms", 0.001), ("us", 0.000_001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("", 1),
        ]
        // A duration holds at most 2^63 seconds, and none here is longer than a million years.
        return quantity(text, units).flatMap { $0 < longestDuration ? .seconds($0) : nil }
    }

    private static let longestDuration = 1e6 * 366 * 86400

    /// Parses `"64KiB"`, `"2.5MiB"`, `"1GiB"`, `"10MB"`, `"512B"`; a number without a unit is in bytes. Nil for
    /// anything else.
    static func bytes(_ text: String) -> Int? {
        let units: [(suffix: String, factor: Double)] = [
            ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("B", 1),
            ("", 1),
        ]
        return quantity(text, units).flatMap { Int(exactly: $0.rounded()) }
    }

    private static func quantity(_ text: String, _ units: [(String, Double)]) -> Double? {
        for (suffix, factor) in units where text.hasSuffix(suffix) {
            let number = text.dropLast(suffix.count).trimmingSpaces()
            if let value = Double(number), value.isFinite, value >= 0 { return value * factor }
        }
        return nil
    }

    /// Returns a duration as a person would write it in the file.
    static func describe(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        if attoseconds == 0 { return "\(seconds)s" }
        return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms"
    }

    /// Returns a size as a person would write it in the file.
    static func describe(bytes: Int) -> String {
        for (unit, factor) in [("GiB", 1_073_741_824), ("MiB", 1_048_576), ("KiB", 1024)] where bytes >= factor {
            if bytes % factor == 0 { return "\(bytes / factor)\(unit)" }
            if (bytes * 10) % factor == 0 { return "\(Double(bytes) / Double(factor))\(unit)" }
        }
        return "\(bytes)"
    }
}

extension Substring {
    fileprivate func trimmingSpaces() -> Substring {
        var slice = self
        while slice.first == " " { slice.removeFirst() }
        while slice.last == " " { slice.removeLast() }
        return slice
    }
}
