package import JSON

/// An error of a configuration file with what helps to mend it, for people.
package struct ConfigurationProblem: Hashable, Sendable {
    /// One line: the key, what was expected and what was found.
    package let text: String
    /// Further lines: where it is, an example, what the key means.
    package let advice: [String]

    /// Describes a problem.
    package init(text: String, advice: [String] = []) {
        self.text = text
        self.advice = advice
    }

    /// Returns the problem and, indented, its advice.
    package func lines(path: String) -> [String] {
        ["\(path): \(text)"] + advice.map { "    " + $0 }
    }
}

extension ConfigurationErrors {
    /// Explains the errors by the document's text and by the schema of what was read from it.
    ///
    /// - Parameter schema: Schema as ``ConfigurationReader/schema(title:environmentPrefix:_:)`` makes it.
    package func problems(in document: ConfigurationDocument, schema: JSONValue) -> [ConfigurationProblem] {
        errors.map { error in
            let place = DocumentPath(error.path, in: document.bytes)
            return ConfigurationProblem(
                text: error.description, advice: KeyAdvice(error, at: place, schema: schema).lines)
        }
    }
}

/// Lines that the schema has about the key of an error.
private struct KeyAdvice {
    private(set) var lines: [String] = []

    init(_ error: ConfigurationError, at place: DocumentPath, schema: JSONValue) {
        guard var name = place.components.last else {
            lines = ["For example: {\"upstreams\": {\"tools\": {\"url\": \"http://127.0.0.1:8001/mcp/\"}}}"]
            return
        }
        let section = Self.section(place.components.dropLast(), schema)
        var key = section.flatMap { Self.key(name, of: $0) }
        if key == nil, let properties = section?["properties"]?.object,
            let nearest = NearestName.among(properties.map(\.key), to: name)
        {
            (name, key) = (nearest, properties[nearest])
        }
        let variable = key?["x-environment"]?.string
        // A value of the environment or the command line stands nowhere in the file.
        let isInFile =
            !error.found.hasSuffix(" on the command line") && variable.map { !error.found.hasSuffix($0) } != false
        if isInFile { lines.append("Line \(place.line) of the file.") }
        if let key, let example = Self.example(name, key, section) {
            let shown = isInFile ? "\(JSONValue.string(example.name).text): \(example.value.text)" : example.value.plain
            if shown.utf8.count <= 200 {
                lines.append("Example: " + (isInFile ? shown : "\(variable ?? name)=\(shown)"))
            }
        }
        if let text = key?["description"]?.string {
            lines.append("\(name): \(text)" + (variable.map { " Environment variable: \($0)." } ?? ""))
        } else if let properties = section?["properties"]?.object, !properties.isEmpty, key == nil {
            let known = properties.map(\.key).joined(separator: ", ")
            if known.utf8.count <= 400 { lines.append("Known keys here: \(known).") }
        }
    }

    /// Returns the schema of the section that `components` lead to; nil where nothing is known of it.
    private static func section(_ components: ArraySlice<String>, _ schema: JSONValue) -> JSONValue? {
        components.reduce(schema) { section, name in section.flatMap { key(name, of: $0) } }
    }

    private static func key(_ name: String, of section: JSONValue) -> JSONValue? {
        if name.hasPrefix("["), let items = section["items"] { return items }
        if let found = section["properties"]?[name] { return found }
        guard let entry = section["additionalProperties"], entry.object != nil else { return nil }
        return entry
    }

    /// Returns a valid value of a key. A secret's is that of the key beside it which names a file.
    private static func example(
        _ name: String, _ key: JSONValue, _ section: JSONValue?
    ) -> (name: String, value: JSONValue)? {
        if key["writeOnly"]?.bool == true {
            guard section?["properties"]?[name + "File"] != nil else { return nil }
            return (name + "File", .string("/etc/chat-gateway/credentials/" + name))
        }
        return value(of: key).map { (name, $0) }
    }

    private static func value(of schema: JSONValue) -> JSONValue? {
        if let value = schema["examples"]?.array?.first ?? schema["default"] ?? schema["enum"]?.array?.first {
            return value
        }
        guard schema["type"]?.string == "object" else { return nil }
        var object: JSONObject = [:]
        for name in schema["required"]?.array?.compactMap(\.string) ?? [] {
            guard let member = schema["properties"]?[name].flatMap(value) else { return nil }
            object[name] = member
        }
        // Of a section that may be empty, its first key that has a value shows more than {}.
        if object.isEmpty, let first = schema["properties"]?.object?.first(where: { value(of: $0.value) != nil }) {
            object[first.key] = value(of: first.value)
        }
        if object.isEmpty, let entry = schema["additionalProperties"], entry.object != nil {
            object["NAME"] = value(of: entry)
        }
        return object.isEmpty ? nil : .object(object)
    }
}

extension JSONValue {
    /// Value as an environment variable has it.
    fileprivate var plain: String {
        if let list = array { return list.map(\.plain).joined(separator: ",") }
        return string ?? text
    }
}
