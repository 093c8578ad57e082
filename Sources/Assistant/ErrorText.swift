import Foundation
import JSONConfiguration

/// Removal of secrets, addresses and credentials from a provider's error message, which callers can read.
///
/// The text is cut before it is searched, and searched once, so that the work is linear in the text that is shown.
struct ErrorText: Sendable {
    /// Largest text that callers get, in characters.
    private static let maximumLength = 2000
    /// Largest number of bytes of a message that are searched; the rest is dropped.
    private static let maximumExamined = 64 << 10
    /// Largest number of bytes that are kept: a character may consist of any number of scalars.
    private static let maximumKept = 4 * maximumLength
    private static let ellipsis = Array("…".utf8)

    /// UTF-8 of the texts to be removed, longest first.
    private let hidden: [[UInt8]]

    /// Collects the texts to be removed for a provider: its secrets and its address.
    init(_ configuration: ProviderConfiguration) {
        // Very short names and keys are part of ordinary words: replacing them would garble the message.
        var hidden = configuration.secrets.filter { $0.count >= 4 }
        for address in [configuration.baseURL, configuration.proxy?.value].compactMap(\.self) {
            hidden.append(String(address.reversed().drop { $0 == "/" }.reversed()))
            guard let url = URL(string: address), let host = url.host() else { continue }
            if let query = url.query(), query.utf8.count >= 4 { hidden.append(query) }
            let authority = url.port.map { "\(host):\($0)" } ?? host
            if authority.contains(where: { ".:".contains($0) }) { hidden.append(authority) }
            if host.contains(".") { hidden.append(host) }
        }
        // The longest first: a part must not be replaced within the whole.
        self.hidden = hidden.map { Array($0.utf8) }.filter { !$0.isEmpty }.sorted { $0.count > $1.count }
    }

    /// Returns the message without secrets, cut at its maximum length.
    func redacted(_ message: String) -> String {
        let examined = Array(message.utf8.prefix(Self.maximumExamined))
        let isCut = examined.count < message.utf8.count
        var kept: [UInt8] = []
        var position = 0
        while position < examined.count, kept.count < Self.maximumKept {
            if let end = secretEnd(at: position, in: examined, isCut: isCut) {
                kept += Self.ellipsis
                position = end
            } else if let end = Credentials.userInfoEnd(at: position, in: examined) {
                kept += "://…@".utf8
                position = end
            } else {
                kept.append(examined[position])
                position += 1
            }
        }
        let text = String(decoding: kept, as: UTF8.self)
        guard isCut || position < examined.count || text.count > Self.maximumLength else { return text }
        return text.prefix(Self.maximumLength) + "…"
    }

    /// Returns the end of a secret that begins at a position. A secret divided by the cut counts too.
    private func secretEnd(at position: Int, in bytes: [UInt8], isCut: Bool) -> Int? {
        for secret in hidden where secret[0] == bytes[position] {
            let rest = bytes[position...].prefix(secret.count)
            if rest.count == secret.count ? rest.elementsEqual(secret) : isCut && secret.starts(with: rest) {
                return position + rest.count
            }
        }
        return Credentials.keyEnd(at: position, in: bytes)
    }
}

/// Forms of credentials that are recognised without knowing their value. Every search ends where the next one begins,
/// so that a pass over a text stays linear.
private enum Credentials {
    private static let prefixes = ["sk-", "pk-", "rk-", "key-"].map { Array($0.utf8) }
    private static let scheme = Array("bearer".utf8)
    private static let minimumLength = 8

    /// Returns the end of an API key (`sk-…`) or a bearer token (`Bearer …`) that begins at a position.
    static func keyEnd(at position: Int, in bytes: [UInt8]) -> Int? {
        guard position == 0 || !isWord(bytes[position - 1]) else { return nil }
        for prefix in prefixes where bytes[position...].starts(with: prefix) {
            let start = position + prefix.count
            let end = bytes[start...].firstIndex { !isKeyByte($0) } ?? bytes.count
            return end - start >= minimumLength ? end : nil
        }
        guard bytes[position...].prefix(scheme.count).map({ $0 | 0x20 }) == scheme else { return nil }
        let blank = position + scheme.count
        let start = bytes[blank...].firstIndex { !isBlank($0) } ?? bytes.count
        guard start > blank else { return nil }
        let end = bytes[start...].firstIndex { isBlank($0) || "\"',;".utf8.contains($0) } ?? bytes.count
        return end - start >= minimumLength ? end : nil
    }

    /// Returns the end of `://USER:PASSWORD@` that begins at a position.
    static func userInfoEnd(at position: Int, in bytes: [UInt8]) -> Int? {
        guard bytes[position] == UInt8(ascii: ":"), bytes[position...].starts(with: "://".utf8), position > 0,
            isWord(bytes[position - 1])
        else { return nil }
        let start = position + 3
        let end = bytes[start...].firstIndex { isBlank($0) || $0 == UInt8(ascii: "/") } ?? bytes.count
        guard let at = bytes[start..<end].lastIndex(of: UInt8(ascii: "@")), at > start else { return nil }
        return at + 1
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"): true
        default: false
        }
    }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        isWord(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "*")
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
