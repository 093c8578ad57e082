/// Text that is compared and hashed byte by byte.
///
/// Swift's own comparison considers two Unicode spellings of a letter (`é` as one scalar or as two) equal. A name from
/// outside (a key of a JSON object, a tool, a user) means only its own bytes.
package struct ExactString: Hashable, Sendable, CustomStringConvertible {
    /// The text itself.
    package let text: String

    /// Wraps `text`.
    package init(_ text: String) {
        self.text = text
    }

    /// Returns whether both texts have the same bytes.
    package static func == (left: ExactString, right: ExactString) -> Bool {
        // Most names differ in length.
        guard left.text.utf8.count == right.text.utf8.count else { return false }
        var (left, right) = (left.text, right.text)
        return left.withUTF8 { left in
            right.withUTF8 { JSONText.areEqual(UnsafeRawBufferPointer(left), UnsafeRawBufferPointer($0)) }
        }
    }

    /// Hashes the bytes.
    package func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }

    /// The text itself.
    package var description: String { text }
}
