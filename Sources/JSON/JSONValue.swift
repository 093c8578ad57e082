/// A JSON document as a tree, for everything but the hot path: numbers keep their text, objects their order.
package enum JSONValue: Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

extension JSONValue {
    /// Returns a number.
    package static func number(_ value: Int) -> JSONValue { .number(JSONNumber(value)) }
    /// Returns a number.
    package static func number(_ value: Double) -> JSONValue { .number(JSONNumber(value)) }

    /// Type of the value.
    package var kind: JSONKind {
        switch self {
        case .null: .null
        case .bool: .bool
        case .number: .number
        case .string: .string
        case .array: .array
        case .object: .object
        }
    }

    /// Text of a string; nil for any other type.
    package var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// Value of an integral number that fits, whatever its spelling.
    package var int: Int? {
        if case .number(let value) = self { value.int } else { nil }
    }

    /// Value of a number as a double; nil for any other type.
    package var double: Double? {
        if case .number(let value) = self { value.double } else { nil }
    }

    /// Number; nil for any other type.
    package var number: JSONNumber? {
        if case .number(let value) = self { value } else { nil }
    }

    /// Boolean; nil for any other type.
    package var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// Elements of an array; nil for any other type.
    package var array: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// Members of an object; nil for any other type.
    package var object: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// True for `null`.
    package var isNull: Bool { kind == .null }

    /// Member of an object. Setting turns anything that is not an object into one; setting nil removes the member.
    package subscript(key: String) -> JSONValue? {
        get { object?[key] }
        set {
            var members = object ?? JSONObject()
            members[key] = newValue
            self = .object(members)
        }
    }

    /// Element of an array; nil outside it.
    package subscript(index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }
}

/// Equality as in RFC 8259: strings byte by byte, numbers by their value, objects in any order.
extension JSONValue: Hashable {
    /// Returns whether both values are equal.
    package static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): ExactString(left) == ExactString(right)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): left == right
        default: false
        }
    }

    /// Hashes the value; equal values have equal hashes.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        switch self {
        case .null: break
        case .bool(let value): hasher.combine(value)
        case .number(let value): hasher.combine(value)
        case .string(let value): hasher.combine(ExactString(value))
        case .array(let value): hasher.combine(value)
        case .object(let value): hasher.combine(value)
        }
    }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByStringInterpolation,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(nilLiteral: ()) { self = .null }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }
    package init(floatLiteral value: Double) { self = .number(JSONNumber(value)) }
    package init(stringLiteral value: String) { self = .string(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }
}

extension JSONValue: CustomStringConvertible {
    package var description: String { text }
}
