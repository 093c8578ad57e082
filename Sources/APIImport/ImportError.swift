/// Reason why a document cannot be imported.
package struct ImportError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Sentence for the person who runs the import.
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Result of an import: configuration to review, and a note on everything that it does not express.
package struct ImportedConfiguration: Sendable {
    /// The section, ready to be printed.
    package let text: String
    /// Lines for standard error: one for each omission, guess and placeholder.
    package let notes: [String]
}

/// Collected notes, each only once.
struct ImportNotes {
    static let maximum = 20_000

    private(set) var lines: [String] = []
    private var known: Set<String> = []

    /// Adds a note about a place of the document.
    mutating func add(_ place: String, _ text: String) {
        let line = "\(ImportText.cut(place, 200)): \(text)"
        guard lines.count <= Self.maximum, known.insert(line).inserted else { return }
        lines.append(lines.count < Self.maximum ? line : "and more: the list is cut at \(Self.maximum) lines")
    }
}
