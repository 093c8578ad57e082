/// Scopes of a request, each once, in the order in which they were first named (RFC 6749, section 3.3).
package struct ScopeSet: Hashable, Sendable {
    /// Names of the scopes.
    package private(set) var names: [String] = []

    /// Largest number of scopes.
    package static let limit = 64
    /// Longest name of a scope, in bytes.
    private static let nameLimit = 256

    /// Creates an empty set.
    package init() {}

    /// Reads scopes separated by spaces. What is not a scope's name is left out, and so are scopes beyond the limit.
    package init(_ text: String) {
        self.init(text.split(separator: " ").map(String.init))
    }

    /// Creates a set of names. What is not a scope's name is left out, and so are scopes beyond the limit.
    package init(_ names: [String]) {
        for name in names where self.names.count < Self.limit && Self.isName(name) && !self.names.contains(name) {
            self.names.append(name)
        }
    }

    /// The scopes as a parameter's value; nil for none.
    package var parameter: String? { names.isEmpty ? nil : names.joined(separator: " ") }

    /// Returns the scopes of both, this set's first, at most as many as the limit.
    package func union(_ other: ScopeSet) -> ScopeSet { ScopeSet(names + other.names) }

    /// Returns whether every scope of another set is in this one.
    package func contains(_ other: ScopeSet) -> Bool { other.names.allSatisfy(names.contains) }

    private static func isName(_ name: String) -> Bool {
        (1...nameLimit).contains(name.utf8.count)
            && name.utf8.allSatisfy { $0 == 0x21 || (0x23...0x5B).contains($0) || (0x5D...0x7E).contains($0) }
    }
}
