package import JSON

/// Values that are not sections.
extension ConfigurationReader {
    /// Reads a string.
    package func string(
        _ key: String, default value: String, _ documentation: String, environment: String? = nil
    ) -> String {
        describe(key, ["type": "string", "default": .string(value)], documentation, environment)
        return read(key, environment, expected: "a string", text: { $0 }, json: \.string) ?? value
    }

    /// Reads an optional string.
    ///
    /// - Parameter example: Valid value, for the schema and for messages about a wrong one.
    package func optionalString(
        _ key: String, _ documentation: String, example: String? = nil, environment: String? = nil
    ) -> String? {
        describe(key, Self.stringSchema(example), documentation, environment)
        return read(key, environment, expected: "a string", text: { $0 }, json: \.string)
    }

    /// Reads a required string; its absence is an error and gives an empty string.
    ///
    /// - Parameters:
    ///   - example: Valid value, for the schema and for messages about a wrong one.
    ///   - isAlternative: True if another value of the section makes the key unnecessary: the schema does not require it.
    package func requiredString(
        _ key: String, _ documentation: String, example: String? = nil, environment: String? = nil,
        isAlternative: Bool = false
    ) -> String {
        describe(key, Self.stringSchema(example), documentation, environment)
        if !isAlternative { required.append(key) }
        if let value = read(key, environment, expected: "a string", text: { $0 }, json: \.string) { return value }
        if object[key] == nil, !context.describing { fail(key, expected: "a string", found: "nothing") }
        return ""
    }

    private static func stringSchema(_ example: String?) -> JSONObject {
        var schema: JSONObject = ["type": "string"]
        if let example { schema["examples"] = [.string(example)] }
        return schema
    }

    /// Reads a whole number within a range.
    package func integer(
        _ key: String, default value: Int, in range: ClosedRange<Int>, _ documentation: String,
        environment: String? = nil
    ) -> Int {
        let schema: JSONObject = [
            "type": "integer", "default": .number(JSONNumber(value)),
            "minimum": .number(JSONNumber(range.lowerBound)), "maximum": .number(JSONNumber(range.upperBound)),
        ]
        describe(key, schema, documentation, environment)
        return read(key, environment, in: range) ?? value
    }

    /// A whole number within a range that may be absent.
    /// - Parameter example: A valid value, for the schema and for the message about a wrong one.
    package func optionalInteger(
        _ key: String, in range: ClosedRange<Int>, _ documentation: String, example: Int, environment: String? = nil
    ) -> Int? {
        let schema: JSONObject = [
            "type": "integer", "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound),
            "examples": [.number(example)],
        ]
        describe(key, schema, documentation, environment)
        return read(key, environment, in: range)
    }

    private func read(_ key: String, _ environment: String?, in range: ClosedRange<Int>) -> Int? {
        let within = { (number: Int) in range.contains(number) ? number : nil }
        return read(
            key, environment, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)",
            text: { Int($0).flatMap(within) }, json: { $0.int.flatMap(within) })
    }

    /// A number, as it is written, that may be absent.
    /// - Parameter example: A valid value, for the schema and for the message about a wrong one.
    package func optionalNumber(
        _ key: String, _ documentation: String, example: JSONNumber, environment: String? = nil
    ) -> JSONNumber? {
        describe(key, ["type": "number", "examples": [.number(example)]], documentation, environment)
        return read(key, environment, expected: "a number", text: { JSONNumber($0) }, json: \.number)
    }

    /// A number within a range.
    package func number(
        _ key: String, default value: Double, in range: ClosedRange<Double>, _ documentation: String,
        environment: String? = nil
    ) -> Double {
        let schema: JSONObject = [
            "type": "number", "default": .number(JSONNumber(value)),
            "minimum": .number(JSONNumber(range.lowerBound)), "maximum": .number(JSONNumber(range.upperBound)),
        ]
        describe(key, schema, documentation, environment)
        let within = { (number: Double) in range.contains(number) ? number : nil }
        return read(
            key, environment, expected: "a number from \(range.lowerBound) to \(range.upperBound)",
            text: { Double($0).flatMap(within) }, json: { $0.double.flatMap(within) }) ?? value
    }

    /// Reads `true` or `false`; an environment variable may also contain `1`, `0`, `yes`, `no`, `on` or `off`.
    package func bool(
        _ key: String, default value: Bool, _ documentation: String, environment: String? = nil
    ) -> Bool {
        describe(key, ["type": "boolean", "default": .bool(value)], documentation, environment)
        let words = [
            "true": true, "1": true, "yes": true, "on": true, "false": false, "0": false, "no": false, "off": false,
        ]
        return read(key, environment, expected: "true or false", text: { words[$0.lowercased()] }, json: \.bool)
            ?? value
    }

    /// Reads a duration: a string with a unit (`"500ms"`, `"10s"`, `"2m"`, `"1h"`, `"7d"`), or a number of seconds.
    package func duration(
        _ key: String, default value: Duration, in range: ClosedRange<Duration>, _ documentation: String,
        environment: String? = nil
    ) -> Duration {
        let schema: JSONObject = [
            "type": ["string", "number"], "default": .string(ConfigurationUnits.describe(value)),
            "examples": ["500ms", "10s", "2m"],
        ]
        describe(key, schema, documentation, environment)
        let bounds =
            "\(ConfigurationUnits.describe(range.lowerBound)) to \(ConfigurationUnits.describe(range.upperBound))"
        let parse = { (text: String) -> Duration? in
            ConfigurationUnits.duration(text).flatMap { range.contains($0) ? $0 : nil }
        }
        return read(
            key, environment, expected: "a duration from \(bounds), such as \"10s\"", text: parse,
            json: { value in parse(value.string ?? (value.double == nil ? "" : value.text)) }) ?? value
    }

    /// Reads a size in bytes: a string with a unit (`"64KiB"`, `"2.5MiB"`), or a number of bytes.
    package func bytes(
        _ key: String, default value: Int, in range: ClosedRange<Int>, _ documentation: String,
        environment: String? = nil
    ) -> Int {
        let schema: JSONObject = [
            "type": ["string", "integer"], "default": .string(ConfigurationUnits.describe(bytes: value)),
            "examples": ["64KiB", "2.5MiB"],
        ]
        describe(key, schema, documentation, environment)
        let parse = { (text: String) -> Int? in
            ConfigurationUnits.bytes(text).flatMap { range.contains($0) ? $0 : nil }
        }
        let low = ConfigurationUnits.describe(bytes: range.lowerBound)
        let high = ConfigurationUnits.describe(bytes: range.upperBound)
        return read(
            key, environment, expected: "a size from \(low) to \(high), such as \"64KiB\"", text: parse,
            json: { value in parse(value.string ?? (value.double == nil ? "" : value.text)) }) ?? value
    }

    /// Reads a size in bytes that may be absent.
    ///
    /// - Parameter example: A valid value, for the schema and for messages about a wrong one.
    package func optionalBytes(
        _ key: String, in range: ClosedRange<Int>, _ documentation: String, example: String,
        environment: String? = nil
    ) -> Int? {
        describe(key, ["type": ["string", "integer"], "examples": [.string(example)]], documentation, environment)
        let parse = { (text: String) -> Int? in
            ConfigurationUnits.bytes(text).flatMap { range.contains($0) ? $0 : nil }
        }
        let low = ConfigurationUnits.describe(bytes: range.lowerBound)
        let high = ConfigurationUnits.describe(bytes: range.upperBound)
        return read(
            key, environment, expected: "a size from \(low) to \(high), such as \"\(example)\"", text: parse,
            json: { value in parse(value.string ?? (value.double == nil ? "" : value.text)) })
    }

    /// Reads one of an enumeration's names.
    package func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, default value: Choice, _ documentation: String, environment: String? = nil
    ) -> Choice where Choice.RawValue == String {
        let names = Choice.allCases.map(\.rawValue)
        let schema: JSONObject = [
            "type": "string", "enum": .array(names.map { .string($0) }), "default": .string(value.rawValue),
        ]
        describe(key, schema, documentation, environment)
        let expected = "one of " + names.map { "\"\($0)\"" }.joined(separator: ", ")
        return read(
            key, environment, expected: expected, text: { Choice(rawValue: $0) },
            json: { $0.string.flatMap { Choice(rawValue: $0) } }) ?? value
    }

    /// One of an enumeration's names; nil where the key is absent.
    package func optionalChoice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, _ documentation: String, environment: String? = nil
    ) -> Choice? where Choice.RawValue == String {
        let names = Choice.allCases.map(\.rawValue)
        describe(key, ["type": "string", "enum": .array(names.map { .string($0) })], documentation, environment)
        let expected = "one of " + names.map { "\"\($0)\"" }.joined(separator: ", ")
        return read(
            key, environment, expected: expected, text: { Choice(rawValue: $0) },
            json: { $0.string.flatMap { Choice(rawValue: $0) } })
    }

    /// A list of values of any kind; nil where the key is absent. No environment variable stands for it.
    /// - Parameter example: A valid value, for the schema and for the message about a wrong one.
    package func values(_ key: String, _ documentation: String, example: [JSONValue]) -> [JSONValue]? {
        describe(key, ["type": "array", "examples": [.array(example)]], documentation, "")
        return read(key, "", expected: "an array", text: { _ in nil }, json: \.array)
    }

    /// A list of strings; an environment variable separates them with commas.
    package func strings(
        _ key: String, default value: [String], _ documentation: String, environment: String? = nil
    ) -> [String] {
        let schema: JSONObject = [
            "type": "array", "items": ["type": "string"], "default": .array(value.map { .string($0) }),
        ]
        describe(key, schema, documentation, environment)
        return read(
            key, environment, expected: "an array of strings",
            text: { $0.isEmpty ? [] : $0.split(separator: ",").map { String($0).trimmed() } },
            json: { value in
                guard let elements = value.array else { return nil }
                let strings = elements.compactMap(\.string)
                return strings.count == elements.count ? strings : nil
            }) ?? value
    }

    /// Returns any JSON value as it stands in the file.
    ///
    /// - Parameter example: Valid value, for the schema and for messages about a wrong one.
    package func json(_ key: String, _ documentation: String, example: JSONValue? = nil) -> JSONValue? {
        describe(key, example.map { ["examples": [$0]] } ?? [:], documentation, "")
        return context.overrides[dotted(key)] ?? object[key]
    }

    /// Reads a secret: from the environment, from the file that `keyFile` names, or (last) from `key` itself.
    ///
    /// One trailing line end of the file is dropped. Errors never show the value.
    package func secret(_ key: String, _ documentation: String, environment: String? = nil) -> Secret? {
        let secret = readSecret(key, documentation, environment: environment)
        if let secret { context.secrets.append(secret.value) }
        return secret
    }

    private func readSecret(_ key: String, _ documentation: String, environment: String?) -> Secret? {
        let fileKey = key + "File"
        describe(key, ["type": "string", "writeOnly": true], documentation, environment)
        let fileDocumentation = "The path of a file that holds `\(key)`."
        describe(fileKey, ["type": "string"], fileDocumentation, environment.map { $0 + "_FILE" })
        let name = environment ?? environmentName(key)
        if let value = context.environment[name], !value.isEmpty { return Secret(value) }
        let file = read(
            fileKey, environment.map { $0 + "_FILE" }, expected: "a path", text: { $0 }, json: \.string)
        if let file {
            do {
                return Secret(try context.readFile(file))
            } catch {
                fail(fileKey, expected: "a readable file", found: "\(file) (\(error))")
                return nil
            }
        }
        guard let value = object[key], !value.isNull else { return nil }
        guard let text = value.string else {
            fail(key, expected: "a string", found: "something else")
            return nil
        }
        return Secret(text)
    }
}

extension String {
    fileprivate func trimmed() -> String {
        String(drop(while: { $0 == " " }).reversed().drop(while: { $0 == " " }).reversed())
    }
}
