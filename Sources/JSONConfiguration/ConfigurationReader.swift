package import JSON

/// Reader of one section of a configuration, which describes the section at the same time.
///
/// Each getter names its key, its default and its meaning once; the value, the errors, the JSON Schema and the name of
/// the environment variable follow from that. Precedence: command line, environment, file, default.
///
/// A getter never throws: it records an error and returns the default, so that one run reports all errors. ``finish()``
/// must be called on the root reader when everything has been read.
///
/// Not `Sendable`: a configuration is read by one thread at start or at reload.
package final class ConfigurationReader {
    /// Path of the section in the document, such as `chat.types.search_any`.
    package let path: [String]
    let object: JSONObject
    private let environmentPrefix: String
    let context: Context
    private var described: JSONObject = [:]
    var required: [String] = []
    /// Schema of keys whose names the user chooses; nil: other keys are errors.
    var additionalSchema: JSONValue?
    private var children: [ConfigurationReader] = []

    /// State that all readers of one document share.
    final class Context {
        let environment: [String: String]
        let overrides: [String: JSONValue]
        let readFile: (String) throws -> String
        /// True while a schema is made: every map and list is entered once although the document is empty.
        let describing: Bool
        var errors: [ConfigurationError] = []
        /// All secrets that were read, for redaction.
        var secrets: [String] = []

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
    ///   - document: JSON object of the section.
    ///   - path: Path of the section in the file, for error messages.
    ///   - environment: Environment of the process.
    ///   - environmentPrefix: Prefix of the section's environment variables, such as `GATEWAY`.
    ///   - overrides: Values from the command line by dotted path below this section; they take precedence over all
    ///     others.
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

    // MARK: Structure

    /// Reads a nested section; an absent one counts as empty. `environmentPrefix` replaces the prefix that follows from
    /// the path.
    /// - Throws: The errors of `read`.
    package func section<Value>(
        _ key: String, _ documentation: String, environmentPrefix: String? = nil,
        _ read: (ConfigurationReader) throws -> Value
    ) rethrows -> Value {
        let child = self.child(key, object[key], prefix: environmentPrefix ?? environmentName(key))
        let value = try read(child)
        describe(key, child.schemaObject, documentation, "")
        return value
    }

    /// Reads an optional nested section.
    /// - Throws: The errors of `read`.
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

    /// Reads a section whose keys are names that the user chooses; keeps the file's order.
    /// - Throws: The errors of `read`.
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

    /// Reads a list of sections.
    /// - Throws: The errors of `read`.
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

    /// Accepts a key that another process reads, without reading it.
    package func ignore(_ key: String, _ documentation: String) {
        describe(key, ["type": "object"], documentation, "")
    }

    /// Returns whether the file or the environment has a key.
    package func isPresent(_ key: String) -> Bool {
        context.overrides[dotted(key)] != nil || context.environment[environmentName(key)] != nil || object[key] != nil
    }

    /// Secrets that were read so far, in the whole document; to be redacted wherever text is written.
    package var secrets: [String] { context.secrets }

    /// True while the schema is made: nothing is read, and what depends on a value describes every case.
    package var isDescribing: Bool { context.describing }

    /// Names in the section, in the file's order.
    package var keys: [String] { object.map(\.key) }

    // MARK: Errors

    /// Records an error that only the caller can detect, such as a reference to something that does not exist.
    package func fail(_ key: String?, expected: String, found: String) {
        guard !context.describing else { return }
        let place = key.map(dotted) ?? path.joined(separator: ".")
        // A value that was refused is present, so that it is not also reported as missing.
        if found == "nothing", context.errors.contains(where: { $0.path == place }) { return }
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

    /// Returns the JSON Schema (2020-12) of the keys that `read` reads. `x-environment` names each key's environment
    /// variable.
    /// - Throws: The errors of `read`.
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
            "type": "object", "properties": .object(described),
            "additionalProperties": additionalSchema ?? false,
        ]
        if !required.isEmpty { schema["required"] = .array(required.map { .string($0) }) }
        return schema
    }

    func describe(_ key: String, _ schema: JSONObject, _ documentation: String, _ environment: String?) {
        var schema = schema
        schema["description"] = .string(documentation)
        let name = environment ?? environmentName(key)
        if !name.isEmpty { schema["x-environment"] = .string(name) }
        described[key] = .object(schema)
    }

    // MARK: Looking up

    func read<Value>(
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

    func dotted(_ key: String) -> String { (path + [key]).joined(separator: ".") }

    /// Returns the name of a key's variable: `maxBodyBytes` under `GATEWAY_LIMITS` is `GATEWAY_LIMITS_MAX_BODY_BYTES`.
    func environmentName(_ key: String) -> String {
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
