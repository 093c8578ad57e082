/// Reading whole documents, as MCP resources are.
package protocol DocumentReader: Sendable {
    /// Documents in id order after `id`, at most `limit`.
    func documents(after id: Int64, limit: Int) async throws -> [DocumentSummary]

    /// Nil when there is none with that id.
    func document(id: Int64) async throws -> Document?
}

/// A document in a list.
package struct DocumentSummary: Hashable, Sendable {
    /// Primary key.
    package let id: Int64
    /// Heading.
    package let title: String
    /// UTF-8 bytes of the text.
    package let bytes: Int

    /// Describes a document in a list.
    package init(id: Int64, title: String, bytes: Int) {
        self.id = id
        self.title = title
        self.bytes = bytes
    }
}
