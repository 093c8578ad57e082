import HTTPSyntax
import JSON

/// HTTP header names of the Streamable HTTP transport, and the encoding of mirrored values.
package enum MCPHeader {
    /// Revision of the protocol, on every request after the handshake.
    package static let protocolVersion = "MCP-Protocol-Version"
    /// Identifier of a legacy session.
    package static let sessionID = "Mcp-Session-Id"
    /// Copy of the method (2026-07-28).
    package static let method = "Mcp-Method"
    /// Copy of the called name or URI (2026-07-28).
    package static let name = "Mcp-Name"
    /// Prefix of the name that a tool's `x-mcp-header` gives.
    package static let parameterPrefix = "Mcp-Param-"
    /// Last event that was received, to resume a stream.
    package static let lastEventID = "Last-Event-ID"

    private static let opening = "=?base64?"
    private static let closing = "?="

    /// Returns the header value for `text`: the text itself where a header can contain it, else `=?base64?…?=`. That is
    /// needed for a byte outside 0x20–0x7E, for white space at an edge, and for text that looks encoded itself.
    package static func encodeValue(_ text: String) -> String {
        let utf8 = text.utf8
        let isPlain = utf8.allSatisfy { (0x20...0x7E).contains($0) } && utf8.first != 0x20 && utf8.last != 0x20
        guard isPlain, !isWrapped(text) else { return opening + Base64.encode(utf8) + closing }
        return text
    }

    /// Returns the text of a received header value: white space at the edges is trimmed, `=?base64?…?=` is decoded,
    /// anything without the complete wrapper is literal.
    ///
    /// - Returns: Nil for a wrapper whose content is not Base64 of UTF-8, and for a literal with a byte that is neither
    ///   visible ASCII, space nor tab.
    package static func decodeValue(_ value: String) -> String? {
        // Servers have removed the white space around a value already.
        let isTrimmed = value.utf8.first.map { $0 > 0x20 } == true && value.utf8.last.map { $0 > 0x20 } == true
        let trimmed = isTrimmed ? value : String(value.trimmingWhiteSpace)
        guard isWrapped(trimmed) else {
            return trimmed.utf8.allSatisfy { (0x20...0x7E).contains($0) || $0 == 0x09 } ? trimmed : nil
        }
        let content = trimmed.utf8.dropFirst(opening.utf8.count).dropLast(closing.utf8.count)
        guard let bytes = Base64.decode(content) else { return nil }
        return String(validating: bytes, as: UTF8.self).map { CombiningMarks.bounded($0) }
    }

    private static func isWrapped(_ text: String) -> Bool {
        text.utf8.count >= opening.utf8.count + closing.utf8.count && text.hasPrefix(opening)
            && text.hasSuffix(closing)
    }
}
