import HTTPSyntax
package import JSON

/// Parameters of a tool that HTTP clients repeat in `Mcp-Param-…` headers (2026-07-28, custom headers).
package struct ToolHeaderParameters: Hashable, Sendable {
    /// One parameter.
    package struct Parameter: Hashable, Sendable {
        /// Complete header name, such as `Mcp-Param-Region`.
        package let header: String
        /// Names of the properties from the arguments down to the value.
        package let path: [String]
    }

    /// Error in a tool's annotations; HTTP clients drop such a tool, with a warning.
    package struct InvalidAnnotation: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// Parameters in the order of the schema.
    package let parameters: [Parameter]

    /// True if no argument is repeated in a header.
    package var isEmpty: Bool { parameters.isEmpty }

    /// Parameters of a tool without annotated arguments.
    package static let none = ToolHeaderParameters(parameters: [])

    private init(parameters: [Parameter]) {
        self.parameters = parameters
    }

    /// Reads the `x-mcp-header` annotations of an input schema.
    ///
    /// - Throws: ``InvalidAnnotation`` for a name that is empty, not a token or already used (ignoring case), for a
    ///   type other than string, integer or boolean (null may be added), and for an annotation that is not reached
    ///   through `properties` alone.
    package init(inputSchema: JSONValue) throws(InvalidAnnotation) {
        var walk = Walk()
        try walk.visit(inputSchema, path: [])
        parameters = walk.parameters
    }

    /// Returns the headers to send with `arguments`, values encoded. Absent and null values have none.
    package func headers(for arguments: JSONObject) -> [(name: String, value: String)] {
        parameters.compactMap { parameter in
            Self.text(Self.value(at: parameter.path, in: arguments)).map {
                (parameter.header, MCPHeader.encodeValue($0))
            }
        }
    }

    /// Returns the headers for arguments that are JSON slices.
    package func headers(
        for arguments: JSONSlice, in bytes: UnsafeRawBufferPointer
    ) -> [(name: String, value: String)] {
        parameters.compactMap { parameter in
            var value: JSONSlice? = arguments
            for name in parameter.path {
                value = value.flatMap { JSONScanner.member(name, of: $0, in: bytes) }
            }
            guard let value, value.kind != .object, value.kind != .array,
                let text = Self.text(JSONValue(value, in: bytes))
            else { return nil }
            return (parameter.header, MCPHeader.encodeValue(text))
        }
    }

    /// Checks received headers against the arguments of the body.
    ///
    /// - Parameter headers: Returns the values of a header by its name, ignoring case; one for each time it was sent.
    /// - Returns: The message of a -32020 error; nil when all agree.
    package func mismatch(with arguments: JSONObject, headers: (String) -> [String]) -> String? {
        for parameter in parameters {
            let expected = Self.value(at: parameter.path, in: arguments)
            let received = headers(parameter.header)
            guard let expected, !expected.isNull else {
                guard received.isEmpty else { return "\(parameter.header) is present but the argument is not" }
                continue
            }
            guard received.count == 1, let decoded = MCPHeader.decodeValue(received[0]) else {
                return "\(parameter.header) is missing or malformed"
            }
            guard Self.agrees(decoded, expected) else { return "\(parameter.header) does not match the argument" }
        }
        return nil
    }

    private static func value(at path: [String], in arguments: JSONObject) -> JSONValue? {
        path.reduce(JSONValue.object(arguments) as JSONValue?) { $0?[$1] }
    }

    private static func text(_ value: JSONValue?) -> String? {
        switch value {
        case .string(let string): string
        case .bool(let bool): bool ? "true" : "false"
        case .number(let number): number.int.map { String($0) } ?? number.text
        case .null, .array, .object, nil: nil
        }
    }

    /// Returns whether a value agrees. Integers are compared by value (`42.0` and `42`), everything else as text.
    private static func agrees(_ received: String, _ expected: JSONValue) -> Bool {
        if let number = expected.number, let other = JSONNumber(received) { return number == other }
        return text(expected).map { ExactString($0) == ExactString(received) } ?? false
    }
}

/// Traversal of all places of a schema where a subschema can stand.
private struct Walk {
    private static let single: Set<String> = [
        "items", "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "contains",
        "propertyNames", "not", "if", "then", "else",
    ]
    private static let lists: Set<String> = ["allOf", "anyOf", "oneOf", "prefixItems", "items"]
    private static let maps: Set<String> = [
        "$defs", "definitions", "patternProperties", "dependentSchemas", "dependencies",
    ]

    private(set) var parameters: [ToolHeaderParameters.Parameter] = []
    private var names: Set<String> = []

    /// - Parameter path: Names of the properties that lead here; nil when the way leads through anything else.
    mutating func visit(_ schema: JSONValue, path: [String]?) throws(ToolHeaderParameters.InvalidAnnotation) {
        guard let object = schema.object else { return }
        if let annotation = object["x-mcp-header"] { try add(annotation, object, path) }
        for (key, value) in object {
            if key == "properties" {
                for (name, property) in value.object ?? [:] { try visit(property, path: path.map { $0 + [name] }) }
            }
            if Self.single.contains(key) { try visit(value, path: nil) }
            if Self.lists.contains(key) { for element in value.array ?? [] { try visit(element, path: nil) } }
            if Self.maps.contains(key) { for (_, element) in value.object ?? [:] { try visit(element, path: nil) } }
        }
    }

    private mutating func add(
        _ annotation: JSONValue, _ schema: JSONObject, _ path: [String]?
    ) throws(ToolHeaderParameters.InvalidAnnotation) {
        guard let name = annotation.string, HTTPSyntax.isToken(name) else {
            throw .init(description: "x-mcp-header is not a header name")
        }
        guard let path, !path.isEmpty else {
            throw .init(description: "x-mcp-header \"\(name)\" is not reached through properties alone")
        }
        guard names.insert(name.lowercased()).inserted else {
            throw .init(description: "x-mcp-header \"\(name)\" occurs twice")
        }
        let types = (schema["type"]?.array ?? [schema["type"] ?? .null]).filter { $0 != "null" }
        guard types.count == 1, ["string", "integer", "boolean"].contains(types[0]) else {
            throw .init(description: "x-mcp-header \"\(name)\" on a type that is not string, integer or boolean")
        }
        parameters.append(.init(header: MCPHeader.parameterPrefix + name, path: path))
    }
}
