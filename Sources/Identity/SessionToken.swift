import Crypto
import Foundation

/// Secret of a login session: 256 random bits, given to the browser and never stored.
package struct SessionToken: Hashable, Sendable {
    /// Value of the cookie: 43 characters of URL-safe Base64.
    package let text: String

    /// Creates a random token.
    package init() {
        var generator = SystemRandomNumberGenerator()
        let bytes = Data((0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
        text = bytes.base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// Creates a token that a client presented; nil when it is malformed and need not be looked up.
    package init?(presented: String) {
        guard presented.utf8.count == 43,
            presented.utf8.allSatisfy({ byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || byte == 0x2D || byte == 0x5F
            })
        else { return nil }
        text = presented
    }

    /// SHA-256 of the text, which is stored. The token is uniformly random, so no salt or stretching is needed, and the
    /// time of a look-up by digest discloses nothing about the token.
    package var digest: [UInt8] { Array(SHA256.hash(data: Data(text.utf8))) }
}
