/// An error in a configuration: its place, the expected value and the value that was found.
package struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Dotted path of the key, such as `chat.types.search_any.timeout`; empty for the document itself.
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

/// All errors in a configuration, in the order in which it was read.
package struct ConfigurationErrors: Error, Hashable, Sendable, CustomStringConvertible {
    /// All errors, in the order of the document.
    package let errors: [ConfigurationError]

    /// Collects the errors of a document.
    package init(_ errors: [ConfigurationError]) {
        self.errors = errors
    }

    /// All errors in one line, which a process can print before it exits.
    package var description: String {
        errors.map(\.description).joined(separator: "; ")
    }
}
