/// A name quoted as an SQL identifier.
package struct SQLIdentifier: CustomStringConvertible {
    package let description: String

    /// Quotes a name.
    package init(_ name: String) {
        description = "\"" + name.replacing("\"", with: "\"\"") + "\""
    }
}
