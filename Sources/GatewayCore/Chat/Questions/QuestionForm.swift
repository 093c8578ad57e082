import Foundation
import HTTPSyntax
import JSON
import JSONSchema
import MCP

/// A tool's question as a front-end draws it, and the check of the values that the user gives.
struct QuestionForm: Sendable {
    /// Text that the user is shown.
    let message: String
    private let content: Content

    private enum Content {
        /// Page that the user visits.
        case url(String)
        case fields([QuestionField], JSONSchema)
    }

    /// Largest number of fields of a question.
    static let fieldLimit = 100
    /// Longest address of a page, in bytes.
    static let urlLimit = 8192

    /// - Returns: Nil for a question that a form of simple fields cannot express, or whose page is not one of the web.
    init?(_ parameters: ElicitParameters) {
        message = parameters.message
        switch parameters.mode {
        case .url(let url, _):
            guard Self.isPage(url) else { return nil }
            content = .url(url)
        case .form(let schema):
            guard let fields = Self.fields(of: schema),
                let checked = try? JSONSchema(.object(schema), assertsDates: true)
            else { return nil }
            content = .fields(fields, checked)
        }
    }

    /// Returns whether a text is an address of the web that shows the user where it leads: without credentials, which
    /// look like a host, and without control characters.
    private static func isPage(_ url: String) -> Bool {
        guard url.utf8.count <= urlLimit, url.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }),
            let parts = URLComponents(string: url), let scheme = parts.scheme?.lowercased(),
            let host = parts.host, !host.isEmpty, parts.user == nil, parts.password == nil
        else { return false }
        return scheme == "https" || scheme == "http"
    }

    private static func fields(of schema: JSONObject) -> [QuestionField]? {
        let properties = schema["properties"]?.object ?? [:]
        let required = Set((schema["required"]?.array ?? []).compactMap(\.string))
        guard properties.count <= fieldLimit, required.allSatisfy({ properties[$0] != nil }) else { return nil }
        var fields: [QuestionField] = []
        for (name, property) in properties {
            if let field = QuestionField(name, property, isRequired: required.contains(name)) {
                fields.append(field)
            } else if required.contains(name) {
                return nil
            }
        }
        return fields
    }

    /// Returns the question for the front-end.
    ///
    /// - Parameter expires: End of the time for an answer, RFC 3339.
    func json(id: String, expires: String) -> JSONValue {
        var object: JSONObject = ["id": .string(id), "message": .string(message)]
        switch content {
        case .url(let url): object["url"] = .string(url)
        case .fields(let fields, _): object["fields"] = .array(fields.map(\.json))
        }
        object["expires"] = .string(expires)
        return .object(object)
    }

    /// Returns the user's answer for the tool.
    ///
    /// - Parameter values: Values by the names of the fields; nil or null: none.
    /// - Throws: The error that names the field whose value does not fit.
    func result(_ action: ElicitResult.Action, values: JSONValue?) throws(GatewayError) -> ElicitResult {
        guard action == .accept, case .fields(let fields, let schema) = content else {
            return ElicitResult(action: action)
        }
        let given = values.map { $0.isNull ? [:] : $0 } ?? [:]
        guard let object = given.object else {
            throw GatewayError(.invalidArgument, text: "values: expected object, found \(given.kind)")
        }
        for (name, value) in object {
            guard let field = fields.first(where: { ExactString($0.name) == ExactString(name) }) else {
                throw GatewayError(.invalidArgument, text: "\(name.printable(100)): the question has no such field")
            }
            if let problem = field.problem(of: value) {
                throw GatewayError(.invalidArgument, text: "\(name.printable(100)): \(problem)")
            }
        }
        // A check that would exceed its budget is left to the tool, as with arguments.
        if case .violations(let violations) = schema.verdict(on: given), let first = violations.first {
            throw GatewayError(.invalidArgument, text: first.message)
        }
        return ElicitResult(action: .accept, content: object)
    }
}

/// One field of a question's form.
struct QuestionField: Sendable {
    /// Control that a front-end shows.
    enum Kind: String, CaseIterable, Sendable {
        case text, number, integer, boolean, choice, choices
    }

    /// Value that the user may choose, with its text.
    private struct Option {
        let value: JSONValue
        let label: String
    }

    let name: String
    let kind: Kind
    private let isRequired: Bool
    private let property: JSONObject
    private let options: [Option]

    /// Keywords of a field's schema that help a front-end to check a value before it is sent.
    private static let hints = [
        "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
    ]

    /// - Parameter property: Schema of the field: of a string, a number or a boolean, or of a choice among strings (MCP,
    ///   Elicitation, "Requested Schema").
    /// - Returns: Nil for any other schema.
    init?(_ name: String, _ property: JSONValue, isRequired: Bool) {
        guard let object = property.object else { return nil }
        self.name = name
        self.isRequired = isRequired
        self.property = object
        let type = object["type"]?.string ?? object["type"]?.array?.lazy.compactMap(\.string).first { $0 != "null" }
        if type == "array" {
            guard let options = object["items"].flatMap(Self.options) else { return nil }
            self.options = options
            kind = .choices
            return
        }
        if let options = Self.options(property) {
            self.options = options
            kind = .choice
            return
        }
        options = []
        switch type {
        case "string", nil: kind = .text
        case "number": kind = .number
        case "integer": kind = .integer
        case "boolean": kind = .boolean
        default: return nil
        }
    }

    /// Returns the values that a schema enumerates; nil when it enumerates none.
    private static func options(_ schema: JSONValue) -> [Option]? {
        if let values = schema["enum"]?.array {
            let names = schema["enumNames"]?.array ?? []
            return values.enumerated().map { index, value in
                let name = names.indices.contains(index) ? names[index].string : nil
                return Option(value: value, label: name ?? text(value))
            }
        }
        guard let alternatives = schema["oneOf"]?.array ?? schema["anyOf"]?.array else { return nil }
        var options: [Option] = []
        for alternative in alternatives {
            guard let value = alternative["const"] else { return nil }
            options.append(Option(value: value, label: alternative["title"]?.string ?? text(value)))
        }
        return options.isEmpty ? nil : options
    }

    private static func text(_ value: JSONValue) -> String { value.string ?? value.text }

    /// JSON form for the front-end.
    var json: JSONValue {
        var object: JSONObject = [
            "name": .string(name), "label": .string(property["title"]?.string ?? name), "kind": .string(kind.rawValue),
        ]
        if !options.isEmpty {
            object["options"] = .array(options.map { ["value": $0.value, "label": .string($0.label)] })
        }
        if let value = property["default"] { object["default"] = value }
        object["required"] = .bool(isRequired)
        if let hint = property["description"]?.string { object["hint"] = .string(hint) }
        for hint in Self.hints { object[hint] = property[hint] }
        return .object(object)
    }

    /// Returns what is wrong with a value whose format JSON Schema does not check; nil when nothing is.
    func problem(of value: JSONValue) -> String? {
        guard let text = value.string else { return nil }
        switch property["format"]?.string {
        case "email":
            let parts = text.split(separator: "@", omittingEmptySubsequences: false)
            let isAddress = parts.count == 2 && !parts[0].isEmpty && !parts[1].isEmpty
            return isAddress && !text.contains(where: \.isWhitespace) ? nil : "expected an e-mail address"
        case "uri":
            let scheme = text.prefix { $0 != ":" }
            let isURI =
                scheme.utf8.count < text.utf8.count && HTTPSyntax.isToken(String(scheme))
                && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
            return isURI ? nil : "expected a URI"
        default: return nil
        }
    }
}
