package import JSON
import MCP
import MCPAggregator
package import MCPClient

/// A difference between what is configured or pinned and the upstream's current tools.
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
        /// The tool was never pinned, so that it is hidden.
        case unpinnedTool = "unpinned_tool"
        /// The tool's definition has changed since it was pinned, so that it is hidden.
        case changedTool = "changed_tool"
        /// An endpoint has an entry of that name from an earlier upstream, so that this one is hidden.
        case shadowedName = "shadowed_name"
    }

    /// Kind of difference.
    package let kind: Kind
    /// Chat type; nil where the difference does not concern one.
    package let type: String?
    /// Tool concerned; the entry for a name that comes twice.
    package let tool: String
    /// Argument concerned; nil for the tool as a whole.
    package let argument: String?
    /// Path of the MCP endpoint and the list in which the name comes twice.
    private let place: (endpoint: String, list: String)?
    private let explanation: String

    fileprivate init(_ kind: Kind, _ type: ChatTypeConfiguration, _ argument: String?, _ explanation: String) {
        self.kind = kind
        self.type = type.name
        self.tool = type.tool
        self.argument = argument
        self.explanation = explanation
        place = nil
    }

    private init(_ kind: Kind, tool: String, place: (endpoint: String, list: String)?, _ explanation: String) {
        self.kind = kind
        type = nil
        self.tool = tool
        argument = nil
        self.place = place
        self.explanation = explanation
    }

    /// Describes a tool that is hidden until it is pinned.
    init(_ hidden: ToolPinning.HiddenTool) {
        let tool = hidden.tool.text
        let text =
            hidden.isNew
            ? "the tool \"\(tool.printable)\" was never pinned, so that it is hidden"
            : "the definition of the tool \"\(tool.printable)\" has changed since it was pinned, so that it is hidden"
        self.init(hidden.isNew ? .unpinnedTool : .changedTool, tool: tool, place: nil, text)
    }

    /// Describes an entry that is hidden because an earlier upstream of the endpoint has one of its name.
    init(shadowed: EndpointRouter.ShadowedName, ofEndpoint path: String) {
        self.init(
            .shadowedName, tool: shadowed.name, place: (path, shadowed.kind),
            "\(path) lists another \"\(shadowed.name.printable)\" among its \(shadowed.kind), so that this one is hidden"
        )
    }

    package var description: String { type.map { "\($0): \(explanation)" } ?? explanation }

    package static func == (left: DriftFinding, right: DriftFinding) -> Bool {
        left.kind == right.kind && left.tool == right.tool && left.description == right.description
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(description)
    }

    /// Indicates whether the log has a line for it already.
    var isLogged: Bool { kind == .unpinnedTool || kind == .changedTool }

    /// JSON form.
    package var json: JSONValue {
        var object: JSONObject = ["kind": .string(kind.rawValue)]
        if let type { object["type"] = .string(type) }
        if let place {
            object["endpoint"] = .string(place.endpoint)
            object["list"] = .string(place.list)
            object["name"] = .string(tool)
        } else {
            object["tool"] = .string(tool)
        }
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
