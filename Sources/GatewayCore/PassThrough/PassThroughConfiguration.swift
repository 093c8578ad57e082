import JSON
import JSONConfiguration

/// Requests that go to an upstream unchanged: `enabled` (default true), `upstream` (default `tools`, else the only MCP server), `timeout`
/// (default 5 min) and `tools` (default none: every tool), a ``ToolAllowlist``.
package struct PassThroughConfiguration: Hashable, Sendable {
    /// True if requests are passed through.
    package let isEnabled: Bool
    /// Name of the upstream.
    package let upstream: String
    /// Time limit of silence; none for a GET of an event stream.
    package let timeout: Duration
    /// Tools that may be called; nil: all, and bodies are not inspected.
    package let tools: ToolAllowlist?

    /// - Parameter upstream: Default upstream; nil: no MCP server is configured.
    init(_ reader: ConfigurationReader, upstream: String?) {
        let isWanted = reader.bool(
            "enabled", default: true,
            "true: /mcp and /auth are passed through. Default: true where an upstream of kind mcp is configured.")
        isEnabled = isWanted && (upstream != nil || reader.isPresent("upstream") || reader.isPresent("enabled"))
        self.upstream = reader.string(
            "upstream", default: upstream ?? "tools",
            "Name of the MCP server that receives them. Default: tools, else the only one.")
        timeout = reader.duration(
            "timeout", default: .seconds(300), in: .milliseconds(10)...(.seconds(86400)),
            "Longest silence of a request or its response; then it fails. An event stream that GET opened has no such "
                + "limit.")
        tools = reader.optionalSection("tools", "Rules for the tools that may be listed and called.") {
            ToolAllowlist($0)
        }
    }
}

/// The upstream that requests are passed through to, and the rules for that.
struct PassThroughTarget: Sendable {
    let upstream: Upstream
    let configuration: PassThroughConfiguration

    /// The rules for which tools may be called and listed; nil: all may, and no body is looked at.
    var tools: PassThroughTools? {
        let pinning = upstream.pinning.isActive ? upstream.pinning : nil
        guard configuration.tools != nil || pinning != nil else { return nil }
        return PassThroughTools(allowlist: configuration.tools, pinning: pinning)
    }
}

/// The tools that the pass-through hides: by name, and by definitions that are not pinned.
struct PassThroughTools: Sendable {
    /// Names that may be called; nil: all.
    let allowlist: ToolAllowlist?
    /// Definitions that may be shown; nil: all.
    let pinning: ToolPinning?

    /// Returns whether a tool may be called.
    func allowsCall(of name: String) -> Bool {
        allowlist?.allows(name) != false && pinning?.allowsCall(of: name) != false
    }

    /// Returns whether a definition may be listed.
    func allows(_ definition: JSONValue) -> Bool { pinning?.allows(definition) != false }
}
