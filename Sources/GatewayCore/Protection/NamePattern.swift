/// A name in which `*` stands for any text, also none.
package struct NamePattern: Hashable, Sendable {
    /// Pattern as it was written; `*` stands for any characters.
    package let text: String

    /// Parses a pattern.
    package init(_ text: String) {
        self.text = text
    }

    /// Returns true if the pattern matches a whole name.
    package func matches(_ name: String) -> Bool {
        let pattern = Array(text.utf8)
        let name = Array(name.utf8)
        var (place, at) = (0, 0)
        // Where to go on when the rest does not fit: behind the last star, one byte further in the name.
        var retry: (place: Int, at: Int)?
        while at < name.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                retry = (place, at)
                place += 1
            } else if place < pattern.count, pattern[place] == name[at] {
                place += 1
                at += 1
            } else if let (star, start) = retry {
                retry = (star, start + 1)
                place = star + 1
                at = start + 1
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
