package import JSON

/// Keywords of a property that its type does not imply.
package struct JSONSchemaProperty: Hashable, Sendable, ExpressibleByStringLiteral {
    package var description: String?
    /// Short name for people (`title`).
    package var title: String?
    /// Code points.
    package var minLength: Int?
    /// Largest number of characters (`maxLength`).
    package var maxLength: Int?
    /// Regular expression that the text has to match (`pattern`).
    package var pattern: String?
    /// An annotation such as `date-time`.
    package var format: String?
    /// Smallest value (`minimum`).
    package var minimum: Double?
    /// Largest value (`maximum`).
    package var maximum: Double?
    /// Smallest number of elements (`minItems`).
    package var minItems: Int?
    /// Largest number of elements (`maxItems`).
    package var maxItems: Int?
    /// Also makes the property optional for the caller: the type has to decode without it.
    package var defaultValue: JSONValue?
    /// Values that show the use (`examples`).
    package var examples: [JSONValue]
    /// `x-mcp-header`: the name under which HTTP clients mirror the value (string, integer or boolean properties).
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

    /// Adds the keywords to a property's schema: title and description first, the others behind its type.
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

/// A type whose schema says more than its Swift declaration: property name (as in JSON) → documentation.
package protocol JSONSchemaDocumented {
    static var schemaDocumentation: [String: JSONSchemaProperty] { get }
}

/// A type that writes its own schema, for instance because its `init(from:)` does not take any value of its kind.
package protocol JSONSchemaProviding {
    static var jsonSchema: JSONValue { get }
}
