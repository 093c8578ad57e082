import JSONConfiguration

/// Types that the upstream's own tools give: the type's name is the tool's, its fields are the arguments of the input
/// schema. They come and go with the tools. A configured type of the same name wins.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `upstream` | string | `tools`, else the only one | the upstream whose tools they are |
/// | `allow` | list | empty | tools by name; `*` stands for any text |
/// | `deny` | list | empty | tools that are left out all the same |
/// | `timeout` | duration | 10 s | from the request's first byte to the answer; of a streamed one: between events |
/// | `streamTimeout` | duration | 10 min | from the request's first byte to the end of a streamed answer |
/// | `limit` | integer | 100 | types at most; further tools are left out |
/// | `reply` | section | – | ``ChatReplyConfiguration`` |
/// | `useToolStatus` | boolean | false | whether a 4xx that the tool declares is the answer's; 503 always is |
package struct ToolTypesConfiguration: Hashable, Sendable {
    /// Name of the upstream whose tools become types.
    package let upstream: String
    /// Patterns of tools that become types.
    package let allow: [NamePattern]
    /// Patterns of tools that do not.
    package let deny: [NamePattern]
    /// Time limit of a call.
    package let timeout: Duration
    /// Time limit of a streamed answer.
    package let streamTimeout: Duration
    /// Largest number of types.
    package let limit: Int
    /// Shape of the reply.
    package let reply: ChatReplyConfiguration
    /// Use of the HTTP status that a tool's error names.
    package let useToolStatus: Bool

    init(_ reader: ConfigurationReader, upstream: String) {
        self.upstream = reader.string(
            "upstream", default: upstream,
            "Upstream whose tools they are. Default: the one named tools, else the only one.")
        allow = reader.strings("allow", default: [], "Names of tools; * stands for any text.").map(NamePattern.init)
        deny = reader.strings("deny", default: [], "Names of tools that are left out all the same.")
            .map(NamePattern.init)
        timeout = reader.duration(
            "timeout", default: .seconds(10), in: .milliseconds(1)...(.seconds(3600)),
            ChatTypeConfiguration.timeoutDocumentation)
        streamTimeout = reader.duration(
            "streamTimeout", default: ChatTypeConfiguration.standardStreamTimeout,
            in: .milliseconds(1)...(.seconds(86_400)), ChatTypeConfiguration.streamTimeoutDocumentation)
        limit = reader.integer("limit", default: 100, in: 1...1000, "Types at most; further tools are left out.")
        reply = reader.section("reply", "How a tool's result becomes replies.") { ChatReplyConfiguration($0) }
        useToolStatus = reader.bool(
            "useToolStatus", default: false,
            "Whether a 4xx status that a tool declares for its error is used; 503 always is.")
    }

    /// Returns true if a tool may be a type.
    package func includes(_ tool: String) -> Bool {
        allow.contains { $0.matches(tool) } && !deny.contains { $0.matches(tool) }
    }
}

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
