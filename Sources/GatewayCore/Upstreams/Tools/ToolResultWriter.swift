import CurlTransport
import JSON
import NIOCore

/// Converts the response of an old backend or an HTTP API into the result of a tool call, around the server's own
/// bytes.
enum ToolResultWriter {
    /// Error for a response that cannot be converted into a result.
    struct Invalid: Error {
        let detail: String
    }

    /// Returns the `CallToolResult` of a successful response.
    ///
    /// - Parameter alwaysWraps: True if an object becomes `{"results": …}` too, as with the old chat API.
    static func result(
        _ response: CurlResponse, path: [String], limit: Int, alwaysWraps: Bool
    ) throws(Invalid) -> ByteBuffer {
        if response.status == 204 || response.body.readableBytes == 0 {
            return structured(Array("null".utf8)[...], wraps: true)
        }
        let kind = ContentKind(response.headers.first(name: "Content-Type"))
        guard kind != .other else { throw Invalid(detail: "the answer is neither JSON nor text") }
        return try response.body.withUnsafeReadableBytes { (bytes) throws(Invalid) in
            var scanner = JSONScanner(bytes, maximumDepth: 128)
            guard kind != .text, let document = try? scanner.document() else {
                if kind == .json { throw Invalid(detail: "the answer is not JSON") }
                return text(String(decoding: bytes, as: UTF8.self), isError: false)
            }
            var value = document
            for name in path {
                guard let next = JSONScanner.member(name, of: value, in: bytes) else {
                    throw Invalid(detail: "the answer has no \"\(path.joined(separator: "."))\"")
                }
                value = next
            }
            let end = JSONScanner.end(of: value, cutAfter: limit, in: bytes)
            var json = Array(bytes[value.lowerBound..<(end ?? value.upperBound)])
            if end != nil { json.append(UInt8(ascii: "]")) }
            return structured(json[...], wraps: alwaysWraps || value.kind != .object)
        }
    }

    /// Returns an `isError` result with the message of a 4xx response.
    static func error(_ response: CurlResponse) -> ByteBuffer {
        let body = response.body
        let message = body.withUnsafeReadableBytes { bytes -> String? in
            guard bytes.count <= errorLimit, let tree = try? JSONValue(parsing: bytes) else { return nil }
            let candidates = [
                tree["message"], tree["error"]?["message"], tree["error"], tree["detail"], tree["title"],
            ]
            return candidates.lazy.compactMap { $0?.string }.first { !$0.isEmpty }
        }
        let plain = String(decoding: body.readableBytesView.prefix(messageLimit), as: UTF8.self)
        let text = message.map { String(decoding: $0.utf8.prefix(messageLimit), as: UTF8.self) } ?? plain
        return self.text(text.isEmpty ? "The server answered \(response.status)" : text, isError: true)
    }

    /// Largest body, in bytes, of which a message is read; of a larger one the beginning is the text.
    private static let errorLimit = 256 << 10
    /// Largest length of an error's text, in bytes.
    private static let messageLimit = 4096

    /// Returns a result of text only.
    static func text(_ text: String, isError: Bool) -> ByteBuffer {
        var out = ByteBuffer()
        out.writeStaticString(#"{"content":[{"type":"text","text":"#)
        out.writeBytes(JSONText.quoted(text))
        out.writeStaticString(isError ? #"}],"isError":true}"# : "}]}")
        return out
    }

    /// Returns structured content, with the same content as text.
    private static func structured(_ json: ArraySlice<UInt8>, wraps: Bool) -> ByteBuffer {
        let content = wraps ? Array(#"{"results":"#.utf8) + json + [UInt8(ascii: "}")] : Array(json)
        var out = ByteBufferAllocator().buffer(capacity: content.count * 2 + 96)
        out.writeStaticString(#"{"content":[{"type":"text","text":"#)
        out.writeBytes(content.withUnsafeBytes { JSONText.quoted($0) })
        out.writeStaticString(#"}],"structuredContent":"#)
        out.writeBytes(content)
        out.writeStaticString("}")
        return out
    }

    /// Kind of a body by its media type.
    private enum ContentKind {
        case json, text, unknown, other

        init(_ contentType: String?) {
            guard let contentType else {
                self = .unknown
                return
            }
            let type = contentType.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
            if type == "application/json" || type == "text/json" || type.hasSuffix("+json") {
                self = .json
            } else if type.hasPrefix("text/") || type == "application/xml" || type.hasSuffix("+xml") {
                self = .text
            } else {
                self = .other
            }
        }
    }
}
