/// Management of the documents from which answers are made.
package protocol DocumentLibrary: Sendable {
    /// Stores a document in place of those with the same URL, and indexes its passages. A document without a URL gets
    /// `/ai/document/ID/`.
    /// - Returns: Its id, and the number of replaced documents.
    @discardableResult
    func putDocument(_ document: Document) async throws -> (id: Int64, replaced: Int)

    /// Returns all documents in id order.
    func listDocuments() async throws -> [DocumentEntry]

    /// Removes a document and its passages; false when no document has that id.
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
    /// Number of passages into which the document is divided.
    package let passages: Int

    /// Creates the description of a stored document.
    package init(id: Int64, title: String, url: String, passages: Int) {
        self.id = id
        self.title = title
        self.url = url
        self.passages = passages
    }
}
