package import Foundation
import Observability

extension Date {
    /// Text of the instant in RFC 3339, in UTC with milliseconds.
    package var timestamp: String {
        let (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        return rest < 0
            ? Timestamp.string(seconds: Int(seconds) - 1, milliseconds: Int(rest) + 1000)
            : Timestamp.string(seconds: Int(seconds), milliseconds: Int(rest))
    }
}
