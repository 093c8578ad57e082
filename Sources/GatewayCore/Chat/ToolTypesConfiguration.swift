import JSONConfiguration
package import MCPAggregator

/// Types that the upstream's own tools provide: the type's name is the tool's, its fields are the arguments of the
/// input schema. They appear and disappear with the tools. A configured type of the same name takes precedence.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `upstream` | string | `tools`, else the only one | upstream whose tools become types |
/// | `allow` | list | empty | names of the tools that become types; `*` stands for any text |
/// | `deny` | list | empty | names of tools that are left out even if `allow` matches |
/// | `timeout` | duration | 10 s | from the request's first byte to the answer; of a streamed one: between events |
/// | `streamTimeout` | duration | 10 min | from the request's first byte to the end of a streamed answer |
/// | `limit` | integer | 100 | largest number of types; further tools are left out |
/// | `reply` | section | – | ``ChatReplyConfiguration`` |
/// | `useToolStatus` | boolean | false | a 4xx status that the tool declares becomes the answer's; 503 always does |
package struct ToolTypesConfiguration: Hashable, Sendable {
    /// Name of the upstream whose tools become types.
    package let upstream: String
    /// Patterns of tools that become types.
    package let allow: [NamePattern]
    /// Patterns of tools that do not become types.
    package let deny: [NamePattern]
    /// Time limit of a call.
    package let timeout: Duration
    /// Time limit of a streamed answer.
    package let streamTimeout: Duration
    /// Largest number of types.
    package let limit: Int
    /// Shape of the reply.
    package let reply: ChatReplyConfiguration
    /// Permission for the tool's error to set the HTTP status.
    package let useToolStatus: Bool

    init(_ reader: ConfigurationReader, upstream: String) {
        self.upstream = reader.string(
            "upstream", default: upstream,
            "Name of the upstream. Default: the one named tools, else the only one.")
        allow = reader.strings(
            "allow", default: [], "Names of the tools that become types; * matches any run of characters."
        ).map(NamePattern.init)
        deny = reader.strings("deny", default: [], "Names of tools that are left out; they win over allow.")
            .map(NamePattern.init)
        timeout = reader.duration(
            "timeout", default: .seconds(10), in: .milliseconds(1)...(.seconds(3600)),
            ChatTypeConfiguration.timeoutDocumentation)
        streamTimeout = reader.duration(
            "streamTimeout", default: ChatTypeConfiguration.standardStreamTimeout,
            in: .milliseconds(1)...(.seconds(86_400)), ChatTypeConfiguration.streamTimeoutDocumentation)
        limit = reader.integer(
            "limit", default: 100, in: 1...1000, "Largest number of such types; further tools are left out.")
        reply = reader.section("reply", "Conversion of a tool's result into replies.") { ChatReplyConfiguration($0) }
        useToolStatus = reader.bool(
            "useToolStatus", default: false,
            "true: a 4xx status that a tool declares for its error is the status of the answer; otherwise it is 400. "
                + "A declared 503 is always used.")
    }

    /// Returns whether a tool may be a type.
    package func includes(_ tool: String) -> Bool {
        allow.contains { $0.matches(tool) } && !deny.contains { $0.matches(tool) }
    }
}
