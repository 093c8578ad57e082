/// Types with a limit of their own, by the tool that they call: a call of the tool counts against the limit whatever
/// route it takes.
struct LimitedTools: Sendable {
    /// A tool of an upstream, by the upstream's own name.
    struct Tool: Hashable {
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

    /// Returns the types whose limits calls count against, each type once for each call.
    ///
    /// - Parameter calls: For each call, the tools that it may reach.
    func types(ofCalls calls: [[Tool]]) -> [String] {
        guard !isEmpty else { return [] }
        return calls.flatMap { tools in Set(tools.flatMap { types[$0] ?? [] }) }
    }
}
