/// Comparison of a secret with a presented one.
package enum SecretComparison {
    /// Returns whether the bytes are equal. All bytes of `expected` are compared with the same work, wherever the first
    /// difference is; the time depends only on the length of `presented`.
    package static func equal(_ presented: some Collection<UInt8>, _ expected: some Collection<UInt8>) -> Bool {
        var difference: UInt8 = presented.count == expected.count ? 0 : 1
        var index = presented.startIndex
        for byte in expected {
            if index == presented.endIndex {
                difference |= 1
            } else {
                difference |= byte ^ presented[index]
                presented.formIndex(after: &index)
            }
        }
        return difference == 0
    }
}

/// Names of scopes.
package enum ScopeName {
    /// Returns whether the text is a `scope-token` of RFC 6749, section 3.3, of at most 100 characters.
    package static func isValid(_ text: String) -> Bool {
        (1...100).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }
    }

    /// Returns the scopes in a text that separates them with spaces.
    package static func list(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }
}
