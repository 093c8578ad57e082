import JSON
import JSONConfiguration
import JSONSchema
import Store

extension SQLToolConfiguration {
    /// An argument: what the caller gives, bound to the parameter of its name.
    ///
    /// | key | type | default | meaning |
    /// |---|---|---|---|
    /// | `type` | `string`, `integer`, `number`, `boolean`, `array` | `string` | what is accepted |
    /// | `description` | string | – | what models read |
    /// | `items` | section | – | for `array`: `type` and the bounds of each element |
    /// | `minItems`, `maxItems` | integer | 0, 100 | for `array`: number of elements |
    /// | `optional` | boolean | false | may be left out: NULL then, or an empty list |
    /// | `default` | of `type` | – | what is bound when it is left out |
    /// | `from` | ``CallerSource`` | – | binds a fact of who is asking; callers neither see nor give the argument |
    ///
    /// Of the other types, the bounds of ``SQLValueConfiguration`` besides. A list stands in `IN (:name)`. Beside `from`
    /// stand `type` and `items` alone.
    package struct Argument: Sendable {
        let name: String
        let description: String?
        /// The value, or each element of a list.
        let value: SQLValueConfiguration
        /// Number of elements of a list; nil for a single value.
        let items: ClosedRange<Int>?
        let isOptional: Bool
        let defaultValue: JSONValue?
        /// Source of a value that callers do not give; nil for one that they give.
        let source: CallerSource?
    }
}

extension SQLToolConfiguration.Argument {
    /// Types of arguments, as JSON Schema names them.
    private enum Kind: String, CaseIterable {
        case string, integer, number, boolean, array
    }

    /// Largest number of elements that a list may be configured to have.
    private static let maximumItems = 10_000

    init(name: String, _ reader: ConfigurationReader) {
        self.name = name
        source = CallerSource.read(reader)
        // A list of scopes is one whether or not that is said.
        let kind = reader.choice(
            "type", default: source == .scopes ? Kind.array : .string,
            "Type of the argument. Default: string, of caller.scopes array.")
        description = reader.optionalString(
            "description", "Description of the argument for models.", example: "Name of the owner.")
        let single = SQLValueConfiguration(type: StatementType(rawValue: kind.rawValue), reader)
        let element = reader.optionalSection("items", "Elements of a list: their type and bounds.") { reader in
            SQLValueConfiguration(
                type: reader.choice("type", default: StatementType.string, "Type of each element."), reader)
        }
        let least = reader.optionalInteger(
            "minItems", in: 0...Self.maximumItems, "Smallest number of elements of a list. Default: 0.", example: 1)
        let most = reader.optionalInteger(
            "maxItems", in: 1...Self.maximumItems, "Largest number of elements of a list. Default: 100.", example: 10)
        isOptional = reader.bool(
            "optional", default: false,
            "true: the argument may be absent; NULL is bound then, for a list an empty one.")
        defaultValue = reader.json("default", "Value that is bound when the argument is absent.", example: 10)
        if kind == .array {
            if element == nil, source != .scopes {
                reader.fail("items", expected: "a section with the type of the elements", found: "nothing")
            }
            value = element ?? single
            let (least, most) = (least ?? 0, most ?? (source == nil ? 100 : Self.maximumItems))
            if least > most { reader.fail("minItems", expected: "at most maxItems, \(most)", found: "\(least)") }
            items = min(least, most)...most
        } else {
            for (key, isThere) in [
                ("items", element != nil), ("minItems", least != nil), ("maxItems", most != nil),
            ] where isThere {
                reader.fail(key, expected: "no \(key), as the type is \(kind.rawValue)", found: "one")
            }
            value = single
            items = nil
        }
        checkDefault(reader)
        checkSource(reader)
    }

    /// The keys that say something about what callers give.
    private static let keysOfGivenValues = [
        "enum", "minimum", "maximum", "minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "optional",
        "default",
    ]

    private func checkSource(_ reader: ConfigurationReader) {
        guard let source else { return }
        for key in Self.keysOfGivenValues where reader.isPresent(key) {
            reader.fail(key, expected: "no \(key), as callers do not give the value", found: "one")
        }
        switch source {
        case .id, .name:
            if items != nil || value.type != .string {
                reader.fail("type", expected: "string, as \(source) is one", found: "another type")
            }
        case .scopes:
            if items == nil || value.type != .string {
                reader.fail("type", expected: "array, of strings, as \(source) is a list", found: "another type")
            }
        case .claim: break
        }
    }

    private func checkDefault(_ reader: ConfigurationReader) {
        guard let defaultValue, let schema = try? JSONSchema(schema, assertsDates: true) else { return }
        let violations = schema.validate(defaultValue).map(\.message)
        guard violations.isEmpty, bound(defaultValue) != nil else {
            reader.fail(
                "default", expected: "a value that the argument accepts",
                found: ([String(defaultValue.text.prefix(80))] + violations).joined(separator: "; "))
            return
        }
    }

    /// Indicates whether callers must give it.
    var isRequired: Bool { source == nil && !isOptional && defaultValue == nil }

    /// The type of the statement's parameter.
    var parameterType: StatementParameterType {
        let moment: StatementMoment? =
            switch value.format {
            case .date: .date
            case .dateTime: .instant
            case nil: nil
            }
        return StatementParameterType(value.type, moment: moment, isList: items != nil)
    }

    /// Returns the value that is bound for a JSON value that obeys the schema; nil when the database has no such value.
    func bound(_ json: JSONValue) -> StoreValue? {
        guard items != nil else { return value.bound(json) }
        guard let given = json.array else { return nil }
        let elements = given.compactMap(value.element)
        return elements.count == given.count ? .text(JSONValue.array(elements).text) : nil
    }

    /// The argument's JSON Schema.
    var schema: JSONValue {
        var schema: JSONObject = [:]
        schema["description"] = description.map { .string($0) }
        if let items {
            schema["type"] = "array"
            schema["items"] = .object(value.schema)
            if items.lowerBound > 0 { schema["minItems"] = .number(items.lowerBound) }
            schema["maxItems"] = .number(items.upperBound)
        } else {
            schema.merge(value.schema)
        }
        schema["default"] = defaultValue
        return .object(schema)
    }
}
