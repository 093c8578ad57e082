import JSON
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
        return call.arguments.withUnsafeReadableBytes { bytes in
            var scanner = JSONScanner(bytes)
            guard let object = try? scanner.document() else { return "the arguments are not JSON" }
            switch schema.quickValidate(object: object, in: bytes) {
            case .valid: return nil
            case .violation(let violation): return violation.message
            case nil:
                let violations = schema.validate(JSONValue(object, in: bytes))
                return violations.isEmpty ? nil : violations.map(\.message).joined(separator: "; ")
            }
        }
    }
}
