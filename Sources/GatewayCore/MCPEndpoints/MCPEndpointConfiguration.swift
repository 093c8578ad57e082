import JSONConfiguration

/// The MCP endpoints that the gateway serves itself.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `endpoints` | map | empty | ``MCPEndpointConfiguration`` by path |
/// | `lock` | path | none | the same as the top-level `lock` |
package struct MCPConfiguration: Hashable, Sendable {
    /// Endpoints in the order of the file.
    package let endpoints: [MCPEndpointConfiguration]
    /// Path of the lock file; nil: none.
    package let lock: String?

    init(_ reader: ConfigurationReader) {
        endpoints = reader.map("endpoints", "MCP endpoints over one or more upstreams, by path.", of: "path") {
            path, reader in
            MCPEndpointConfiguration(path: path, reader)
        }.map(\.value)
        lock = reader.optionalString("lock", "The same as the top-level key lock.")
    }
}

/// One MCP endpoint: the upstreams whose tools, prompts and resources it offers.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `upstreams` | map | – | ``Member`` by the upstream's name |
/// | `stale` | duration | 5 min | time for which entries of an unreachable upstream are still listed |
/// | `timeout` | duration | 5 min | longest pause of an upstream during a call |
/// | `questionTimeout` | duration | 2 min | time that a client has to answer a legacy server's question |
package struct MCPEndpointConfiguration: Hashable, Sendable {
    /// An upstream as a member of an endpoint.
    ///
    /// | key | type | default | meaning |
    /// |---|---|---|---|
    /// | `prefix` | string | empty | text in front of the names of the upstream's tools and prompts |
    /// | `allow` | list | `*` | patterns of the tool names that are listed |
    /// | `deny` | list | empty | patterns of the tool names that are hidden |
    package struct Member: Hashable, Sendable {
        /// Name of the upstream.
        package let upstream: String
        /// Text in front of the names of its tools and prompts.
        package let prefix: String
        /// Patterns of the tool names that are shown.
        package let allow: [String]
        /// Patterns of the tool names that are hidden.
        package let deny: [String]

        init(upstream: String, allow: [String], deny: [String]) {
            self.upstream = upstream
            prefix = ""
            self.allow = allow
            self.deny = deny
        }

        init(upstream: String, _ reader: ConfigurationReader) {
            self.upstream = upstream
            prefix = reader.string(
                "prefix", default: "", "Text in front of the names of the upstream's tools and prompts.")
            allow = reader.strings(
                "allow", default: ["*"],
                "Patterns of the upstream's own tool names that are listed and may be called; * matches any run of "
                    + "characters.")
            deny = reader.strings(
                "deny", default: [],
                "Patterns of the upstream's own tool names that are hidden; they win over allow.")
            if prefix.utf8.count > 64 || !prefix.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
                reader.fail(
                    "prefix", expected: "at most 64 visible ASCII characters", found: "\"\(prefix.prefix(80))\"")
            }
        }
    }

    /// Path with its slashes, such as `/mcp/`; it is served with and without the last one.
    package let path: String
    /// The path without its last slash.
    package let base: String
    /// Members in the order in which their entries are listed.
    package let members: [Member]
    /// Time for which the entries of an upstream that is away are shown.
    package let stale: Duration
    /// Longest silence of an upstream during a request.
    package let timeout: Duration
    /// Time that a client has to answer a legacy server's question.
    package let questionTimeout: Duration

    /// Describes an endpoint over one upstream, with the defaults.
    init(path: String, upstream: String, allow: [String], deny: [String]) {
        self.path = path
        base = Self.base(of: path)
        members = [Member(upstream: upstream, allow: allow, deny: deny)]
        stale = .seconds(300)
        timeout = .seconds(300)
        questionTimeout = .seconds(120)
    }

    init(path: String, _ reader: ConfigurationReader) {
        self.path = path
        base = Self.base(of: path)
        members = reader.map("upstreams", "Upstreams of the endpoint, in the order of their entries.", of: "upstream") {
            name, reader in
            Member(upstream: name, reader)
        }.map(\.value)
        stale = reader.duration(
            "stale", default: .seconds(300), in: .zero...(.seconds(86_400)),
            "Time for which the entries of an upstream that is away are still listed.")
        timeout = reader.duration(
            "timeout", default: .seconds(300), in: .milliseconds(10)...(.seconds(86_400)),
            "Longest silence of an upstream during a request; beyond it the request fails with upstream_timeout.")
        questionTimeout = reader.duration(
            "questionTimeout", default: .seconds(120), in: .milliseconds(10)...(.seconds(3600)),
            "Time that a client has to answer a question of a legacy server; beyond it the question is declined.")
        if members.isEmpty { reader.fail("upstreams", expected: "at least one upstream", found: "none") }
        if let problem = Self.problem(path) { reader.fail(nil, expected: problem, found: "\"\(path.prefix(80))\"") }
    }

    private static func base(of path: String) -> String { path.hasSuffix("/") ? String(path.dropLast()) : path }

    /// Returns whether a request's path is the endpoint's, or one below it.
    func serves(_ path: Substring) -> Bool {
        guard path.utf8.starts(with: base.utf8) else { return false }
        return path.utf8.count == base.utf8.count || path.utf8.dropFirst(base.utf8.count).first == UInt8(ascii: "/")
    }

    /// Returns the paths that are allowed, as the error for a path that is not; nil when it is.
    private static func problem(_ path: String) -> String? {
        let segments = path.utf8.dropFirst().split(separator: UInt8(ascii: "/"))
        let isPlain = path.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || "/-_.~".utf8.contains(byte)
        }
        guard path.hasPrefix("/"), !segments.isEmpty, isPlain, !path.contains("//"),
            !segments.contains(where: { $0.allSatisfy { $0 == UInt8(ascii: ".") } })
        else { return "a path of letters, digits, - _ . ~ and slashes, such as \"/mcp/\"" }
        let taken: Set<String> = ["api", "auth", "oauth", "assets", "openapi.json", ".well-known"]
        guard !taken.contains(String(decoding: Array(segments[0]), as: UTF8.self)) else {
            return "a path that the gateway does not serve otherwise"
        }
        return nil
    }
}
