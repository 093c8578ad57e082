/// A value that must not be seen: printing it, in a log or in an error, gives a placeholder.
package struct Secret: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The secret itself. Read it where it is used, and nowhere else.
    package let value: String

    /// Wraps a secret.
    package init(_ value: String) {
        self.value = value
    }

    package var description: String { "<redacted>" }
    package var debugDescription: String { "<redacted>" }
    /// Keeps `dump` and string interpolation of an enclosing value from showing the secret.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
