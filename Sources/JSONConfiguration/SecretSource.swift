package import JSON

/// A secret with its source, so that it can be read again: the text itself, an environment variable, or a file.
package struct SecretSource: Hashable, Sendable {
    /// Path of the file; nil for text and environment variables, which do not change while the process runs.
    package let file: String?
    /// Secret as it was when the configuration was read.
    package let value: Secret

    /// Describes a secret and the file that it was read from.
    package init(_ value: Secret, file: String? = nil) {
        self.value = value
        self.file = file
    }

    /// Returns the current secret in its file.
    ///
    /// - Throws: ``SecretFile/ReadError`` when the file cannot be read.
    package func read() throws -> Secret {
        guard let file else { return value }
        return Secret(try SecretFile.read(file))
    }
}

extension ConfigurationReader {
    /// Reads a secret written as text, as `{"env": NAME}` or as `{"file": PATH}`.
    ///
    /// One trailing line end of the file is dropped. Errors never show the value.
    package func secretSource(_ key: String, _ documentation: String) -> SecretSource? {
        describe(key, Self.secretSchema, documentation, nil)
        if let value = context.environment[environmentName(key)], !value.isEmpty {
            return collected(SecretSource(Secret(value)))
        }
        guard let found = object[key], !found.isNull else { return nil }
        if let text = found.string { return collected(SecretSource(Secret(text))) }
        guard let object = found.object, object.count == 1 else {
            fail(key, expected: Self.secretForms, found: "something else")
            return nil
        }
        if let name = object["env"]?.string {
            guard let value = context.environment[name], !value.isEmpty else {
                fail(key, expected: "the environment variable \(name)", found: "nothing")
                return nil
            }
            return collected(SecretSource(Secret(value)))
        }
        guard let path = object["file"]?.string else {
            fail(key, expected: Self.secretForms, found: "something else")
            return nil
        }
        do {
            return collected(SecretSource(Secret(try context.readFile(path)), file: path))
        } catch {
            fail(key, expected: "a readable file", found: "\(path) (\(error))")
            return nil
        }
    }

    /// Reads secrets by names that the user chooses, in the file's order.
    package func secretSources(_ key: String, _ documentation: String) -> [(name: String, value: SecretSource)] {
        section(key, documentation) { reader in
            reader.additionalSchema = .object(Self.secretSchema)
            return reader.keys.compactMap { name in
                reader.secretSource(name, "Value of the header \(name).").map { (name, $0) }
            }
        }
    }

    private func collected(_ source: SecretSource) -> SecretSource {
        context.secrets.append(source.value.value)
        return source
    }

    private static let secretForms = "text, {\"env\": NAME} or {\"file\": PATH}"

    private static let secretSchema: JSONObject = [
        "oneOf": [
            ["type": "string", "writeOnly": true],
            [
                "type": "object", "properties": ["env": ["type": "string"]], "required": ["env"],
                "additionalProperties": false,
            ],
            [
                "type": "object", "properties": ["file": ["type": "string"]], "required": ["file"],
                "additionalProperties": false,
            ],
        ],
        "examples": [["file": "/etc/chat-gateway/credentials/key"]],
    ]
}
