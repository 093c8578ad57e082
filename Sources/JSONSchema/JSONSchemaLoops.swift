/// Detection of compiled subschemas that lead back to themselves for the same value.
enum JSONSchemaLoops {
    /// Returns whether any does. Reads each subschema once.
    static func exist(in nodes: [[JSONSchemaAssertion]]) -> Bool {
        enum State { case unseen, open, closed }
        var states = [State](repeating: .unseen, count: nodes.count)
        for start in nodes.indices where states[start] == .unseen {
            var stack: [(node: Int, next: [Int])] = [(start, sameValue(nodes[start]))]
            states[start] = .open
            while let top = stack.indices.last {
                guard let node = stack[top].next.popLast() else {
                    states[stack[top].node] = .closed
                    stack.removeLast()
                    continue
                }
                switch states[node] {
                case .open: return true
                case .closed: continue
                case .unseen:
                    states[node] = .open
                    stack.append((node, sameValue(nodes[node])))
                }
            }
        }
        return false
    }

    /// Returns the subschemas that are applied to the same value.
    private static func sameValue(_ assertions: [JSONSchemaAssertion]) -> [Int] {
        assertions.flatMap { assertion -> [Int] in
            switch assertion {
            case .reference(let node), .not(let node): [node]
            case .allOf(let nodes), .anyOf(let nodes), .oneOf(let nodes): nodes
            case .condition(let condition, let then, let otherwise): [condition] + [then, otherwise].compactMap(\.self)
            case .dependentSchemas(let dependencies): dependencies.map(\.1)
            default: []
            }
        }
    }
}
