/// Access to whole documents, as MCP resources.
package protocol DocumentReader: Sendable {
    /// Returns documents in id order after `id`, at most `limit`.
    func documents(after id: Int64, limit: Int) async throws -> [DocumentSummary]

    /// Returns a document; nil when none has that id.
    func document(id: Int64) async throws -> Document?
}

/// A document in a list.
package struct DocumentSummary: Hashable, Sendable {
    /// Primary key.
    package let id: Int64
    /// Heading.
    package let title: String
    /// Size of the text, in bytes of UTF-8.
    package let bytes: Int

    /// Creates the description of a document.
    package init(id: Int64, title: String, bytes: Int) {
        self.id = id
        self.title = title
        self.bytes = bytes
    }
}
