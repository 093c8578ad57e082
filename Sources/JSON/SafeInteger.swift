/// An integer from outside whose arithmetic cannot overflow: within ±(2^53 − 1), the integers that every JSON
/// implementation reads exactly (RFC 7493, section 2.2).
///
/// A count, a size or a time from a peer, a file or a row is converted to one where it comes in. Sums and differences
/// stop at the bounds instead of trapping.
package struct SafeInteger: Hashable, Comparable, Sendable, AdditiveArithmetic {
    /// The largest value, 2^53 − 1.
    package static let max = SafeInteger(unchecked: 9_007_199_254_740_991)
    /// The smallest value, −(2^53 − 1).
    package static let min = SafeInteger(unchecked: -9_007_199_254_740_991)
    /// Zero.
    package static let zero = SafeInteger(unchecked: 0)

    /// The value as an integer.
    package let value: Int

    private init(unchecked value: Int) {
        self.value = value
    }

    /// Takes the nearest value within the bounds.
    package init(clamping value: some BinaryInteger) {
        self.value = Swift.min(Swift.max(Int(clamping: value), Self.min.value), Self.max.value)
    }

    /// Takes the nearest value within the bounds, without the fraction; zero for NaN.
    package init(clamping value: Double) {
        let bound = Double(Self.max.value)
        // Within ±(2^53 − 1) every integral double is an Int.
        self.value = value.isNaN ? 0 : Int(Swift.min(Swift.max(value, -bound), bound).rounded(.towardZero))
    }

    /// Takes the nearest value within the bounds, without the fraction, whatever the spelling of the number.
    package init(clamping number: JSONNumber) {
        if let value = number.int { self.init(clamping: value) } else { self.init(clamping: number.double) }
    }

    /// Takes a value; nil when it is outside the bounds.
    package init?(exactly value: some BinaryInteger) {
        guard let value = Int(exactly: value), (Self.min.value...Self.max.value).contains(value) else { return nil }
        self.value = value
    }

    /// Takes a number; nil when it has a fraction or is outside the bounds.
    package init?(exactly number: JSONNumber) {
        guard let value = number.int else { return nil }
        self.init(exactly: value)
    }

    /// Returns the sum, or the bound that it exceeds.
    package static func + (left: SafeInteger, right: SafeInteger) -> SafeInteger {
        // Two values below 2^53 cannot overflow 64 bits.
        SafeInteger(clamping: left.value + right.value)
    }

    /// Returns the difference, or the bound that it exceeds.
    package static func - (left: SafeInteger, right: SafeInteger) -> SafeInteger {
        SafeInteger(clamping: left.value - right.value)
    }

    /// Returns the product, or the bound that it exceeds.
    package static func * (left: SafeInteger, right: SafeInteger) -> SafeInteger {
        let (product, overflows) = left.value.multipliedReportingOverflow(by: right.value)
        guard overflows else { return SafeInteger(clamping: product) }
        return (left.value < 0) == (right.value < 0) ? .max : .min
    }

    /// Orders by value.
    package static func < (left: SafeInteger, right: SafeInteger) -> Bool { left.value < right.value }
}

extension JSONValue {
    /// Value of an integral number within ±(2^53 − 1), whatever its spelling; nil for anything else.
    package var safeInteger: SafeInteger? { number.flatMap { SafeInteger(exactly: $0) } }
}
