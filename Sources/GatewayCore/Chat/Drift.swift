package import JSON
import MCP
package import MCPClient

/// A difference between a configured type and the upstream's current tools.
package struct DriftFinding: Hashable, Sendable, CustomStringConvertible {
    /// Kind of difference.
    package enum Kind: String, Sendable {
        case missingTool = "missing_tool"
        case unfilledArgument = "unfilled_argument"
        case unknownArgument = "unknown_argument"
        case typeMismatch = "type_mismatch"
        /// The tool of a shadowed type is not declared read-only, so that it is not called.
        case notReadOnly = "not_read_only"
        /// The tool's input schema cannot be used, so that its arguments are not checked.
        case uncheckedArguments = "unchecked_arguments"
    }

    /// Kind of difference.
    package let kind: Kind
    /// Chat type.
    package let type: String
    /// Tool that the type calls.
    package let tool: String
    /// Argument concerned; nil for the tool as a whole.
    package let argument: String?
    private let explanation: String

    fileprivate init(_ kind: Kind, _ type: ChatTypeConfiguration, _ argument: String?, _ explanation: String) {
        self.kind = kind
        self.type = type.name
        self.tool = type.tool
        self.argument = argument
        self.explanation = explanation
    }

    package var description: String { "\(type): \(explanation)" }

    /// JSON form.
    package var json: JSONValue {
        var object: JSONObject = [
            "kind": .string(kind.rawValue), "type": .string(type), "tool": .string(tool),
        ]
        if let argument { object["argument"] = .string(argument) }
        object["message"] = .string(description)
        return .object(object)
    }
}

/// Compares types with the tools that they call.
package enum Drift {
    /// - Parameter types: Types of one upstream.
    package static func findings(_ types: [ChatTypeConfiguration], _ catalog: ToolCatalog) -> [DriftFinding] {
        types.flatMap { type -> [DriftFinding] in
            guard let entry = catalog[type.tool] else {
                return [DriftFinding(.missingTool, type, nil, "the tool \"\(type.tool)\" does not exist")]
            }
            return check(type, entry) + compare(type, entry.definition.inputSchema)
                + compare(type, entry.definition.annotations)
        }
    }

    private static func check(_ type: ChatTypeConfiguration, _ entry: ToolCatalog.Entry) -> [DriftFinding] {
        guard entry.inputSchema == nil else { return [] }
        let text = "the input schema of the tool \"\(type.tool)\" cannot be used, so that arguments are not checked"
        return [DriftFinding(.uncheckedArguments, type, nil, text)]
    }

    private static func compare(_ type: ChatTypeConfiguration, _ annotations: ToolAnnotations?) -> [DriftFinding] {
        guard let shadow = type.shadow, !shadow.force, annotations?.readOnlyHint != true else { return [] }
        let text = "the tool \"\(type.tool)\" is not read-only, so that it is not asked as a shadow"
        return [DriftFinding(.notReadOnly, type, nil, text)]
    }

    private static func compare(_ type: ChatTypeConfiguration, _ schema: JSONValue) -> [DriftFinding] {
        var findings: [DriftFinding] = []
        let properties = schema["properties"]?.object ?? [:]
        for name in (schema["required"]?.array ?? []).compactMap(\.string) {
            let argument = type.arguments.first { $0.target == name }
            let isFilled = argument.map { $0.isRequired || $0.defaultValue != nil || $0.constant != nil } ?? false
            if !isFilled {
                let text = "the tool requires \"\(name)\", which nothing is sure to fill"
                findings.append(DriftFinding(.unfilledArgument, type, name, text))
            }
        }
        for argument in type.arguments {
            guard let property = properties[argument.target] else {
                if schema["additionalProperties"]?.bool == false {
                    let text = "the tool has no argument \"\(argument.target)\""
                    findings.append(DriftFinding(.unknownArgument, type, argument.target, text))
                }
                continue
            }
            guard let given = kind(of: argument), let wanted = kinds(of: property), !wanted.contains(given),
                !(given == "integer" && wanted.contains("number"))
            else { continue }
            let text =
                "the argument \"\(argument.target)\" is \(given), the tool wants \(wanted.joined(separator: " or "))"
            findings.append(DriftFinding(.typeMismatch, type, argument.target, text))
        }
        return findings
    }

    /// Returns the JSON type of an argument as far as the configuration determines it.
    private static func kind(of argument: ChatArgumentConfiguration) -> String? {
        if let value = argument.constant ?? argument.defaultValue { return kind(of: value) }
        if argument.trim { return "string" }
        return argument.coercion == .none ? nil : argument.coercion.rawValue
    }

    private static func kind(of value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .number(let number): number.int == nil ? "number" : "integer"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    private static func kinds(of schema: JSONValue) -> [String]? {
        if let type = schema["type"]?.string { return [type] }
        return schema["type"]?.array?.compactMap(\.string)
    }
}
