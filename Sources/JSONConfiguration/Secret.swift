/// A value that must not be shown: printing it, in a log or in an error, gives a placeholder.
package struct Secret: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Value of the secret, to be read only where it is used.
    package let value: String

    /// Wraps a secret.
    package init(_ value: String) {
        self.value = value
    }

    package var description: String { "<redacted>" }
    package var debugDescription: String { "<redacted>" }
    /// Mirror without children, so that `dump` and string interpolation of an enclosing value do not show the secret.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
