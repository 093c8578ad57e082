package import JSON

/// Prompt or resource template of a completion.
package enum CompletionReference: Hashable, Sendable {
    case prompt(name: String)
    /// The URI template of a resource template.
    case resource(uri: String)

    init(_ json: JSONValue?, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        switch try reader.string("type") {
        case "ref/prompt": self = .prompt(name: try reader.string("name"))
        case "ref/resource": self = .resource(uri: try reader.string("uri"))
        default: throw reader.failure("type", "\"ref/prompt\" or \"ref/resource\"")
        }
    }

    var json: JSONValue {
        switch self {
        case .prompt(let name): ["type": "ref/prompt", "name": .string(name)]
        case .resource(let uri): ["type": "ref/resource", "uri": .string(uri)]
        }
    }
}

/// Parameters of `completion/complete`.
package struct CompleteParameters: Hashable, Sendable {
    /// Prompt or resource template whose argument is completed.
    package var reference: CompletionReference
    /// Name of the argument.
    package var argumentName: String
    /// Text typed so far.
    package var argumentValue: String
    /// Arguments already known, from 2025-06-18.
    package var context: [String: String]

    /// Asks for completions of one argument.
    package init(
        reference: CompletionReference, argumentName: String, argumentValue: String, context: [String: String] = [:]
    ) {
        self.reference = reference
        self.argumentName = argumentName
        self.argumentValue = argumentValue
        self.context = context
    }

    /// Reads the parameters of `completion/complete`.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(params: JSONObject) throws(MCPDecodingError) {
        reference = try CompletionReference(params["ref"], "params.ref")
        let argument = try MCPReader(params["argument"], "params.argument")
        argumentName = try argument.string("name")
        argumentValue = try argument.string("value")
        context = [:]
        let known = try MCPReader(params, "params").optionalObject("context")?["arguments"]?.object ?? [:]
        for (key, value) in known {
            guard let value = value.string else {
                throw MCPReader.mismatch("params.context.arguments.\(key)", "string", value)
            }
            context[key] = value
        }
    }

    /// Returns the parameters in a revision.
    package func params(for version: MCPVersion) -> JSONObject {
        var object: JSONObject = [
            "ref": reference.json,
            "argument": ["name": .string(argumentName), "value": .string(argumentValue)],
        ]
        if !context.isEmpty, version.hasCompletionContext {
            let arguments = context.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.string($0.value)) }
            object["context"] = ["arguments": .object(JSONObject(arguments))]
        }
        return object
    }
}

/// Result of `completion/complete`.
package struct CompleteResult: Hashable, Sendable {
    /// Largest number of values in a result (completion, response values).
    package static let maximumValues = 100

    /// Completions, best first.
    package var values: [String]
    /// Number of all completions, where it is known.
    package var total: Int?
    /// True if there are completions beyond these; nil: not known.
    package var hasMore: Bool?

    /// Creates a result. Values beyond the hundredth are dropped, and `hasMore` is set.
    package init(values: [String], total: Int? = nil, hasMore: Bool? = nil) {
        self.values = Array(values.prefix(Self.maximumValues))
        self.total = total ?? (values.count > Self.maximumValues ? values.count : nil)
        self.hasMore = hasMore ?? (values.count > Self.maximumValues ? true : nil)
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json["completion"], "result.completion")
        self.init(
            values: try reader.optionalStrings("values") ?? [], total: try reader.optionalInt("total"),
            hasMore: try reader.optionalBool("hasMore"))
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        var completion: JSONObject = ["values": .array(values.map { .string($0) })]
        completion.set("total", total)
        completion.set("hasMore", hasMore)
        return .object(MCPResult.complete(["completion": .object(completion)], for: version))
    }
}
