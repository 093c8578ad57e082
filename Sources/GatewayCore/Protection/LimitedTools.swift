/// Types with a limit of their own, by the tool that they call: a call of the tool counts against the limit whatever
/// route it takes.
struct LimitedTools: Sendable {
    private struct Tool: Hashable {
        let upstream: String
        let name: String
    }

    private var types: [Tool: [String]] = [:]

    /// True if no type has a limit.
    var isEmpty: Bool { types.isEmpty }

    /// Adds a type that calls a tool.
    mutating func add(_ type: String, tool: String, at upstream: String) {
        types[Tool(upstream: upstream, name: tool), default: []].append(type)
    }

    /// Returns the types that call a tool.
    func types(of tool: String, at upstream: String) -> [String] {
        types[Tool(upstream: upstream, name: tool)] ?? []
    }
}
