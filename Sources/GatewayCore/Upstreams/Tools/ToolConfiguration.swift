import JSON
import JSONConfiguration
import JSONSchema
package import MCP

/// A tool of an old chat backend or of an HTTP API, from configuration.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `title`, `description` | string | none | title for people, description for models |
/// | `inputSchema` | JSON Schema | no arguments | schema of the arguments; calls are checked against it |
/// | `outputSchema` | JSON Schema | none | schema of the structured result |
/// | `annotations` | section | none | `readOnlyHint`, `idempotentHint`, `destructiveHint`, `openWorldHint`, `title` |
/// | `timeout` | duration | the call's | time limit of one request to the server |
///
/// Kind `chat`: `type` (the name), `fields` (argument → field) and `reply.path` (`replies`).
/// Kind `http`: `method`, `path`, `query`, `headers`, `body`, `result.path` and `result.limit`.
package struct ToolConfiguration: Hashable, Sendable {
    /// Translation of a call into a request.
    enum Binding: Hashable, Sendable {
        case chat(ChatBinding)
        case http(RequestTemplate)
    }

    /// Translation into a payload of the old chat API.
    struct ChatBinding: Hashable, Sendable {
        let type: String
        /// Names of fields by argument, where they differ.
        let fields: [String: String]
    }

    package let definition: ToolDefinition
    /// Time limit of a call; nil: only the caller's deadline counts.
    package let timeout: Duration?
    let binding: Binding
    /// Path of the result in the response; empty: all of it.
    let path: [String]
    /// Largest number of elements of a list that are kept; 0: all.
    let limit: Int

    package var name: String { definition.name }
    /// True if a call may be repeated after its outcome was lost.
    var isIdempotent: Bool {
        definition.annotations?.readOnlyHint == true || definition.annotations?.idempotentHint == true
    }
    /// Facts of the caller's identity in the request, by their names in its templates.
    let callerFacts: [String]
    /// True if the request identifies the caller.
    var needsCaller: Bool { !callerFacts.isEmpty }

    init(_ name: String, kind: UpstreamConfiguration.Kind, _ reader: ConfigurationReader) {
        let schema = reader.json(
            "inputSchema", "JSON Schema of the tool's arguments. Default: no arguments.",
            example: ["type": "object", "properties": ["id": ["type": "integer"]], "required": ["id"]])
        let output = reader.json(
            "outputSchema", "JSON Schema of the tool's structured result.",
            example: ["type": "object", "properties": ["total": ["type": "number"]]])
        definition = ToolDefinition(
            name: name, title: reader.optionalString("title", "Title of the tool, for people.", example: "Order"),
            description: reader.optionalString(
                "description", "Description of the tool, for models.", example: "Reads an order by its number."),
            inputSchema: schema ?? ToolDefinition.emptyInputSchema, outputSchema: output,
            annotations: reader.optionalSection("annotations", "Hints about the tool's behaviour.", Self.annotations))
        let timeout = reader.duration(
            "timeout", default: .zero, in: .zero...(.seconds(3600)),
            "Time that one request to the server may take; 0: as long as the call. At its end the call is "
                + "upstream_timeout.")
        self.timeout = timeout > .zero ? timeout : nil
        let properties = definition.inputSchema["properties"]?.object ?? [:]
        // The schema has the keys of both kinds.
        if reader.isDescribing {
            _ = (Self.replyPath(reader), Self.chatBinding(name, properties, reader))
        }
        if kind == .chat {
            (path, limit) = (Self.path(Self.replyPath(reader)), 0)
            binding = .chat(Self.chatBinding(name, properties, reader))
            callerFacts = []
        } else {
            (path, limit) = reader.section("result", "Kind http: place of the result in the API's answer.") { reader in
                (
                    Self.path(
                        reader.string(
                            "path", default: "", "Path of the value in the answer: member names divided by dots.")),
                    reader.integer(
                        "limit", default: 0, in: 0...1_000_000, "Elements of a list that are kept; 0: all of them.")
                )
            }
            let template = RequestTemplate(properties, reader)
            binding = .http(template)
            callerFacts = template.arguments.filter(CallerIdentity.isFact).sorted()
        }
        check(properties, schema: schema, reader)
    }

    private static func replyPath(_ reader: ConfigurationReader) -> String {
        reader.section("reply", "Kind chat: place of the result in the backend's answer.") {
            $0.string("path", default: "replies", "Path of the value in the answer: member names divided by dots.")
        }
    }

    private static func path(_ text: String) -> [String] { text.split(separator: ".").map(String.init) }

    private static func annotations(_ reader: ConfigurationReader) -> ToolAnnotations {
        func hint(_ key: String, _ documentation: String) -> Bool? {
            let value = reader.bool(key, default: false, documentation)
            return reader.isPresent(key) ? value : nil
        }
        return ToolAnnotations(
            title: reader.optionalString("title", "Title of the tool, for people.", example: "Order"),
            readOnlyHint: hint("readOnlyHint", "true: the tool changes nothing; a call may be sent again."),
            destructiveHint: hint("destructiveHint", "true: the tool may delete or overwrite data."),
            idempotentHint: hint(
                "idempotentHint", "true: a repeated call has no further effect; a call may be sent again."),
            openWorldHint: hint("openWorldHint", "true: the tool reaches beyond the company's systems."))
    }

    private static func chatBinding(
        _ name: String, _ properties: JSONObject, _ reader: ConfigurationReader
    ) -> ChatBinding {
        let type =
            reader.optionalString(
                "type", "Kind chat: type of the payload. Not set: the tool's name.", example: "ai_prompt") ?? name
        let json = reader.json(
            "fields", "Kind chat: fields of the payload by argument, where their names differ.",
            example: ["prompt": "message"])
        var fields: [String: String] = [:]
        for (argument, field) in json?.object ?? [:] { fields[argument] = field.string ?? "" }
        if json != nil, json?.object == nil || fields.values.contains("") {
            reader.fail("fields", expected: "an object of strings", found: "something else")
        }
        // `type` selects the tool of the backend, so that no argument may set it.
        let targets = properties.map { fields[$0.key] ?? $0.key }
        if fields.values.contains("type") || targets.contains("type") {
            reader.fail("fields", expected: "a field other than \"type\" for each argument", found: "\"type\"")
        }
        if Set(targets).count < targets.count {
            reader.fail("fields", expected: "a field of its own for each argument", found: "one field for two")
        }
        return ChatBinding(type: type, fields: fields)
    }

    private func check(_ properties: JSONObject, schema: JSONValue?, _ reader: ConfigurationReader) {
        if let schema {
            if schema.object == nil {
                reader.fail("inputSchema", expected: "a JSON Schema object", found: "something else")
            } else if schema["type"]?.string != "object" {
                reader.fail("inputSchema.type", expected: "\"object\"", found: schema["type"]?.text ?? "nothing")
            } else if let problem = Self.problem(schema) {
                reader.fail("inputSchema", expected: "a JSON Schema", found: problem)
            }
        }
        guard case .http(let template) = binding else { return }
        for name in template.arguments.sorted() where properties[name] == nil && !CallerIdentity.isFact(name) {
            reader.fail(nil, expected: "templates that refer to properties of inputSchema", found: "\"{\(name)}\"")
        }
        for name in properties.keys where CallerIdentity.isFact(name) {
            reader.fail("inputSchema.properties.\(name)", expected: "another name", found: "a reserved one")
        }
        for field in template.query {
            guard let name = field.value.whole, properties[name]?["type"]?.string == "object" else { continue }
            reader.fail("query.\(field.name)", expected: "a scalar or a list", found: "\"\(name)\", an object")
        }
    }

    private static func problem(_ schema: JSONValue) -> String? {
        do {
            _ = try JSONSchema(schema)
            return nil
        } catch {
            return "\(error)"
        }
    }
}

extension RequestTemplate {
    private static let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

    /// - Parameter properties: Properties of the tool's input schema.
    init(_ properties: JSONObject, _ reader: ConfigurationReader) {
        method = reader.string(
            "method", default: "GET", "Kind http: HTTP method, one of \(Self.methods.joined(separator: ", ")).")
        if !Self.methods.contains(method) {
            reader.fail(
                "method", expected: "one of " + Self.methods.joined(separator: ", "), found: "\"\(method)\"")
        }
        let path = reader.requiredString(
            "path", "Kind http: path behind that of the URL; {argument} stands for one segment or a part of it.",
            example: "/orders/{id}", isAlternative: true)
        segments = Self.segments(path, reader)
        query = Self.fields(
            "query", "Kind http: parameters of the query by name; {argument} stands for an argument.", reader)
        headers = Self.fields("headers", "Kind http: headers by name; {argument} stands for an argument.", reader)
        for field in headers
        where ForwardConfiguration.isRefused(field.name)
            && !["content-type", "accept"].contains(field.name.lowercased())
        {
            reader.fail("headers", expected: "an end-to-end header's name", found: "\"\(field.name)\"")
        }
        let type = headers.first { $0.name.lowercased() == "content-type" }?.value.parts.first
        isForm =
            if case .text(let text) = type { text.lowercased().hasPrefix("application/x-www-form-urlencoded") } else {
                false
            }
        let json = reader.json(
            "body", "Kind http: JSON body; \"{argument}\" stands for the argument's value.",
            example: ["lines": "{lines}"])
        var problem: Template.SyntaxError?
        body = json.flatMap { json in
            do throws(Template.SyntaxError) {
                return try Self.body(json)
            } catch {
                problem = error
                return nil
            }
        }
        if let problem { reader.fail("body", expected: "a template", found: problem.description) }
        if isForm, json != nil, json?.object == nil {
            reader.fail("body", expected: "an object, for a form", found: "something else")
        }
    }

    private static func segments(_ path: String, _ reader: ConfigurationReader) -> [Template] {
        guard !path.isEmpty else { return [] }
        guard path.hasPrefix("/") else {
            reader.fail("path", expected: "a path that begins with /", found: "\"\(path)\"")
            return []
        }
        var segments: [Template] = []
        for segment in divided(path.dropFirst()) {
            guard let template = template(segment, "path", reader) else { continue }
            for case .text(let text) in template.parts where !isPathText(text) {
                reader.fail("path", expected: "characters of a path (RFC 3986)", found: "\"\(text)\"")
            }
            if segment == "." || segment == ".." {
                reader.fail("path", expected: "a path without . and ..", found: "\"\(path)\"")
            }
            segments.append(template)
        }
        return segments
    }

    /// The segments of a path; a slash within braces belongs to a name.
    private static func divided(_ path: Substring) -> [String] {
        var segments = [""]
        var isName = false
        for character in path {
            if character == "/", !isName {
                segments.append("")
                continue
            }
            // Of two braces the first stands for the second.
            if character == "{" { isName = !isName }
            if character == "}" { isName = false }
            segments[segments.count - 1].append(character)
        }
        return segments
    }

    private static func isPathText(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: "-._~!$&'()*+,;=:@%".utf8.contains(byte)
            }
        }
    }

    private static func fields(_ key: String, _ documentation: String, _ reader: ConfigurationReader) -> [Field] {
        guard let json = reader.json(key, documentation) else { return [] }
        guard let object = json.object else {
            reader.fail(key, expected: "an object", found: "something else")
            return []
        }
        return object.compactMap { name, value in
            switch value {
            case .string(let text): return template(text, "\(key).\(name)", reader).map { Field(name: name, value: $0) }
            case .number, .bool:
                return template(value.text, "\(key).\(name)", reader).map { Field(name: name, value: $0) }
            default:
                reader.fail("\(key).\(name)", expected: "text", found: "something else")
                return nil
            }
        }
    }

    private static func template(_ text: String, _ key: String, _ reader: ConfigurationReader) -> Template? {
        do throws(Template.SyntaxError) {
            let template = try Template(text)
            for case .text(let text) in template.parts
            where text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
                reader.fail(key, expected: "text without control characters", found: "one")
            }
            return template
        } catch {
            reader.fail(key, expected: "a template", found: error.description)
            return nil
        }
    }

    private static func body(_ json: JSONValue) throws(Template.SyntaxError) -> Body {
        switch json {
        case .string(let text):
            let template = try Template(text)
            guard template.arguments.isEmpty else { return .text(template) }
            let literal = template.parts.map { if case .text(let text) = $0 { text } else { "" } }.joined()
            return .constant(JSONText.quoted(literal))
        case .array(let elements):
            var parts: [Body] = []
            for element in elements { parts.append(try body(element)) }
            return .array(parts)
        case .object(let members):
            var parts: [Body.Member] = []
            for (name, value) in members {
                parts.append(
                    Body.Member(name: name, key: JSONText.quoted(name) + [UInt8(ascii: ":")], value: try body(value)))
            }
            return .object(parts)
        default: return .constant(json.serialized)
        }
    }
}
