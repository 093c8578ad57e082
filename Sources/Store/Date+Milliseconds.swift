package import Foundation

/// Instants as the store keeps them: milliseconds since 1970, of the years 1 to 9999. Any other value in a row, file or
/// header is replaced by the nearest of these, so that no arithmetic on an instant can overflow.
extension Date {
    private static let storable: ClosedRange<Int64> = -62_135_596_800_000...253_402_300_799_999

    /// Milliseconds since 1970, within the years 1 to 9999.
    package var milliseconds: Int64 {
        let milliseconds = (timeIntervalSince1970 * 1000).rounded()
        let (first, last) = (Self.storable.lowerBound, Self.storable.upperBound)
        // NaN is neither greater nor less.
        guard milliseconds > Double(first) else { return first }
        return milliseconds < Double(last) ? Int64(milliseconds) : last
    }

    /// Creates the instant of a number of milliseconds since 1970, limited to the years 1 to 9999.
    package init(milliseconds: Int64) {
        let bounded = min(max(milliseconds, Self.storable.lowerBound), Self.storable.upperBound)
        self.init(timeIntervalSince1970: Double(bounded) / 1000)
    }
}
