import JSON

/// Translation of request bodies and responses into templates and schemas.
struct OpenAPIBody {
    typealias ImportError = OpenAPIParameters.ImportError

    let schemas: OpenAPISchemas
    let isSwagger: Bool
    let place: String

    private static let form = "application/x-www-form-urlencoded"

    /// Adds the body of a request.
    func add(
        _ operation: JSONObject, _ parameters: [OpenAPIParameters.Parameter], root: JSONValue, file: String,
        _ method: String, to request: inout ImportedRequest
    ) throws(ImportError) {
        if isSwagger {
            try addSwagger(operation, parameters, root, to: &request)
        } else if let value = operation["requestBody"],
            let (resolved, file) = schemas.resolve(value, in: file, place), let body = resolved.object
        {
            try addContent(body["content"]?.object ?? [:], isRequired: body["required"] == true, file, to: &request)
        }
        if request.body != nil, method == "get" || method == "head" {
            request.body = nil
            throw ImportError(reason: "\(method.uppercased()) with a body")
        }
    }

    private func addContent(
        _ content: JSONObject, isRequired: Bool, _ file: String, to request: inout ImportedRequest
    ) throws(ImportError) {
        guard !content.isEmpty else { return }
        for (type, media) in content where Self.isJSON(type) {
            let schema = media["schema"].map { schemas.schema($0, in: file, .request, "\(place) body") } ?? [:]
            noteOthers(content, taken: type)
            return spread(schema, isRequired, to: &request)
        }
        for (type, media) in content where Self.base(type) == Self.form {
            let schema = media["schema"].map { schemas.schema($0, in: file, .request, "\(place) body") } ?? [:]
            noteOthers(content, taken: type)
            request.headers["Content-Type"] = .string(Self.form)
            return spread(schema, isRequired, to: &request)
        }
        let types = content.keys.prefix(3).map { ImportText.cut($0, 60) }.joined(separator: ", ")
        guard !isRequired else { throw ImportError(reason: "its body is \(types), neither JSON nor a form") }
        schemas.note(place, "the body is left out: it is \(types), neither JSON nor a form")
    }

    private func noteOthers(_ content: JSONObject, taken: String) {
        guard content.count > 1 else { return }
        schemas.note(place, "of \(content.count) kinds of body \(ImportText.cut(taken, 60)) is taken")
    }

    private func addSwagger(
        _ operation: JSONObject, _ parameters: [OpenAPIParameters.Parameter], _ root: JSONValue,
        to request: inout ImportedRequest
    ) throws(ImportError) {
        let consumes = (operation["consumes"] ?? root["consumes"])?.array?.compactMap(\.string) ?? []
        if let body = parameters.first(where: { $0.location == "body" }) {
            let isRequired = body.object["required"] == true
            guard consumes.isEmpty || consumes.contains(where: Self.isJSON) else {
                let types = consumes.prefix(3).map { ImportText.cut($0, 60) }.joined(separator: ", ")
                guard !isRequired else { throw ImportError(reason: "its body is \(types), not JSON") }
                return schemas.note(place, "the body is left out: it is \(types), not JSON")
            }
            let schema = body.object["schema"].map { schemas.schema($0, in: body.file, .request, "\(place) body") }
            return spread(schema ?? [:], isRequired, to: &request)
        }
        let fields = parameters.filter { $0.location == "formData" }
        guard !fields.isEmpty else { return }
        guard !fields.contains(where: { $0.object["type"] == "file" }), consumes.isEmpty || consumes.contains(Self.form)
        else {
            guard fields.contains(where: { $0.object["required"] == true }) else {
                return schemas.note(place, "the body is left out: a form with files")
            }
            throw ImportError(reason: "its body is a form with files")
        }
        var body: JSONObject = [:]
        for field in fields {
            var own = field.object
            for key in ["name", "in", "required", "collectionFormat", "allowEmptyValue"] {
                own.removeValue(forKey: key)
            }
            let schema = schemas.schema(
                .object(own), in: field.file, .request, "\(place) \(ImportText.cut(field.name, 60))")
            let name = request.add(field.name, schema, isRequired: field.object["required"] == true, otherwise: "field")
            body[field.name] = .string("{\(name)}")
        }
        request.headers["Content-Type"] = .string(Self.form)
        request.body = .object(body)
    }

    /// Makes each member of an object an argument; a body of another kind is one argument.
    private func spread(_ schema: JSONObject, _ isRequired: Bool, to request: inout ImportedRequest) {
        let members = schema["properties"]?.object ?? [:]
        guard OpenAPIParameters.kind(schema) == "object", !members.isEmpty, schema["anyOf"] == nil else {
            let name = request.add("body", schema, isRequired: isRequired, otherwise: "body")
            request.body = .string("{\(name)}")
            return
        }
        if let more = schema["additionalProperties"], more != false {
            schemas.note(place, "members of the body that the document does not name cannot be sent")
        }
        let required = Set((schema["required"]?.array ?? []).compactMap(\.string))
        var body: JSONObject = [:]
        for (member, value) in members {
            let name = request.add(
                member, value.object ?? [:], isRequired: required.contains(member), otherwise: "member")
            if name != member { schemas.note(place, "the argument of \(ImportText.cut(member, 60)) is called \(name)") }
            body[member] = .string("{\(name)}")
        }
        request.body = .object(body)
    }

    // MARK: Responses

    /// Returns the schema of the tool's result: an object itself, anything else under `results`. Nil where the document
    /// does not describe it.
    func output(_ operation: JSONObject, root: JSONValue, file: String) -> JSONObject? {
        let responses = operation["responses"]?.object ?? [:]
        let statuses = ["200", "201", "202", "203", "2XX", "2xx", "default"].filter { responses[$0] != nil }
        guard let status = statuses.first, let value = responses[status],
            let (resolved, file) = schemas.resolve(value, in: file, place), let response = resolved.object
        else { return nil }
        guard let schema = responseSchema(response, operation, root) else { return nil }
        let converted = schemas.schema(schema, in: file, .response, "\(place) response")
        guard !converted.isEmpty else { return nil }
        if OpenAPIParameters.kind(converted) == "object", converted["type"] == "object" { return converted }
        return ["type": "object", "properties": ["results": .object(converted)], "required": ["results"]]
    }

    private func responseSchema(_ response: JSONObject, _ operation: JSONObject, _ root: JSONValue) -> JSONValue? {
        guard !isSwagger else {
            let produces = (operation["produces"] ?? root["produces"])?.array?.compactMap(\.string) ?? []
            return produces.isEmpty || produces.contains(where: Self.isJSON) ? response["schema"] : nil
        }
        let content = response["content"]?.object ?? [:]
        // Where an API has several content types, the gateway requests JSON.
        guard let type = content.keys.first(where: Self.isJSON) else { return nil }
        return content[type]?["schema"]
    }

    private static func base(_ type: String) -> String {
        String(type.prefix { $0 != ";" }).lowercased().filter { $0 != " " }
    }

    private static func isJSON(_ type: String) -> Bool {
        let type = base(type)
        return type == "application/json" || type == "*/*" || type == "application/*" || type == "text/json"
            || (type.hasPrefix("application/") && type.hasSuffix("+json"))
    }
}
