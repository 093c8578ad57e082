/// One thing wrong with a configuration: where it is, what was expected there and what was found.
package struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The key's dotted path, such as `chat.types.search_any.timeout`; empty for the document itself.
    package let path: String
    /// What a valid value looks like.
    package let expected: String
    /// What stood there instead, shortened; a secret's value is never shown.
    package let found: String

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
    package let errors: [ConfigurationError]

    package init(_ errors: [ConfigurationError]) {
        self.errors = errors
    }

    /// All errors in one line, so that it can be the one line that a process prints before it exits.
    package var description: String {
        errors.map(\.description).joined(separator: "; ")
    }
}
