package import JSON

/// A JSON Schema 2020-12 that validates trees, compiled once.
///
/// Supported keywords: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `patternProperties`,
/// `propertyNames`, `minProperties`, `maxProperties`, `dependentRequired`, `dependentSchemas`, `items`, `prefixItems`,
/// `contains`, `minContains`, `maxContains`, `minItems`, `maxItems`, `uniqueItems`, `minimum`, `maximum`,
/// `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`, `minLength`, `maxLength`, `pattern`, `allOf`, `anyOf`, `oneOf`,
/// `not`, `if`/`then`/`else`, `$ref`, `$dynamicRef` (as `$ref`), `$anchor`, `$id` inside the document; and of draft 7
/// `definitions`, `dependencies`, and `items` as an array with `additionalItems`. `format` is an annotation, but for the
/// formats `date` and `date-time` of a schema that is compiled to assert them; everything unknown is one.
///
/// Limits: one `JSONSchemaBudget` of steps and bytes for reading a schema with its patterns, and one for checking a
/// value; 20,000 subschemas, 512 levels of evaluation, 20 reported violations. A schema beyond its budget does not
/// compile (`JSONSchemaError.tooLarge`); a value whose check is beyond the budget is `undecided`. Patterns run on an
/// automaton in time proportional to text × pattern (see `JSONSchemaPattern`). A schema that refers to itself without a
/// step into the value (`{"$ref": "#"}`) has no effect there. References out of the document are never fetched.
package struct JSONSchema: Sendable {
    /// Schema as given, verbatim.
    package let source: JSONValue
    /// Locations of keywords that this validator knows but cannot check: `unevaluatedProperties`, `unevaluatedItems`,
    /// and patterns with look-around or back references, or too large. They count as satisfied. At most 100 are listed.
    package let uncheckedKeywords: [String]

    let nodes: [[JSONSchemaAssertion]]
    /// True if a subschema leads back to itself for the same value.
    let hasLoops: Bool
    let quickForm: JSONSchemaQuickForm?

    /// Compiles a whole document.
    ///
    /// - Parameter assertsDates: True where strings must have the form that `format` names, `date` or `date-time` (RFC 3339);
    ///   false, as the specification has it, for schemas of other servers.
    /// - Throws: `JSONSchemaError` for a schema that is not valid, refers outside itself, or is beyond the budget.
    package init(_ schema: JSONValue, assertsDates: Bool = false) throws(JSONSchemaError) {
        var budget = JSONSchemaBudget.compilation
        try self.init(schema, assertsDates: assertsDates, budget: &budget)
    }

    /// Compiles one of many schemas that share a budget. Each takes at most `JSONSchemaBudget.compilation`.
    ///
    /// - Throws: `JSONSchemaError`, also when the budget in common is spent.
    package init(
        _ schema: JSONValue, assertsDates: Bool = false, sharing budget: inout JSONSchemaBudget
    ) throws(JSONSchemaError) {
        let granted = budget.share(atMost: .compilation)
        var share = granted
        defer { budget.settle(share, of: granted) }
        try self.init(schema, assertsDates: assertsDates, budget: &share)
    }

    /// Compiles the schema at a JSON pointer of `document`; its references may lead to the whole document.
    ///
    /// - Parameter pointer: A reference such as `#/$defs/Tool`.
    /// - Throws: `JSONSchemaError`, also for a pointer that does not exist.
    package init(_ document: JSONValue, at pointer: String) throws(JSONSchemaError) {
        var budget = JSONSchemaBudget.compilation
        try self.init(document, at: pointer, budget: &budget)
    }

    private init(
        _ document: JSONValue, at pointer: String = "#", assertsDates: Bool = false, budget: inout JSONSchemaBudget
    ) throws(JSONSchemaError) {
        var compiler = try JSONSchemaCompiler(root: document, assertsDates: assertsDates, budget: budget)
        defer { budget = compiler.budget }
        try compiler.compile(startingAt: pointer)
        source = document
        nodes = compiler.nodes
        hasLoops = JSONSchemaLoops.exist(in: compiler.nodes)
        uncheckedKeywords = compiler.unchecked
        quickForm = JSONSchemaQuickForm(nodes)
    }

    /// Checks `value`.
    package func verdict(
        on value: JSONValue, budget: JSONSchemaBudget = .evaluation
    ) -> JSONSchemaResult {
        var evaluation = JSONSchemaEvaluation(self, budget: budget)
        return evaluation.verdict(value)
    }

    /// Returns the violations of `value` in the order of discovery, at most 20; empty when it is valid. A value that
    /// cannot be decided within the budget has one, of the keyword `$schema`.
    package func validate(_ value: JSONValue) -> [JSONSchemaViolation] {
        switch verdict(on: value) {
        case .valid: []
        case .violations(let violations): violations
        case .undecided(let reason):
            [JSONSchemaViolation(pointer: "", field: "", keyword: "$schema", message: reason)]
        }
    }

    /// Returns whether `value` is valid; stops at the first violation.
    package func isValid(_ value: JSONValue) -> Bool {
        var evaluation = JSONSchemaEvaluation(self, budget: .evaluation, limit: 1)
        return evaluation.verdict(value) == .valid
    }
}

/// Result of a check.
package enum JSONSchemaResult: Hashable, Sendable {
    /// The value is valid.
    case valid
    /// The value is invalid.
    case violations([JSONSchemaViolation])
    /// The check would cost more than its budget, or the schema contradicts itself.
    case undecided(reason: String)
}

/// A violation of a schema by a value.
package struct JSONSchemaViolation: Hashable, Sendable, CustomStringConvertible {
    /// JSON pointer to the offending value (RFC 6901), empty for the whole value.
    package let pointer: String
    /// Place of the value for people: `filter.tags[2]`, empty for the whole value.
    package let field: String
    /// Keyword that is violated.
    package let keyword: String
    /// `query: expected string, found number`; for the whole value without a field: `missing required property 'query'`.
    package let message: String

    /// The message.
    package var description: String { message }
}

/// Error of a schema that cannot be used.
package enum JSONSchemaError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A keyword with an invalid value.
    case invalid(at: String, reason: String)
    /// A reference that leads out of the document or does not exist.
    case unsupportedReference(String, at: String)
    /// More than 20,000 subschemas, or more steps or bytes than the budget has.
    case tooLarge

    /// Sentence that names the place.
    package var description: String {
        switch self {
        case .invalid(let location, let reason): "invalid schema at \(location): \(reason)"
        case .unsupportedReference(let reference, let location):
            "unsupported reference \"\(JSONSchemaText.cut(reference))\" at \(location): only references inside the schema are followed"
        case .tooLarge: "the schema is too large to be checked within its budget of steps and memory"
        }
    }
}
