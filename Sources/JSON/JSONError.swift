/// Error in a text that is not acceptable JSON, with its place.
package struct JSONError: Error, Hashable, CustomStringConvertible {
    /// Kind of error.
    package enum Code: String, Hashable, Sendable {
        /// A byte that the grammar of RFC 8259 does not allow here.
        case syntax
        /// A byte sequence that is not UTF-8 (overlong forms, encoded surrogates, values above U+10FFFF).
        case invalidUTF8
        /// More levels of nesting than the limit allows.
        case tooDeep
        /// The text ends inside a value, or is empty.
        case unexpectedEnd
        /// Something other than white space follows the value.
        case trailingBytes
        /// The text is valid, but its value is not an object.
        case notAnObject
        /// The text is longer than 2 GiB - 1, the range of a slice's offsets.
        case tooLarge
    }

    /// Kind of error.
    package let code: Code
    /// Offset in bytes from the start of the text.
    package let offset: Int

    /// Describes an error at a byte of the text.
    package init(_ code: Code, at offset: Int) {
        self.code = code
        self.offset = offset
    }

    package var description: String {
        switch code {
        case .syntax: "unexpected character at byte \(offset)"
        case .invalidUTF8: "invalid UTF-8 at byte \(offset)"
        case .tooDeep: "nested too deeply at byte \(offset)"
        case .unexpectedEnd: "unexpected end at byte \(offset)"
        case .trailingBytes: "unexpected content after the value at byte \(offset)"
        case .notAnObject: "not an object"
        case .tooLarge: "too large"
        }
    }
}
