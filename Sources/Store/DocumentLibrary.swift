/// Looking after the documents that answers are drawn from.
package protocol DocumentLibrary: Sendable {
    /// Stores a document in place of those with the same URL, and indexes its passages. A document without a URL gets
    /// `/ai/document/ID/`.
    /// - Returns: its id, and how many were replaced.
    @discardableResult
    func putDocument(_ document: Document) async throws -> (id: Int64, replaced: Int)

    /// All documents in id order.
    func listDocuments() async throws -> [DocumentEntry]

    /// Removes a document and its passages; false when there is none with that id.
    func removeDocument(id: Int64) async throws -> Bool
}

/// A stored document without its text.
package struct DocumentEntry: Hashable, Sendable {
    /// Primary key.
    package let id: Int64
    /// Heading.
    package let title: String
    /// URL of the page for people.
    package let url: String
    /// Number of passages that it is divided into.
    package let passages: Int

    /// Describes a stored document.
    package init(id: Int64, title: String, url: String, passages: Int) {
        self.id = id
        self.title = title
        self.url = url
        self.passages = passages
    }
}
