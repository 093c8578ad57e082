import JSON
import JSONConfiguration
import JSONSchema
import Store

/// Bounds on a value that callers give: of an argument, or of each element of a list.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `enum` | list | – | the only values of a string, an integer or a number |
/// | `minimum`, `maximum` | number | – | least and largest integer or number |
/// | `minLength`, `maxLength` | integer | – | characters of a string |
/// | `pattern` | regular expression | – | what a string matches somewhere; `^…$` for all of it |
/// | `format` | `date`, `date-time` | – | a string that is a day or an instant (RFC 3339) |
struct SQLValueConfiguration: Sendable {
    let type: StatementType
    let format: JSONSchemaDateFormat?
    /// The value's JSON Schema.
    let schema: JSONObject

    /// Reads the bounds. Errors are recorded in the reader.
    /// - Parameter type: of the value; nil for the argument that is a list, whose bounds stand in `items`.
    init(type: StatementType?, _ reader: ConfigurationReader) {
        let bounds = Bounds(reader)
        bounds.refuse(for: type, reader)
        self.type = type ?? .string
        format = type == .string ? bounds.format : nil
        var schema: JSONObject = ["type": .string(self.type.rawValue)]
        if type != nil { bounds.add(to: &schema) }
        self.schema = schema
        Self.check(schema, reader)
    }

    /// Compiles the schema: its pattern must be one that can be checked.
    private static func check(_ schema: JSONObject, _ reader: ConfigurationReader) {
        do {
            let compiled = try JSONSchema(.object(schema), assertsDates: true)
            if !compiled.uncheckedKeywords.isEmpty {
                reader.fail(
                    "pattern", expected: "a regular expression without look-around and back references",
                    found: "\"\(schema["pattern"]?.string?.printable ?? "")\"")
            }
        } catch {
            reader.fail("pattern", expected: "a regular expression (ECMAScript's)", found: "\(error)")
        }
    }

    /// Returns the value that is bound for a JSON value that obeys the schema; nil when it does not fit into the database's
    /// type: an integer beyond 64 bits, or a date beyond the years 1 to 9999.
    func bound(_ json: JSONValue) -> StoreValue? {
        switch (type, json) {
        case (.string, .string(let text)): Self.text(text, format).map { .text($0) }
        case (.integer, .number(let number)): number.int.map { .integer(Int64($0)) }
        case (.number, .number(let number)): number.double.isFinite ? .real(number.double) : nil
        case (.boolean, .bool(let flag)): .boolean(flag)
        default: nil
        }
    }

    /// The same as an element of a list, which is bound as a JSON array.
    func element(_ json: JSONValue) -> JSONValue? {
        switch bound(json) {
        // PostgreSQL has no text with NUL, and SQLite's JSON functions end a text there.
        case .text(let text): text.utf8.contains(0) ? nil : .string(text)
        case .integer(let number): .number(Int(number))
        case .real(let number): .number(number)
        case .boolean(let flag): .bool(flag)
        case .null, .blob, nil: nil
        }
    }

    private static func text(_ text: String, _ format: JSONSchemaDateFormat?) -> String? {
        switch format {
        case nil: return text
        case .date: return text.hasPrefix("0000") ? nil : text
        case .dateTime: return DjangoTimestamp.normalized(text)
        }
    }
}

extension SQLValueConfiguration {
    /// The keys as they are written.
    private struct Bounds {
        let choices: [JSONValue]?
        let minimum: JSONNumber?
        let maximum: JSONNumber?
        let minLength: Int?
        let maxLength: Int?
        let pattern: String?
        let format: JSONSchemaDateFormat?

        init(_ reader: ConfigurationReader) {
            choices = reader.values(
                "enum", "Accepted values of a string, an integer or a number; absent: any.", example: ["open", "done"])
            minimum = reader.optionalNumber("minimum", "Smallest accepted integer or number.", example: JSONNumber(1))
            maximum = reader.optionalNumber("maximum", "Largest accepted integer or number.", example: JSONNumber(100))
            minLength = reader.optionalInteger(
                "minLength", in: 0...1_000_000, "Smallest number of characters of a string.", example: 1)
            maxLength = reader.optionalInteger(
                "maxLength", in: 0...1_000_000, "Largest number of characters of a string.", example: 200)
            pattern = reader.optionalString(
                "pattern", "Regular expression (ECMAScript's) that a string must match somewhere; ^…$ for all of it.",
                example: "^[A-Z]{2}-[0-9]+$")
            format = reader.optionalChoice(
                "format",
                "Format of a string (RFC 3339). date: a day; date-time: an instant with its offset, which is bound in UTC as "
                    + "SQLite and Django write it, such as 2026-01-31 08:00:00.")
        }

        func refuse(for type: StatementType?, _ reader: ConfigurationReader) {
            let isNumeric = type == .integer || type == .number
            let unfitting: [(key: String, isThere: Bool, fits: Bool)] = [
                ("enum", choices != nil, isNumeric || type == .string), ("minimum", minimum != nil, isNumeric),
                ("maximum", maximum != nil, isNumeric), ("minLength", minLength != nil, type == .string),
                ("maxLength", maxLength != nil, type == .string), ("pattern", pattern != nil, type == .string),
                ("format", format != nil, type == .string),
            ]
            let reason = type.map { "as the type is \($0.rawValue)" } ?? "as elements have their bounds in items"
            for (key, isThere, fits) in unfitting where isThere && !fits {
                reader.fail(key, expected: "no \(key), \(reason)", found: "one")
            }
            if let choices, let type {
                let fitting = choices.filter { type.accepts($0) }
                if choices.isEmpty || choices.count > 1000 || fitting.count != choices.count {
                    reader.fail(
                        "enum", expected: "a list of 1 to 1000 values of type \(type.rawValue)",
                        found: String(JSONValue.array(choices).text.prefix(80)))
                }
            }
            if let minimum, let maximum, maximum < minimum {
                reader.fail("minimum", expected: "at most maximum, \(maximum)", found: "\(minimum)")
            }
            if let minLength, let maxLength, maxLength < minLength {
                reader.fail("minLength", expected: "at most maxLength, \(maxLength)", found: "\(minLength)")
            }
        }

        func add(to schema: inout JSONObject) {
            schema["enum"] = choices.map { .array($0) }
            schema["minimum"] = minimum.map { .number($0) }
            schema["maximum"] = maximum.map { .number($0) }
            schema["minLength"] = minLength.map { .number($0) }
            schema["maxLength"] = maxLength.map { .number($0) }
            schema["pattern"] = pattern.map { .string($0) }
            schema["format"] = format.map { .string($0.rawValue) }
        }
    }
}

extension StatementType {
    /// Returns whether a JSON value is of the type.
    fileprivate func accepts(_ json: JSONValue) -> Bool {
        switch (self, json) {
        case (.string, .string), (.boolean, .bool), (.number, .number): true
        case (.integer, .number(let number)): number.isInteger
        default: false
        }
    }
}
