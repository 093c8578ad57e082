/// A JSON Schema 2020-12 that validates trees, compiled once.
///
/// Known keywords: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `patternProperties`,
/// `propertyNames`, `minProperties`, `maxProperties`, `dependentRequired`, `dependentSchemas`, `items`, `prefixItems`,
/// `contains`, `minContains`, `maxContains`, `minItems`, `maxItems`, `uniqueItems`, `minimum`, `maximum`,
/// `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`, `minLength`, `maxLength`, `pattern`, `allOf`, `anyOf`, `oneOf`,
/// `not`, `if`/`then`/`else`, `$ref`, `$dynamicRef` (as `$ref`), `$anchor`, `$id` inside the document; and of draft 7
/// `definitions`, `dependencies`, and `items` as an array with `additionalItems`. `format` and everything unknown are
/// annotations.
///
/// Bounds: 20,000 subschemas, 256 levels of evaluation (`$ref` loops end there), 1,000,000 evaluation steps, 20 reported
/// violations. Patterns run on an automaton in time proportional to text × pattern (see `JSONSchemaPattern`), so no
/// pattern can hang. References out of the document are never fetched.
package struct JSONSchema: Sendable {
    /// The schema as given, verbatim.
    package let source: JSONValue
    /// Locations of keywords that this validator knows but cannot check: `unevaluatedProperties`, `unevaluatedItems`,
    /// and patterns with look-around or back references. They count as satisfied.
    package let uncheckedKeywords: [String]

    let nodes: [[JSONSchemaAssertion]]
    let quickForm: JSONSchemaQuickForm?

    /// Compiles a schema.
    /// - Throws: ``JSONSchemaError`` naming the keyword.
    package init(_ schema: JSONValue) throws(JSONSchemaError) {
        var compiler = JSONSchemaCompiler(root: schema)
        try compiler.compile()
        source = schema
        nodes = compiler.nodes
        uncheckedKeywords = compiler.unchecked
        quickForm = JSONSchemaQuickForm(nodes)
    }

    /// The schema at a JSON pointer of `document`, with the whole document to refer to: one definition of many.
    ///
    /// - Parameter pointer: such as `#/$defs/Tool`.
    /// - Throws: ``JSONSchemaError`` naming the keyword.
    package init(_ document: JSONValue, at pointer: String) throws(JSONSchemaError) {
        var compiler = JSONSchemaCompiler(root: document)
        try compiler.compile(startingAt: pointer)
        source = document
        nodes = compiler.nodes
        uncheckedKeywords = compiler.unchecked
        quickForm = JSONSchemaQuickForm(nodes)
    }

    /// Returns the violations of `value`, at most 20, in the order of discovery; empty when it is valid.
    package func validate(_ value: JSONValue) -> [JSONSchemaViolation] {
        var evaluation = JSONSchemaEvaluation(nodes: nodes)
        return evaluation.result(0, value)
    }

    /// Returns true if `value` is valid; stops at the first violation.
    package func isValid(_ value: JSONValue) -> Bool {
        var evaluation = JSONSchemaEvaluation(nodes: nodes, limit: 1)
        return evaluation.result(0, value).isEmpty
    }
}

/// One reason why a value does not obey a schema.
package struct JSONSchemaViolation: Hashable, Sendable, CustomStringConvertible {
    /// JSON pointer to the offending value (RFC 6901), empty for the whole value.
    package let pointer: String
    /// The same for people: `filter.tags[2]`, empty for the whole value.
    package let field: String
    /// The keyword that is not satisfied.
    package let keyword: String
    /// `query: expected string, found number`; for the whole value without a field: `missing required property 'query'`.
    package let message: String

    package var description: String { message }
}

/// Why a schema cannot be used.
package enum JSONSchemaError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A keyword whose value is not what it must be.
    case invalid(at: String, reason: String)
    /// A reference that leads out of the document or nowhere.
    case unsupportedReference(String, at: String)
    /// More than 20,000 subschemas.
    case tooLarge

    package var description: String {
        switch self {
        case .invalid(let location, let reason): "invalid schema at \(location): \(reason)"
        case .unsupportedReference(let reference, let location):
            "unsupported reference \"\(reference)\" at \(location): only references inside the schema are followed"
        case .tooLarge: "schema too large"
        }
    }
}
