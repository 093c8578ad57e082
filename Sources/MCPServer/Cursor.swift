package import JSON
package import MCP

/// Opaque positions in lists: the list's name and the last entry before the page.
///
/// A cursor names an entry and not an offset, so that a list that grows or shrinks between two pages repeats and skips
/// nothing; a cursor whose entry was removed is invalid, and the client starts over.
package enum Cursor {
    static func encode(_ list: String, _ position: String) -> String {
        Base64URL.encode("\(list)\n\(position)".utf8)
    }

    /// Decodes a cursor. Error: -32602 for anything that ``encode(_:_:)`` did not make for this list.
    static func decode(_ list: String, _ value: JSONValue?) throws(JSONRPCError) -> String? {
        guard let value, !value.isNull else { return nil }
        guard let text = value.string, let bytes = Base64URL.decode(text),
            let decoded = String(validating: bytes, as: UTF8.self)
        else { throw invalid }
        let parts = decoded.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == list else { throw invalid }
        return String(parts[1])
    }

    static var invalid: JSONRPCError {
        .invalidParams("Invalid cursor")
    }

    /// Returns one page of a list whose entries have unique names, and the cursor of the next.
    ///
    /// - Throws: -32602 for a cursor that does not belong to this list, or whose entry was removed.
    package static func page<Entry>(
        _ entries: [Entry], of list: String, size: Int, cursor: JSONValue?, name: (Entry) -> String
    ) throws(JSONRPCError) -> (entries: ArraySlice<Entry>, next: String?) {
        var start = 0
        if let last = try decode(list, cursor) {
            guard let index = entries.firstIndex(where: { name($0) == last }) else { throw invalid }
            start = index + 1
        }
        let end = min(start + max(size, 1), entries.count)
        let page = entries[start..<end]
        guard end < entries.count, let last = page.last else { return (page, nil) }
        return (page, encode(list, name(last)))
    }
}
