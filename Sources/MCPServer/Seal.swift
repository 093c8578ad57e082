package import Crypto
import MCP

/// Seal for contents that clients keep and return: AES-GCM, so that a client can neither read nor change them, and every
/// process with one of the keys opens them.
package struct Seal: Sendable {
    /// Number of bytes by which sealed contents are longer: nonce and tag.
    package static let overhead = 12 + 16

    /// Keys that open texts; the first one also seals new ones.
    private let keys: [SymmetricKey]

    /// - Parameters:
    ///   - key: Key that seals and opens, of 32 bytes.
    ///   - previous: Keys that only open.
    package init(_ key: SymmetricKey, previous: [SymmetricKey] = []) {
        keys = [key] + previous
    }

    /// Returns contents as Base64 URL text.
    ///
    /// - Parameter binding: Bytes that are authenticated with the contents: the text opens only with the same ones.
    /// - Throws: `CryptoKitError`, impossible with a key of 32 bytes.
    package func seal(_ contents: [UInt8], binding: [UInt8]) throws -> String {
        guard let sealed = try AES.GCM.seal(contents, using: keys[0], authenticating: binding).combined else {
            throw CryptoKitError.incorrectParameterSize
        }
        return Base64URL.encode(sealed)
    }

    /// Returns the contents of a text; nil for one that was not sealed with one of the keys and this binding.
    package func open(_ text: String, binding: [UInt8]) -> [UInt8]? {
        guard let bytes = Base64URL.decode(text), let box = try? AES.GCM.SealedBox(combined: bytes) else { return nil }
        for key in keys {
            if let contents = try? AES.GCM.open(box, using: key, authenticating: binding) { return Array(contents) }
        }
        return nil
    }
}
