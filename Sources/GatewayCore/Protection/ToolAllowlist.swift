import JSONConfiguration
import MCPAggregator

/// Tools that may be called through the pass-through: `allow` (default `["*"]`) and `deny` (default none), names with
/// `*` for any run of characters. `deny` wins. The types of `/api/chat/` are not affected.
package struct ToolAllowlist: Hashable, Sendable {
    let allow: [NamePattern]
    let deny: [NamePattern]
    /// Largest length of a name, in bytes; a longer one is refused without matching the patterns.
    static let longestName = 512

    init(_ reader: ConfigurationReader) {
        let allow = reader.strings(
            "allow", default: ["*"],
            "Names of the tools that may be listed and called; * matches any run of characters.")
        let deny = reader.strings("deny", default: [], "Names of the tools that are hidden; they win over allow.")
        for (key, patterns) in [("allow", allow), ("deny", deny)] {
            for pattern in patterns where pattern.isEmpty || pattern.utf8.count > Self.longestName {
                reader.fail(
                    key, expected: "names of 1 to \(Self.longestName) bytes", found: "\"\(pattern.prefix(80))\"")
            }
        }
        self.init(allow: allow, deny: deny)
    }

    init(allow: [String], deny: [String]) {
        self.allow = allow.map { NamePattern($0) }
        self.deny = deny.map { NamePattern($0) }
    }

    func allows(_ name: String) -> Bool {
        guard name.utf8.count <= Self.longestName else { return false }
        return allow.contains { $0.matches(name) } && !deny.contains { $0.matches(name) }
    }
}
