import Foundation

/// Secrets of a process, which no line of its log shows. Compared byte by byte: a `String` would compare composed and
/// decomposed characters as equal.
struct Redaction: Sendable {
    private static let replacement = Array("<redacted>".utf8)

    /// Longest first: a secret that begins like a longer one must not leave that one's end readable.
    private var secrets: [[UInt8]] = []

    /// Adds a secret. Values under 6 bytes are not taken: replacing them everywhere would make the log unreadable and say
    /// where they stood.
    mutating func add(_ secret: String) {
        let bytes = Array(secret.utf8)
        guard bytes.count >= 6, !secrets.contains(bytes) else { return }
        secrets.append(bytes)
        secrets.sort { $0.count > $1.count }
    }

    /// Tells whether a secret stands somewhere in the text.
    func occurs(in text: UnsafeRawBufferPointer) -> Bool {
        secrets.contains { Self.position(of: $0, in: text, from: 0) != nil }
    }

    /// Returns the text with `<redacted>` in the place of each secret.
    func redacted(_ text: String) -> String {
        var text = text
        guard text.withUTF8({ occurs(in: UnsafeRawBufferPointer($0)) }) else { return text }
        var bytes = Array(text.utf8)
        for secret in secrets { bytes = Self.replaced(secret, in: bytes) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func replaced(_ secret: [UInt8], in text: [UInt8]) -> [UInt8] {
        text.withUnsafeBytes { text in
            var result: [UInt8] = []
            var start = 0
            while let position = position(of: secret, in: text, from: start) {
                result.append(contentsOf: text[start..<position])
                result.append(contentsOf: replacement)
                start = position + secret.count
            }
            result.append(contentsOf: text[start...])
            return result
        }
    }

    private static func position(of secret: [UInt8], in text: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard let base = text.baseAddress, let first = secret.first else { return nil }
        var position = start
        while position + secret.count <= text.count {
            let candidates = text.count - secret.count - position + 1
            guard let found = memchr(base + position, Int32(truncatingIfNeeded: first), candidates) else { return nil }
            position = base.distance(to: UnsafeRawPointer(found))
            if memcmp(found, secret, secret.count) == 0 { return position }
            position += 1
        }
        return nil
    }
}
