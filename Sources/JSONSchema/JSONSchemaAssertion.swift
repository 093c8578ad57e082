import JSON

/// A compiled keyword. Subschemas are indices of compiled nodes, so a schema may refer to itself.
enum JSONSchemaAssertion: Sendable {
    /// The schema `false`.
    case never
    case types(JSONSchemaTypes)
    case constant(JSONValue)
    case enumeration(JSONSchemaEnumeration)

    case minimum(JSONNumber)
    case maximum(JSONNumber)
    case exclusiveMinimum(JSONNumber)
    case exclusiveMaximum(JSONNumber)
    case multipleOf(JSONNumber)

    case minLength(Int)
    case maxLength(Int)
    case pattern(JSONSchemaPattern)
    case format(JSONSchemaDateFormat)

    case items(prefix: [Int], rest: Int?)
    case contains(Int, minimum: Int, maximum: Int?)
    case minItems(Int)
    case maxItems(Int)
    case uniqueItems

    case members(properties: [ExactString: Int], patterns: [(JSONSchemaPattern, Int)], additional: JSONSchemaAdditional)
    case required([String])
    case propertyNames(Int)
    case minProperties(Int)
    case maxProperties(Int)
    case dependentRequired([(String, [String])])
    case dependentSchemas([(String, Int)])

    case allOf([Int])
    case anyOf([Int])
    case oneOf([Int])
    case not(Int)
    case condition(if: Int, then: Int?, else: Int?)
    case reference(Int)
}

/// Values of `enum`, in a look-up table where they are many.
struct JSONSchemaEnumeration: Sendable {
    /// Values in the order of the schema.
    let values: [JSONValue]
    private let lookup: Set<JSONValue>?

    init(_ values: [JSONValue]) {
        self.values = values
        lookup = values.count > 8 ? Set(values) : nil
    }

    /// Largest number of comparisons that `contains` makes.
    var comparisons: Int { lookup == nil ? values.count : 1 }

    /// Returns whether the value is one of them.
    func contains(_ value: JSONValue) -> Bool {
        lookup?.contains(value) ?? values.contains(value)
    }
}

/// The meaning of `additionalProperties`.
enum JSONSchemaAdditional: Sendable {
    case allowed
    case forbidden
    case schema(Int)
}

/// A set of JSON Schema's type names. `number` includes `integer`.
struct JSONSchemaTypes: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    static let null = JSONSchemaTypes(rawValue: 1)
    static let boolean = JSONSchemaTypes(rawValue: 2)
    static let integer = JSONSchemaTypes(rawValue: 4)
    static let number = JSONSchemaTypes(rawValue: 8)
    static let string = JSONSchemaTypes(rawValue: 16)
    static let array = JSONSchemaTypes(rawValue: 32)
    static let object = JSONSchemaTypes(rawValue: 64)

    private static let named: [(JSONSchemaTypes, String)] = [
        (.string, "string"), (.integer, "integer"), (.number, "number"), (.boolean, "boolean"), (.array, "array"),
        (.object, "object"), (.null, "null"),
    ]

    init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    init?(name: String) {
        guard let type = Self.named.first(where: { $0.1 == name })?.0 else { return nil }
        self = type
    }

    func allows(_ value: JSONValue) -> Bool {
        switch value {
        case .null: contains(.null)
        case .bool: contains(.boolean)
        case .number(let number): contains(.number) || (contains(.integer) && number.isInteger)
        case .string: contains(.string)
        case .array: contains(.array)
        case .object: contains(.object)
        }
    }

    /// Text such as "string or null".
    var text: String {
        Self.named.filter { contains($0.0) }.map(\.1).joined(separator: " or ")
    }
}
