import JSON
import TestSupport
import Testing

@testable import APIImport

/// Imports documents from a directory of their own.
enum ImportedDocument {
    /// Writes the files (the first is the document) and imports it.
    static func openAPI(
        _ files: [(name: String, text: String)], only: [String] = []
    ) throws -> (section: JSONValue, notes: [String]) {
        let directory = try TemporaryDirectory("import")
        for (name, text) in files { try directory.write(text, to: name) }
        let imported = try withExtendedLifetime(directory) {
            try OpenAPIImport.run(directory.path(files[0].name), upstream: "api", only: only)
        }
        let document = try JSONValue(parsing: imported.text, maximumDepth: 128)
        return (try #require(document["upstreams"]?["api"]), imported.notes)
    }

    static func openAPI(_ text: String, only: [String] = []) throws -> (section: JSONValue, notes: [String]) {
        try openAPI([("api.yaml", text)], only: only)
    }

    /// A document of OpenAPI 3 with these paths and components, as YAML.
    static func document(_ paths: String, _ components: String = "") -> String {
        """
        openapi: 3.0.3
        info: {title: T, version: "1"}
        servers: [{url: "https://api.example.org/v1/"}]
        paths:
        \(paths.split(separator: "\n", omittingEmptySubsequences: false).map { "  " + $0 }.joined(separator: "\n"))
        \(components)
        """
    }

    /// The one tool of a document with these paths.
    static func tool(_ paths: String, _ components: String = "") throws -> (tool: JSONValue, notes: [String]) {
        let (section, notes) = try openAPI(document(paths, components))
        let tools = try #require(section["tools"]?.object)
        try #require(tools.count == 1)
        return (tools[0].value, notes)
    }

    /// The arguments that the templates of a value name.
    static func placeholders(_ value: JSONValue) -> [String] {
        switch value {
        case .string(let text):
            text.replacing("{{", with: "").replacing("}}", with: "").split(separator: "{").dropFirst()
                .map { String($0.prefix { $0 != "}" }) }
        case .array(let elements): elements.flatMap(placeholders)
        case .object(let members): members.flatMap { placeholders($0.value) }
        default: []
        }
    }
}
