import JSONSchema
import NIOCore

/// Checks a call's arguments against the tool's input schema, and names in the error the payload's fields instead of
/// the tool's arguments.
///
/// Arguments whose check would exceed its budget, or whose schema cannot be used, are sent to the tool unchecked: the
/// tool validates them anyway.
enum ArgumentCheck {
    /// Returns the error for arguments that violate the schema; nil when they are valid or could not be checked.
    static func violation(of call: ChatTranslator.Call, schema: JSONSchema) -> GatewayError? {
        switch call.arguments.withUnsafeReadableBytes(schema.verdict(onText:)) {
        case .valid, .undecided: nil
        case .violations(let violations): violations.first.map { error($0, call.type) }
        case nil: GatewayError(.internal, detail: "arguments are no JSON")
        }
    }

    private static func error(_ violation: JSONSchemaViolation, _ type: ChatType) -> GatewayError {
        // The violation names the tool's arguments; the client knows only the payload's fields.
        for argument in type.arguments where argument.field != nil && argument.source != argument.target {
            let message = violation.message
            if message.hasPrefix(argument.target + ":") || message.hasPrefix(argument.target + ".") {
                return GatewayError(.invalidArgument, text: argument.source + message.dropFirst(argument.target.count))
            }
            if violation.field.isEmpty, message.contains("'\(argument.target)'") {
                let text = message.replacing("'\(argument.target)'", with: "'\(argument.source)'")
                return GatewayError(.invalidArgument, text: text)
            }
        }
        return GatewayError(.invalidArgument, text: violation.message)
    }
}
