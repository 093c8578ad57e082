/// Halves of surrogate pairs, which some servers separate when they divide text into pieces: `"\ud83d"` in one event,
/// `"\ude00"` in the next.
///
/// A Swift text cannot contain a half. It is passed through the JSON reader as a scalar of a private plane, and joined
/// or replaced afterwards.
enum SurrogateHalves {
    /// Scalar that stands for the first half, U+D800; the others follow it.
    private static let base: UInt32 = 0xF0000
    private static let range = base..<(base + 0x800)

    /// Returns JSON text whose lone halves are written as scalars of the private plane; nil when it has none.
    static func marked(_ json: [UInt8]) -> [UInt8]? { rewritten(json) { escaped(base + ($0 & 0x7FF)) } }

    /// Returns JSON text whose lone halves are written as U+FFFD; nil when it has none.
    static func replaced(_ json: [UInt8]) -> [UInt8]? { rewritten(json) { _ in Array("\\ufffd".utf8) } }

    private static func rewritten(_ json: [UInt8], _ write: (UInt32) -> [UInt8]) -> [UInt8]? {
        var result: [UInt8] = []
        var copied = 0
        var position = 0
        while let backslash = json[position...].firstIndex(of: UInt8(ascii: "\\")) {
            guard let unit = unit(at: backslash, in: json), unit & 0xF800 == 0xD800 else {
                position = min(backslash + 2, json.count)
                continue
            }
            if unit < 0xDC00, let low = self.unit(at: backslash + 6, in: json), low & 0xFC00 == 0xDC00 {
                position = backslash + 12
                continue
            }
            result += json[copied..<backslash]
            result += write(unit)
            position = backslash + 6
            copied = position
        }
        return copied == 0 ? nil : result + json[copied...]
    }

    /// Joiner of the halves of marked pieces. A half without its other one becomes U+FFFD.
    struct Joiner: Sendable {
        private var pending: UInt32?

        /// Takes a marked piece; returns its text with the half that was pending. A half at its end waits for the next
        /// piece.
        mutating func feed(_ piece: String) -> String {
            var text = String.UnicodeScalarView()
            for scalar in piece.unicodeScalars {
                let half = range.contains(scalar.value) ? scalar.value - base : nil
                if let high = pending {
                    pending = nil
                    if let half, half >= 0x400 {
                        text.append(Unicode.Scalar(0x10000 + (high << 10 | half & 0x3FF)) ?? "\u{FFFD}")
                        continue
                    }
                    text.append("\u{FFFD}")
                }
                switch half {
                case .none: text.append(scalar)
                case .some(let half) where half < 0x400: pending = half
                case .some: text.append("\u{FFFD}")
                }
            }
            return String(text)
        }

        /// Returns the replacement for a half whose other one did not come.
        mutating func finish() -> String {
            defer { pending = nil }
            return pending == nil ? "" : "\u{FFFD}"
        }

        /// True if a half waits for the other.
        var isWaiting: Bool { pending != nil }
    }

    private static func unit(at backslash: Int, in json: [UInt8]) -> UInt32? {
        guard backslash + 6 <= json.count, json[backslash...].starts(with: "\\u".utf8) else { return nil }
        return UInt32(String(decoding: json[backslash + 2..<backslash + 6], as: UTF8.self), radix: 16)
    }

    /// Returns a scalar beyond the first plane as JSON writes it in ASCII.
    private static func escaped(_ scalar: UInt32) -> [UInt8] {
        let offset = scalar - 0x10000
        let units = [0xD800 + (offset >> 10), 0xDC00 + (offset & 0x3FF)]
        return Array(units.map { "\\u" + String($0, radix: 16) }.joined().utf8)
    }
}
