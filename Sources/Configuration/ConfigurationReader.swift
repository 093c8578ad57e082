package import JSON

/// Reads one section of a configuration, and describes it at the same time.
///
/// Each getter names its key, its default and its meaning once; from that follow the value, the errors, the JSON Schema
/// and the name of the environment variable. Precedence: command line, environment, file, default.
///
/// A getter never throws: it records what is wrong and returns the default, so that one run reports every error.
/// Call ``finish()`` on the root reader when everything has been read.
///
/// Not `Sendable`: a configuration is read by one thread at start or at reload.
package final class ConfigurationReader {
    /// The section's place in the document, such as `chat.types.search_any`.
    package let path: [String]
    private let object: JSONObject
    private let environmentPrefix: String
    private let context: Context
    private var described: JSONObject = [:]
    private var required: [String] = []
    private var children: [ConfigurationReader] = []

    /// What all readers of one document share.
    private final class Context {
        let environment: [String: String]
        let overrides: [String: JSONValue]
        let readFile: (String) throws -> String
        /// True while a schema is made: every map and list is entered once although the document is empty.
        let describing: Bool
        var errors: [ConfigurationError] = []

        init(
            environment: [String: String], overrides: [String: JSONValue], describing: Bool,
            readFile: @escaping (String) throws -> String
        ) {
            self.environment = environment
            self.overrides = overrides
            self.describing = describing
            self.readFile = readFile
        }
    }

    /// - Parameters:
    ///   - document: The section's JSON object.
    ///   - path: The section's place in the file, for error messages.
    ///   - environment: The process's environment.
    ///   - environmentPrefix: What the names of the section's environment variables begin with, such as `GATEWAY`.
    ///   - overrides: Values from the command line by dotted path below this section; they win over everything.
    ///   - readFile: Reads the file that a `…File` key names.
    package convenience init(
        document: JSONValue, path: [String] = [], environment: [String: String], environmentPrefix: String,
        overrides: [String: JSONValue] = [:], readFile: @escaping (String) throws -> String = SecretFile.read
    ) {
        let context = Context(
            environment: environment, overrides: overrides, describing: false, readFile: readFile)
        if document.object == nil {
            let found = Self.shown(document)
            context.errors.append(
                .init(path: path.joined(separator: "."), expected: "an object", found: found))
        }
        self.init(object: document.object ?? [:], path: path, prefix: environmentPrefix, context: context)
    }

    private init(object: JSONObject, path: [String], prefix: String, context: Context) {
        self.object = object
        self.path = path
        self.environmentPrefix = prefix
        self.context = context
    }

    // MARK: Scalars

    /// A string.
    package func string(
        _ key: String, default value: String, _ documentation: String, environment: String? = nil
    ) -> String {
        describe(key, ["type": "string", "default": .string(value)], documentation, environment)
        return read(key, environment, expected: "a string", text: { $0 }, json: \.string) ?? value
    }

    /// A string that may be absent.
    package func optionalString(_ key: String, _ documentation: String, environment: String? = nil) -> String? {
        describe(key, ["type": "string"], documentation, environment)
        return read(key, environment, expected: "a string", text: { $0 }, json: \.string)
    }

    /// A string that must be there; its absence is an error and gives an empty string.
    package func requiredString(_ key: String, _ documentation: String, environment: String? = nil) -> String {
        describe(key, ["type": "string"], documentation, environment)
        required.append(key)
        if let value = read(key, environment, expected: "a string", text: { $0 }, json: \.string) { return value }
        if object[key] == nil, !context.describing { fail(key, expected: "a string", found: "nothing") }
        return ""
    }

    /// A whole number within a range.
    package func integer(
        _ key: String, default value: Int, in range: ClosedRange<Int>, _ documentation: String,
        environment: String? = nil
    ) -> Int {
        let schema: JSONObject = [
            "type": "integer", "default": .number(JSONNumber(value)),
            "minimum": .number(JSONNumber(range.lowerBound)), "maximum": .number(JSONNumber(range.upperBound)),
        ]
        describe(key, schema, documentation, environment)
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        let within = { (number: Int) in range.contains(number) ? number : nil }
        return read(
            key, environment, expected: expected, text: { Int($0).flatMap(within) },
            json: { $0.int.flatMap(within) }) ?? value
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

    /// `true` or `false`; an environment variable may also say `1`, `0`, `yes`, `no`, `on` or `off`.
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

    /// A length of time: a string with a unit (`"500ms"`, `"10s"`, `"2m"`, `"1h"`, `"7d"`), or a number of seconds.
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

    /// A size in bytes: a string with a unit (`"64KiB"`, `"2.5MiB"`), or a number of bytes.
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

    /// One of an enumeration's names.
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

    /// Any JSON value, as it stands in the file.
    package func json(_ key: String, _ documentation: String) -> JSONValue? {
        describe(key, [:], documentation, "")
        return context.overrides[dotted(key)] ?? object[key]
    }

    /// A secret: from the environment, from the file that `keyFile` names, or (last) from `key` itself.
    ///
    /// One trailing line end of the file is dropped. Errors never show the value.
    package func secret(_ key: String, _ documentation: String, environment: String? = nil) -> Secret? {
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

    // MARK: Structure

    /// A nested section; absent counts as empty. `environmentPrefix` replaces the prefix that follows from the path.
    package func section<Value>(
        _ key: String, _ documentation: String, environmentPrefix: String? = nil,
        _ read: (ConfigurationReader) throws -> Value
    ) rethrows -> Value {
        let child = self.child(key, object[key], prefix: environmentPrefix ?? environmentName(key))
        let value = try read(child)
        describe(key, child.schemaObject, documentation, "")
        return value
    }

    /// A nested section that may be absent.
    package func optionalSection<Value>(
        _ key: String, _ documentation: String, environmentPrefix: String? = nil,
        _ read: (ConfigurationReader) throws -> Value
    ) rethrows -> Value? {
        let present = object[key].map { !$0.isNull } ?? false
        let child = self.child(key, object[key], prefix: environmentPrefix ?? environmentName(key))
        guard present || context.describing else {
            describe(key, ["type": "object"], documentation, "")
            return nil
        }
        let value = try read(child)
        describe(key, child.schemaObject, documentation, "")
        return present ? value : nil
    }

    /// A section whose keys are names that the user chooses; keeps the file's order.
    package func map<Value>(
        _ key: String, _ documentation: String, of noun: String,
        _ read: (String, ConfigurationReader) throws -> Value
    ) rethrows -> [(name: String, value: Value)] {
        let entries = child(key, object[key], prefix: environmentName(key))
        var values: [(name: String, value: Value)] = []
        for (name, value) in entries.object {
            let entry = entries.child(name, value, prefix: entries.environmentName(name))
            values.append((name, try read(name, entry)))
            entries.described[name] = [:]
        }
        var schema: JSONObject = ["type": "object"]
        if context.describing {
            let example = entries.child("<\(noun)>", nil, prefix: entries.environmentPrefix + "_<\(noun.uppercased())>")
            _ = try read("<\(noun)>", example)
            schema["additionalProperties"] = .object(example.schemaObject)
        }
        describe(key, schema, documentation, "")
        return values
    }

    /// A list of sections.
    package func list<Value>(
        _ key: String, _ documentation: String, _ read: (ConfigurationReader) throws -> Value
    ) rethrows -> [Value] {
        var values: [Value] = []
        if let found = object[key], !found.isNull {
            if let elements = found.array {
                for (index, element) in elements.enumerated() {
                    values.append(
                        try read(child("\(key)[\(index)]", element, prefix: environmentName(key) + "_\(index)")))
                }
            } else {
                fail(key, expected: "an array", found: Self.shown(found))
            }
        }
        var schema: JSONObject = ["type": "array"]
        if context.describing {
            let example = child("\(key)[0]", nil, prefix: environmentName(key) + "_0")
            _ = try read(example)
            schema["items"] = .object(example.schemaObject)
        }
        describe(key, schema, documentation, "")
        return values
    }

    /// A key that another process reads: it is allowed here and not looked at.
    package func ignore(_ key: String, _ documentation: String) {
        describe(key, ["type": "object"], documentation, "")
    }

    /// Whether the file or the environment says anything about a key.
    package func isPresent(_ key: String) -> Bool {
        context.overrides[dotted(key)] != nil || context.environment[environmentName(key)] != nil || object[key] != nil
    }

    /// The names in the section, in the file's order.
    package var keys: [String] { object.map(\.key) }

    // MARK: Errors

    /// Records an error that only the caller can see, such as a reference to something that does not exist.
    package func fail(_ key: String?, expected: String, found: String) {
        guard !context.describing else { return }
        let place = key.map(dotted) ?? path.joined(separator: ".")
        context.errors.append(.init(path: place, expected: expected, found: found))
    }

    /// Ends the reading of a document.
    ///
    /// - Throws: ``ConfigurationErrors`` with everything recorded, unknown keys included.
    package func finish() throws(ConfigurationErrors) {
        reportUnknownKeys()
        if !context.errors.isEmpty { throw ConfigurationErrors(context.errors) }
    }

    private func reportUnknownKeys() {
        for (key, _) in object where described[key] == nil {
            let nearest = NearestName.among(described.map(\.key), to: key)
            let hint = nearest.map { "the key \"\($0)\"" } ?? "a known key"
            context.errors.append(.init(path: dotted(key), expected: hint, found: "an unknown key"))
        }
        for child in children { child.reportUnknownKeys() }
    }

    // MARK: Schema

    /// The JSON Schema (2020-12) of what `read` reads. `x-environment` names each key's environment variable.
    package static func schema(
        title: String, environmentPrefix: String, _ read: (ConfigurationReader) throws -> some Any
    ) rethrows -> JSONValue {
        let context = Context(environment: [:], overrides: [:], describing: true, readFile: { _ in "" })
        let reader = ConfigurationReader(object: [:], path: [], prefix: environmentPrefix, context: context)
        _ = try read(reader)
        var schema: JSONObject = [
            "$schema": "https://json-schema.org/draft/2020-12/schema", "title": .string(title),
        ]
        for (key, value) in reader.schemaObject { schema[key] = value }
        return .object(schema)
    }

    private var schemaObject: JSONObject {
        var schema: JSONObject = [
            "type": "object", "properties": .object(described), "additionalProperties": false,
        ]
        if !required.isEmpty { schema["required"] = .array(required.map { .string($0) }) }
        return schema
    }

    private func describe(_ key: String, _ schema: JSONObject, _ documentation: String, _ environment: String?) {
        var schema = schema
        schema["description"] = .string(documentation)
        let name = environment ?? environmentName(key)
        if !name.isEmpty { schema["x-environment"] = .string(name) }
        described[key] = .object(schema)
    }

    // MARK: Looking up

    private func read<Value>(
        _ key: String, _ environment: String?, expected: String, text: (String) -> Value?,
        json: (JSONValue) -> Value?
    ) -> Value? {
        if let override = context.overrides[dotted(key)] {
            if let value = json(override) ?? override.string.flatMap(text) { return value }
            fail(key, expected: expected, found: Self.shown(override) + " on the command line")
            return nil
        }
        let name = environment ?? environmentName(key)
        if let raw = context.environment[name] {
            if let value = text(raw) { return value }
            fail(key, expected: expected, found: "\"\(raw.prefix(80))\" in \(name)")
            return nil
        }
        guard let found = object[key], !found.isNull else { return nil }
        if let value = json(found) { return value }
        fail(key, expected: expected, found: Self.shown(found))
        return nil
    }

    private func child(_ key: String, _ value: JSONValue?, prefix: String) -> ConfigurationReader {
        if let value, !value.isNull, value.object == nil {
            fail(key, expected: "an object", found: Self.shown(value))
        }
        let child = ConfigurationReader(
            object: value?.object ?? [:], path: path + [key], prefix: prefix, context: context)
        children.append(child)
        return child
    }

    private func dotted(_ key: String) -> String { (path + [key]).joined(separator: ".") }

    /// `maxBodyBytes` under `GATEWAY_LIMITS` is `GATEWAY_LIMITS_MAX_BODY_BYTES`.
    private func environmentName(_ key: String) -> String {
        var name = environmentPrefix + "_"
        var previousIsLower = false
        for character in key {
            if character.isUppercase, previousIsLower { name.append("_") }
            previousIsLower = character.isLowercase || character.isNumber
            name.append(character.isLetter || character.isNumber ? Character(character.uppercased()) : "_")
        }
        return name
    }

    private static func shown(_ value: JSONValue) -> String {
        let text = value.text
        return text.count > 80 ? "\(text.prefix(80))…" : text
    }
}

extension String {
    fileprivate func trimmed() -> String {
        String(drop(while: { $0 == " " }).reversed().drop(while: { $0 == " " }).reversed())
    }
}
