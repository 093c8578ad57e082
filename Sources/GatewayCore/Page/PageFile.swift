import CChatPage
import Crypto
import NIOCore

/// A static file of the page: uncompressed and compressed, each with its own entity tag.
struct PageFile: Sendable {
    let name: String
    let contentType: String
    /// Hash of the content, which references to the file carry.
    let version: String
    let body: ByteBuffer
    /// Content compressed with gzip; nil where that is not smaller.
    let compressed: ByteBuffer?

    /// Strong entity tag (RFC 9110 section 8.8.3); the two representations have different ones.
    var entityTag: String { "\"\(version)\"" }
    var compressedEntityTag: String { "\"\(version)-gzip\"" }

    var isDocument: Bool { contentType.hasPrefix("text/html") }

    init(name: String, bytes: [UInt8]) {
        self.name = name
        contentType = Self.contentType(of: name)
        version = SHA256.hash(data: bytes).prefix(8).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
        body = ByteBuffer(bytes: bytes)
        compressed = Self.gzip(bytes).map { ByteBuffer(bytes: $0) }
    }

    private static func gzip(_ bytes: [UInt8]) -> [UInt8]? {
        // Small files hardly shrink: the header would cost more than is saved.
        guard bytes.count > 256 else { return nil }
        let output = [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, count in
            count = compress(bytes, buffer)
        }
        return output.isEmpty ? nil : output
    }

    private static func contentType(of name: String) -> String {
        switch name.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "js": "text/javascript; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "svg": "image/svg+xml"
        default: "text/plain; charset=utf-8"
        }
    }
}

private func compress(_ bytes: [UInt8], _ output: UnsafeMutableBufferPointer<UInt8>) -> Int {
    bytes.withUnsafeBufferPointer { input in
        guard let source = input.baseAddress, let target = output.baseAddress else { return 0 }
        return chat_page_gzip(source, input.count, target, output.count)
    }
}
