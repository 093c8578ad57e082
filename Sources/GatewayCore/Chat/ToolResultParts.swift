import JSON
import MCP

/// Members of a `CallToolResult` that a reply is made of. Of duplicate members the last counts.
struct ToolResultParts {
    /// Structured content; nil when absent or null.
    private(set) var structured: JSONSlice?
    private(set) var content: JSONSlice?
    private(set) var isError = false
    /// HTTP status that the tool declares: 4xx or 503.
    private(set) var declaredStatus: Int?

    init(_ result: JSONSlice, in bytes: UnsafeRawBufferPointer) {
        var meta: JSONSlice?
        JSONScanner.members(of: result, in: bytes) { member in
            if JSONText.equals(member.key, "structuredContent", in: bytes) {
                structured = member.value.kind == .null ? nil : member.value
            } else if JSONText.equals(member.key, "content", in: bytes) {
                content = member.value
            } else if JSONText.equals(member.key, "isError", in: bytes) {
                isError = member.value.kind == .bool && member.value.count == 4
            } else if JSONText.equals(member.key, "_meta", in: bytes) {
                meta = member.value
            }
            return true
        }
        if let meta, let status = JSONScanner.member("dev.chatgateway/status", of: meta, in: bytes),
            let code = Int(JSONText.source(status, in: bytes)), CallToolResult.mayDeclare(code)
        {
            declaredStatus = code
        }
    }

    /// Largest number of blocks of content that are read.
    private static let maximumBlocks = 10_000

    /// Returns the text of each text block; where there is none, a description of each block of another kind. Nil where
    /// there are more blocks than are read. Called only where needed: usually the text repeats the structured result.
    func texts(in bytes: UnsafeRawBufferPointer) -> [ContentText]? {
        guard let content else { return [] }
        var texts: [ContentText] = []
        var others: [JSONSlice] = []
        var blocks = 0
        JSONScanner.elements(of: content, in: bytes) { block in
            blocks += 1
            guard blocks <= Self.maximumBlocks else { return false }
            let kind = JSONScanner.member("type", of: block, in: bytes)
            if let kind, JSONText.equals(kind, "text", in: bytes) {
                if let text = JSONScanner.member("text", of: block, in: bytes), text.kind == .string {
                    texts.append(.written(text))
                }
            } else {
                others.append(block)
            }
            return true
        }
        guard blocks <= Self.maximumBlocks else { return nil }
        return texts.isEmpty ? others.compactMap { ContentText(block: $0, in: bytes) } : texts
    }
}

/// A text of a tool's result: as it stands in the message, or a description of content other than text.
enum ContentText {
    /// A JSON string of the message.
    case written(JSONSlice)
    /// The content of a JSON string, without its quotes.
    case made([UInt8])

    /// Creates the description of a block other than text; nil for an unknown kind, or one without its required
    /// members.
    ///
    /// An embedded resource with a text becomes that text. Otherwise: `image (image/png, 1024 bytes)`, `audio (…)`,
    /// `URI (application/pdf, 1024 bytes)` for an embedded resource, `Title: URI` for a link.
    init?(block: JSONSlice, in bytes: UnsafeRawBufferPointer) {
        func text(_ name: StaticString, of object: JSONSlice) -> String? {
            guard let value = JSONScanner.member(name, of: object, in: bytes), value.kind == .string else { return nil }
            return JSONText.string(value, in: bytes)
        }
        func size(_ name: StaticString, of object: JSONSlice) -> Int? {
            JSONScanner.member(name, of: object, in: bytes).flatMap { Self.decodedSize($0, in: bytes) }
        }
        switch text("type", of: block) {
        case "resource":
            guard let resource = JSONScanner.member("resource", of: block, in: bytes) else { return nil }
            if let written = JSONScanner.member("text", of: resource, in: bytes), written.kind == .string {
                self = .written(written)
                return
            }
            guard let uri = text("uri", of: resource) else { return nil }
            self.init(uri, text("mimeType", of: resource), size("blob", of: resource))
        case "resource_link":
            guard let uri = text("uri", of: block) else { return nil }
            let title = [text("title", of: block), text("name", of: block)].compactMap(\.self).first { !$0.isEmpty }
            self.init(words: title.map { $0 == uri ? uri : "\($0): \(uri)" } ?? uri)
        case "image": self.init("image", text("mimeType", of: block), size("data", of: block))
        case "audio": self.init("audio", text("mimeType", of: block), size("data", of: block))
        default: return nil
        }
    }

    private init(_ name: String, _ type: String?, _ size: Int?) {
        let facts = [type, size.map { $0 == 1 ? "1 byte" : "\($0) bytes" }].compactMap(\.self)
        self.init(words: facts.isEmpty ? name : "\(name) (\(facts.joined(separator: ", ")))")
    }

    private init(words: String) {
        self = .made(Array(JSONText.quoted(words).dropFirst().dropLast()))
    }

    /// Returns the number of bytes that a Base64 string encodes, with or without padding.
    private static func decodedSize(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Int? {
        guard slice.kind == .string else { return nil }
        let content = bytes[slice.content]
        let padding = content.suffix(2).count { $0 == UInt8(ascii: "=") }
        return (content.count - padding) / 4 * 3 + max(0, (content.count - padding) % 4 - 1)
    }

    /// Calls `body` with the content of the JSON string, escapes unchanged.
    func withContent(in bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        switch self {
        case .written(let slice): body(UnsafeRawBufferPointer(rebasing: bytes[slice.content]))
        case .made(let content): content.withUnsafeBytes(body)
        }
    }

    /// Returns the decoded text, as UTF-8.
    func unescaped(in bytes: UnsafeRawBufferPointer) -> [UInt8] {
        switch self {
        case .written(let slice):
            var text: [UInt8] = []
            JSONText.appendUnescaped(slice, in: bytes, to: &text)
            return text
        case .made(let content):
            // The description was quoted when it was made, so that it is valid.
            let quoted = [UInt8(ascii: "\"")] + content + [UInt8(ascii: "\"")]
            return Array(((try? JSONValue(parsing: quoted))?.string ?? "").utf8)
        }
    }

    /// Largest number of bytes of the content.
    var count: Int {
        switch self {
        case .written(let slice): slice.count
        case .made(let content): content.count
        }
    }
}
