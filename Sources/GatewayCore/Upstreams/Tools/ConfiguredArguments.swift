import JSONSchema
import MCPClient
import NIOCore

extension Upstream {
    /// Returns what is wrong with the arguments of a call of a configured tool; nil where nothing is.
    ///
    /// Whatever way the call came in by, no server behind the gateway looks at its schema again: arguments that cannot be
    /// checked within the budget are refused as well.
    func violation(ofArgumentsOf call: MCPToolCall) -> String? {
        guard tools[call.tool] != nil, let schema = catalog?[call.tool]?.inputSchema else { return nil }
        return switch call.arguments.withUnsafeReadableBytes(schema.verdict(onText:)) {
        case .valid: nil
        case .violations(let violations): violations.map(\.message).joined(separator: "; ")
        case .undecided(let reason): reason
        case nil: "the arguments are not JSON"
        }
    }
}
