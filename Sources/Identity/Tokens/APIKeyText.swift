import Crypto
import Foundation

/// Text of an API key: `tsk_` and 43 characters of URL-safe Base64, 256 random bits. It is never stored, and printed
/// only once, when it is created.
package struct APIKeyText: Sendable, CustomStringConvertible, CustomReflectable {
    /// Prefix by which people, and programs that search for leaked secrets, recognise a key.
    package static let prefix = "tsk_"
    private static let hintLength = 8

    /// Text of the key.
    package let text: String

    /// Creates a random key.
    package init() {
        text = Self.prefix + SessionToken().text
    }

    /// Creates a key from a presented text; nil when it is malformed and need not be looked up.
    package init?(presented: String) {
        guard presented.hasPrefix(Self.prefix),
            SessionToken(presented: String(presented.dropFirst(Self.prefix.count))) != nil
        else { return nil }
        text = presented
    }

    /// SHA-256 of the text, which is stored.
    ///
    /// Passwords need a salt and a slow hash because people choose them: a thief of the table could try the likely
    /// ones. Of 2^256 equally likely keys none can be found by trying, however fast, and a fast hash keeps the look-up
    /// on every request cheap.
    package var digest: [UInt8] { Array(SHA256.hash(data: Data(text.utf8))) }

    /// Beginning of the text, for distinguishing keys: 24 of the 256 bits.
    package var hint: String { String(text.prefix(Self.hintLength)) }

    package var description: String { "\(hint)…" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
