/// One thing wrong with a configuration: where it is, what was expected there and what was found.
package struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The key's dotted path, such as `chat.types.search_any.timeout`; empty for the document itself.
    package let path: String
    /// Description of a valid value.
    package let expected: String
    /// Value that was found, shortened; a secret's value is never shown.
    package let found: String

    /// Describes a faulty value.
    package init(path: String, expected: String, found: String) {
        self.path = path
        self.expected = expected
        self.found = found
    }

    package var description: String {
        "\(path.isEmpty ? "the document" : path): expected \(expected), found \(found)"
    }
}

/// Everything wrong with a configuration, in the order in which it was read.
package struct ConfigurationErrors: Error, Hashable, Sendable, CustomStringConvertible {
    /// All errors, in the order of the document.
    package let errors: [ConfigurationError]

    /// Collects the errors of a document.
    package init(_ errors: [ConfigurationError]) {
        self.errors = errors
    }

    /// All errors in one line, so that it can be the one line that a process prints before it exits.
    package var description: String {
        errors.map(\.description).joined(separator: "; ")
    }
}
