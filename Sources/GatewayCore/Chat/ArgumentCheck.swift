import JSON
import NIOCore

/// Checks a call's arguments against the tool's input schema, and says what is wrong in the payload's own words.
enum ArgumentCheck {
    static func violation(of call: ChatTranslator.Call, schema: JSONSchema) -> GatewayError? {
        call.arguments.withUnsafeReadableBytes { bytes in
            var scanner = JSONScanner(bytes)
            guard let object = try? scanner.document() else {
                return GatewayError(.internal, detail: "arguments are no JSON")
            }
            switch schema.quickValidate(object: object, in: bytes) {
            case .valid:
                return nil
            case .violation(let violation):
                return error(violation, call.type)
            case nil:
                return schema.validate(JSONValue(object, in: bytes)).first.map { error($0, call.type) }
            }
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
