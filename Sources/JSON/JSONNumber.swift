/// A number in its written form, compared by its value.
///
/// The text is kept verbatim, so that 1e400 or twenty digits are preserved. Equality, order and hash follow the exact
/// decimal value: `1`, `1.0` and `10e-1` are equal, 9007199254740993 and 9007199254740992 are not.
package struct JSONNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// RFC 8259 text of the number.
    package let text: String

    /// Writes an integer.
    package init(_ value: Int) {
        text = String(value)
    }

    /// Writes the shortest text that reads back as `value`; integral values below 2^53 without a fraction. JSON has no
    /// NaN and no infinities: they become 0 and the largest finite values (encoders refuse them before).
    package init(_ value: Double) {
        if value.isNaN {
            text = "0"
        } else if value.isInfinite {
            text = String(value < 0 ? -Double.greatestFiniteMagnitude : Double.greatestFiniteMagnitude)
        } else if let integer = Self.integer(value) {
            text = String(integer)
        } else {
            text = String(value)
        }
    }

    /// 2^53: doubles below it distinguish neighbouring integers.
    private static let exactIntegers = 9_007_199_254_740_992.0

    /// Returns the value when it is integral and below 2^53. It is converted there and back, which needs no C library.
    private static func integer(_ value: Double) -> Int64? {
        guard abs(value) < exactIntegers, Double(Int64(value)) == value else { return nil }
        return Int64(value)
    }

    /// Takes over text that already has the grammar of a JSON number.
    init(validated text: String) {
        self.text = text
    }

    /// Takes the number that a scanner has accepted in these bytes; 0 for a slice of another kind.
    package init(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) {
        text = slice.kind == .number ? JSONText.source(slice, in: bytes) : "0"
    }

    /// Reads a number; nil when `text` is not exactly one JSON number.
    package init?(_ text: String) {
        var copy = text
        let isNumber = copy.withUTF8 { utf8 in
            var scanner = JSONScanner(UnsafeRawBufferPointer(utf8))
            guard let slice = try? scanner.document() else { return false }
            return slice.kind == .number && slice.count == utf8.count
        }
        guard isNumber else { return nil }
        self.text = text
    }

    /// Value when it is integral and fits, whatever its spelling (`1e2` is 100).
    package var int: Int? {
        if let value = Int(text) { return value }
        let decimal = decimal
        if decimal.digits.isEmpty { return 0 }
        guard decimal.isInteger, decimal.magnitudeExponent <= 20 else { return nil }
        let digits = decimal.digits.map { Character(Unicode.Scalar($0)) }
        return Int((decimal.isNegative ? "-" : "") + String(digits) + String(repeating: "0", count: decimal.exponent))
    }

    /// Nearest double; infinite beyond its range.
    package var double: Double {
        Double(text) ?? 0
    }

    /// True if the value has no fraction (JSON Schema's `integer`), as in `1.0` and `1e3`.
    package var isInteger: Bool {
        text.utf8.allSatisfy { $0 == Byte.minus || $0 &- Byte.zero < 10 } || decimal.isInteger
    }

    package var description: String { text }

    package static func == (left: JSONNumber, right: JSONNumber) -> Bool {
        left.text == right.text || left.decimal == right.decimal
    }

    package static func < (left: JSONNumber, right: JSONNumber) -> Bool {
        if let left = Int(left.text), let right = Int(right.text) { return left < right }
        return left.decimal < right.decimal
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(decimal)
    }

    /// Returns whether the value is an integral multiple of `divisor`: exactly for divisors of up to 18 digits, by
    /// doubles beyond. False for a divisor that is not positive.
    package func isMultiple(of divisor: JSONNumber) -> Bool {
        let (dividend, other) = (decimal, divisor.decimal)
        guard !other.isNegative, !other.digits.isEmpty else { return false }
        if dividend.digits.isEmpty { return true }
        guard other.digits.count <= 18 else {
            let quotient = double / divisor.double
            return abs(quotient) >= Self.exactIntegers || Self.integer(quotient) != nil
        }
        // Digits have no trailing zeros, so a dividend on a finer scale cannot be a multiple.
        guard dividend.exponent >= other.exponent else { return false }
        let modulus = other.digits.reduce(0) { $0 * 10 + UInt128($1 - Byte.zero) }
        var remainder = dividend.digits.reduce(0) { ($0 * 10 + UInt128($1 - Byte.zero)) % modulus }
        var (power, exponent) = (10 % modulus, dividend.exponent - other.exponent)
        while exponent > 0 {
            if exponent & 1 == 1 { remainder = remainder * power % modulus }
            power = power * power % modulus
            exponent >>= 1
        }
        return remainder == 0
    }

    private var decimal: Decimal { Decimal(text) }
}

extension JSONNumber {
    /// A decimal number ± 0.d₁d₂… × 10^n in canonical form: digits without zeros at either end, value = digits ×
    /// 10^exponent.
    private struct Decimal: Hashable, Comparable {
        var isNegative = false
        /// ASCII digits, empty for zero.
        var digits: [UInt8] = []
        var exponent = 0

        init(_ text: String) {
            var fraction: Int?
            var exponentText = ""
            var inExponent = false
            for byte in text.utf8 {
                if inExponent {
                    exponentText.unicodeScalars.append(Unicode.Scalar(byte))
                } else if byte == Byte.minus {
                    isNegative = true
                } else if byte == UInt8(ascii: ".") {
                    fraction = 0
                } else if byte | 0x20 == UInt8(ascii: "e") {
                    inExponent = true
                } else {
                    digits.append(byte)
                    fraction = fraction.map { $0 + 1 }
                }
            }
            // Larger exponents need not be distinguished; saturating prevents an overflow of the sums below.
            let limit = 1 << 40
            let isSmall = exponentText.hasPrefix("-")
            exponent = min(
                max(Int(exponentText) ?? (exponentText.isEmpty ? 0 : isSmall ? -limit : limit), -limit), limit)
            exponent -= fraction ?? 0
            while digits.last == Byte.zero {
                digits.removeLast()
                exponent += 1
            }
            digits.removeFirst(digits.prefix { $0 == Byte.zero }.count)
            if digits.isEmpty {
                isNegative = false
                exponent = 0
            }
        }

        var isInteger: Bool { exponent >= 0 }
        /// Position of the first digit before the decimal point.
        var magnitudeExponent: Int { digits.count + exponent }

        static func < (left: Decimal, right: Decimal) -> Bool {
            switch (left.sign, right.sign) {
            case (1, 1): left.isSmallerInMagnitude(than: right)
            case (-1, -1): right.isSmallerInMagnitude(than: left)
            case (let left, let right): left < right
            }
        }

        private var sign: Int { digits.isEmpty ? 0 : isNegative ? -1 : 1 }

        private func isSmallerInMagnitude(than other: Decimal) -> Bool {
            guard magnitudeExponent == other.magnitudeExponent else {
                return magnitudeExponent < other.magnitudeExponent
            }
            return digits.lexicographicallyPrecedes(other.digits)
        }
    }
}
