package import JSON

/// Keywords of a property that its type does not imply.
package struct JSONSchemaProperty: Hashable, Sendable, ExpressibleByStringLiteral {
    package var description: String?
    /// Short name for people (`title`).
    package var title: String?
    /// Smallest number of code points (`minLength`).
    package var minLength: Int?
    /// Largest number of code points (`maxLength`).
    package var maxLength: Int?
    /// Regular expression that the text must match (`pattern`).
    package var pattern: String?
    /// Annotation such as `date-time` (`format`).
    package var format: String?
    /// Smallest value (`minimum`).
    package var minimum: Double?
    /// Largest value (`maximum`).
    package var maximum: Double?
    /// Smallest number of elements (`minItems`).
    package var minItems: Int?
    /// Largest number of elements (`maxItems`).
    package var maxItems: Int?
    /// Default value, which makes the property optional for the caller: the type must decode without it.
    package var defaultValue: JSONValue?
    /// Values that show the use (`examples`).
    package var examples: [JSONValue]
    /// Name of the header in which HTTP clients repeat the value (`x-mcp-header`; string, integer or boolean
    /// properties).
    package var header: String?

    /// Describes a property.
    package init(
        _ description: String? = nil, title: String? = nil, minLength: Int? = nil, maxLength: Int? = nil,
        pattern: String? = nil, format: String? = nil, minimum: Double? = nil, maximum: Double? = nil,
        minItems: Int? = nil, maxItems: Int? = nil, default defaultValue: JSONValue? = nil,
        examples: [JSONValue] = [], header: String? = nil
    ) {
        self.description = description
        self.title = title
        self.minLength = minLength
        self.maxLength = maxLength
        self.pattern = pattern
        self.format = format
        self.minimum = minimum
        self.maximum = maximum
        self.minItems = minItems
        self.maxItems = maxItems
        self.defaultValue = defaultValue
        self.examples = examples
        self.header = header
    }

    package init(stringLiteral value: String) {
        self.init(value)
    }

    /// Adds the keywords to a property's schema: title and description first, the others after its type.
    func apply(to schema: JSONObject) -> JSONObject {
        var result: JSONObject = [:]
        result["title"] = title.map { .string($0) }
        result["description"] = description.map { .string($0) }
        result.merge(schema)
        result["minLength"] = minLength.map { .number($0) } ?? result["minLength"]
        result["maxLength"] = maxLength.map { .number($0) } ?? result["maxLength"]
        result["pattern"] = pattern.map { .string($0) } ?? result["pattern"]
        result["format"] = format.map { .string($0) } ?? result["format"]
        result["minimum"] = minimum.map { .number($0) } ?? result["minimum"]
        result["maximum"] = maximum.map { .number($0) } ?? result["maximum"]
        result["minItems"] = minItems.map { .number($0) } ?? result["minItems"]
        result["maxItems"] = maxItems.map { .number($0) } ?? result["maxItems"]
        result["default"] = defaultValue ?? result["default"]
        if !examples.isEmpty { result["examples"] = .array(examples) }
        result["x-mcp-header"] = header.map { .string($0) } ?? result["x-mcp-header"]
        return result
    }
}

/// A type whose schema has more than its Swift declaration implies: documentation by property name (as in JSON).
package protocol JSONSchemaDocumented {
    static var schemaDocumentation: [String: JSONSchemaProperty] { get }
}

/// A type that provides its own schema, for instance because its `init(from:)` does not accept every value of its kind.
package protocol JSONSchemaProviding {
    static var jsonSchema: JSONValue { get }
}
