/// A pattern of names in which `*` matches any run of characters, compared byte by byte.
package struct NamePattern: Hashable, Sendable {
    /// Pattern as it was written.
    package let text: String

    /// Reads a pattern; every text is valid.
    package init(_ text: String) {
        self.text = text
    }

    /// Returns whether the pattern matches the whole name, in time linear in the product of both lengths.
    package func matches(_ name: String) -> Bool {
        let pattern = Array(text.utf8)
        let name = Array(name.utf8)
        var (place, at) = (0, 0)
        // The position after the last star, and the byte of the name from which to continue when the rest does not
        // match.
        var resumption: (place: Int, at: Int)?
        while at < name.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                resumption = (place, at)
                place += 1
            } else if place < pattern.count, pattern[place] == name[at] {
                place += 1
                at += 1
            } else if let (star, start) = resumption {
                resumption = (star, start + 1)
                place = star + 1
                at = start + 1
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
