import Crypto
import Foundation

/// A login session's secret: 256 random bits, given to the browser and never stored.
package struct SessionToken: Hashable, Sendable {
    /// The cookie's value: 43 characters of URL-safe Base64.
    package let text: String

    /// A new random token.
    package init() {
        var generator = SystemRandomNumberGenerator()
        let bytes = Data((0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
        text = bytes.base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// A token as presented by a client; `nil` when it cannot be one, so that it costs no look-up.
    package init?(presented: String) {
        guard presented.utf8.count == 43,
            presented.utf8.allSatisfy({ byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || byte == 0x2D || byte == 0x5F
            })
        else { return nil }
        text = presented
    }

    /// SHA-256 of the text, which is what the store keeps. The token is uniformly random, so no salt or stretching is
    /// needed, and a look-up by digest tells nothing about the token through its timing.
    package var digest: [UInt8] { Array(SHA256.hash(data: Data(text.utf8))) }
}
