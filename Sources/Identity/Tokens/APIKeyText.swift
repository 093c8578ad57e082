import Crypto
import Foundation

/// An API key as its holder has it: `tsk_` and 43 characters of URL-safe Base64, 256 random bits. Never stored, and
/// printed only once, when it is made.
package struct APIKeyText: Sendable, CustomStringConvertible, CustomReflectable {
    /// Tells people, and programs that look for leaked secrets, what the text is.
    package static let prefix = "tsk_"
    private static let hintLength = 8

    /// The key itself.
    package let text: String

    /// A new random key.
    package init() {
        text = Self.prefix + SessionToken().text
    }

    /// A key as presented; nil when it cannot be one, so that it costs no look-up.
    package init?(presented: String) {
        guard presented.hasPrefix(Self.prefix),
            SessionToken(presented: String(presented.dropFirst(Self.prefix.count))) != nil
        else { return nil }
        text = presented
    }

    /// SHA-256 of the text, which is what the store keeps.
    ///
    /// Passwords need a salt and a slow hash because people choose them: whoever steals the table could try the likely
    /// ones. Of 2^256 equally likely keys none can be found by trying, however fast, and a fast hash keeps the look-up
    /// on every request cheap.
    package var digest: [UInt8] { Array(SHA256.hash(data: Data(text.utf8))) }

    /// The beginning, for telling keys apart: 24 of the 256 bits.
    package var hint: String { String(text.prefix(Self.hintLength)) }

    package var description: String { "\(hint)…" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
