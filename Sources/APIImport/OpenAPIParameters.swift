import HTTPSyntax
import JSON

/// An argument of a tool that is being built.
struct ImportedArgument {
    let name: String
    var schema: JSONObject
    let isRequired: Bool
}

/// Request of one tool while it is being built: arguments, and the templates that they fill.
struct ImportedRequest {
    private(set) var arguments: [ImportedArgument] = []
    private var names = ImportNames()
    var path: String
    var query: JSONObject = [:]
    var headers: JSONObject = [:]
    var body: JSONValue?

    init(path: String) {
        self.path = path
    }

    /// Adds an argument under an unused name and returns the name.
    mutating func add(_ wanted: String, _ schema: JSONObject, isRequired: Bool, otherwise fallback: String) -> String {
        let plain = ImportText.name(wanted)
        let name = names.unique(plain.isEmpty ? fallback : plain)
        arguments.append(ImportedArgument(name: name, schema: schema, isRequired: isRequired))
        return name
    }

    /// Schema of all arguments.
    var inputSchema: JSONObject {
        var properties: JSONObject = [:]
        for argument in arguments { properties[argument.name] = .object(argument.schema) }
        var schema: JSONObject = ["type": "object", "properties": .object(properties)]
        let required = arguments.filter(\.isRequired).map { JSONValue.string($0.name) }
        if !required.isEmpty { schema["required"] = .array(required) }
        schema["additionalProperties"] = false
        return schema
    }
}

/// Translation of the parameters of an operation into arguments and templates.
struct OpenAPIParameters {
    /// Headers that the gateway itself writes, and that OpenAPI does not allow as parameters.
    private static let ownHeaders: Set<String> = [
        "accept", "content-type", "authorization", "content-length", "host", "connection", "transfer-encoding", "te",
        "upgrade", "trailer", "keep-alive", "proxy-authorization", "cookie", "accept-encoding", "expect",
    ]

    let schemas: OpenAPISchemas
    /// True if the document is Swagger 2, where the type is in the parameter itself.
    let isSwagger: Bool
    let place: String

    /// Reason why an operation cannot be a tool.
    struct ImportError: Error { let reason: String }

    /// A parameter with its references resolved.
    struct Parameter {
        let object: JSONObject
        let file: String
        var name: String { object["name"]?.string ?? "" }
        var location: String { object["in"]?.string ?? "" }
    }

    /// Returns the parameters of an operation: those of its path, and its own, which take precedence.
    func parameters(_ lists: [JSONValue?], in file: String) -> [Parameter] {
        var found: [Parameter] = []
        for list in lists {
            for value in list?.array ?? [] {
                guard let (resolved, file) = schemas.resolve(value, in: file, place), let object = resolved.object
                else {
                    continue
                }
                let parameter = Parameter(object: object, file: file)
                guard !parameter.name.isEmpty else {
                    schemas.note(place, "a parameter without a name is left out")
                    continue
                }
                found.removeAll { $0.name == parameter.name && $0.location == parameter.location }
                found.append(parameter)
            }
        }
        return found
    }

    /// Adds one parameter of a path, query, header or cookie.
    func add(_ parameter: Parameter, to request: inout ImportedRequest) throws(ImportError) {
        let isRequired = parameter.location == "path" || parameter.object["required"] == true
        do throws(ImportError) {
            switch parameter.location {
            case "path": try addPath(parameter, to: &request)
            case "query": try addQuery(parameter, isRequired, to: &request)
            case "header": try addHeader(parameter, isRequired, to: &request)
            case "body", "formData": break
            default: throw ImportError(reason: "in \(ImportText.cut(parameter.location, 30))")
            }
        } catch {
            guard isRequired else {
                schemas.note(place, "the parameter \(ImportText.cut(parameter.name, 60)) is left out: \(error.reason)")
                return
            }
            throw ImportError(
                reason:
                    "the required parameter \(ImportText.cut(parameter.name, 60)) cannot be expressed: \(error.reason)")
        }
    }

    private func addPath(_ parameter: Parameter, to request: inout ImportedRequest) throws(ImportError) {
        let marker = "{\(parameter.name)}"
        guard request.path.contains(marker) else {
            schemas.note(
                place, "the parameter \(ImportText.cut(parameter.name, 60)) is not in the path and is left out")
            return
        }
        let prefix =
            switch parameter.object["style"]?.string {
            case "label"?: "."
            case "matrix"?: ";\(parameter.name)="
            default: ""
            }
        let schema = try scalar(parameter, list: "comma-separated")
        let name = request.add(parameter.name, schema, isRequired: true, otherwise: "path")
        request.path = request.path.replacing(marker, with: "\(prefix)\u{1}\(name)\u{2}")
    }

    private func addQuery(_ parameter: Parameter, _ isRequired: Bool, to request: inout ImportedRequest)
        throws(ImportError)
    {
        let schema = self.schema(parameter)
        let kind = Self.kind(schema)
        if kind == "object", parameter.object["content"] == nil {
            return try addObject(parameter, schema, isRequired, to: &request)
        }
        var final = schema
        if kind == "array" {
            let separator = Self.separator(parameter.object, isSwagger)
            if let separator { final = Self.listAsText(schema, separator) }
        } else {
            final = try scalar(parameter, list: "comma-separated")
        }
        let name = request.add(parameter.name, final, isRequired: isRequired, otherwise: "query")
        request.query[parameter.name] = .string("{\(name)}")
    }

    /// Adds an object in a query, spread over its members: `filter[state]=…` or `state=…`.
    private func addObject(
        _ parameter: Parameter, _ schema: JSONObject, _ isRequired: Bool, to request: inout ImportedRequest
    ) throws(ImportError) {
        let isDeep = parameter.object["style"] == "deepObject"
        guard let members = schema["properties"]?.object, !members.isEmpty,
            isDeep || parameter.object["explode"] != false
        else { throw ImportError(reason: "an object without known members") }
        let needed = Set((schema["required"]?.array ?? []).compactMap(\.string))
        for (member, value) in members {
            let inner = value.object ?? [:]
            guard Self.kind(inner) != "object" else {
                schemas.note(
                    place,
                    "the member \(ImportText.cut(member, 60)) of \(ImportText.cut(parameter.name, 60)) is left out: an object in an object"
                )
                continue
            }
            let key = isDeep ? "\(parameter.name)[\(member)]" : member
            let name = request.add(
                isDeep ? "\(parameter.name)_\(member)" : member, inner,
                isRequired: isRequired && needed.contains(member),
                otherwise: "query")
            request.query[key] = .string("{\(name)}")
        }
    }

    private func addHeader(_ parameter: Parameter, _ isRequired: Bool, to request: inout ImportedRequest)
        throws(ImportError)
    {
        guard HTTPSyntax.isToken(parameter.name) else { throw ImportError(reason: "no header has such a name") }
        guard !Self.ownHeaders.contains(parameter.name.lowercased()) else {
            schemas.note(place, "the header \(parameter.name) is left out: the gateway writes it")
            return
        }
        let name = request.add(
            parameter.name, try scalar(parameter, list: "comma-separated"), isRequired: isRequired, otherwise: "header")
        request.headers[parameter.name] = .string("{\(name)}")
    }

    // MARK: Schemas

    private func schema(_ parameter: Parameter) -> JSONObject {
        let place = "\(self.place) \(ImportText.cut(parameter.name, 60))"
        var schema: JSONObject
        if isSwagger, parameter.object["schema"] == nil {
            // The schema is everything but the parameter's own members.
            var own = parameter.object
            for key in ["name", "in", "required", "collectionFormat", "allowEmptyValue", "description"] {
                own.removeValue(forKey: key)
            }
            schema = schemas.schema(.object(own), in: parameter.file, .request, place)
        } else if let value = parameter.object["schema"] {
            schema = schemas.schema(value, in: parameter.file, .request, place)
        } else if parameter.object["content"] != nil {
            schema = ["type": "string", "description": "JSON text."]
        } else {
            schema = ["type": "string"]
        }
        if let text = parameter.object["description"]?.string, !text.isEmpty {
            schema["description"] = .string(ImportText.cut(text, 200))
        }
        return schema
    }

    /// Returns the schema of a value that becomes text; a list becomes text with separators.
    private func scalar(_ parameter: Parameter, list: String) throws(ImportError) -> JSONObject {
        let schema = self.schema(parameter)
        switch Self.kind(schema) {
        case "array": return Self.listAsText(schema, list)
        case "object": throw ImportError(reason: "an object as text")
        default: return schema
        }
    }

    private static func listAsText(_ schema: JSONObject, _ separator: String) -> JSONObject {
        let text = [schema["description"]?.string, "A \(separator) list."].compactMap(\.self).joined(separator: " ")
        var result: JSONObject = ["type": "string", "description": .string(text)]
        if let values = schema["items"]?["enum"]?.array {
            let names = values.prefix(20).map { $0.string ?? $0.text }.joined(separator: ", ")
            result["description"] = .string("\(text) Of: \(ImportText.cut(names, 200)).")
        }
        return result
    }

    /// Returns a description of the separator of a list in a query; nil where the parameter is repeated.
    private static func separator(_ parameter: JSONObject, _ isSwagger: Bool) -> String? {
        if isSwagger {
            return switch parameter["collectionFormat"]?.string {
            case "multi"?: nil
            case "ssv"?: "blank-separated"
            case "tsv"?: "tab-separated"
            case "pipes"?: "|-separated"
            default: "comma-separated"
            }
        }
        return switch (parameter["style"]?.string, parameter["explode"]?.bool) {
        case ("spaceDelimited"?, let explode): explode == true ? nil : "blank-separated"
        case ("pipeDelimited"?, let explode): explode == true ? nil : "|-separated"
        case (_, false?): "comma-separated"
        default: nil
        }
    }

    /// Returns the only type of a schema, except null; `object` where it has members.
    static func kind(_ schema: JSONObject) -> String? {
        let types = (schema["type"]?.array ?? [schema["type"] ?? .null]).compactMap(\.string).filter { $0 != "null" }
        if types.contains("object") || schema["properties"] != nil { return "object" }
        return types.contains("array") ? "array" : types.first
    }
}
