import JSON

/// Translation of the security schemes of the imported operations into placeholders.
struct OpenAPISecurity {
    let schemas: OpenAPISchemas
    let root: JSONValue
    let file: String
    let upstream: String
    let isSwagger: Bool

    private var variable: String {
        ImportText.name(upstream).uppercased().replacing("-", with: "_")
    }

    /// Adds the headers that the operations' `security` requires to the upstream's section.
    func apply(_ requirements: [JSONValue], to section: inout JSONObject) {
        var names: [String] = []
        for requirement in requirements.flatMap({ $0.array ?? [] }) {
            for name in requirement.object?.keys ?? [] where !names.contains(name) { names.append(name) }
        }
        let known = isSwagger ? root["securityDefinitions"] : root["components"]?["securitySchemes"]
        for name in names {
            let place = "security \(ImportText.cut(name, 60))"
            guard let value = known?[name], let (scheme, _) = schemas.resolve(value, in: file, place) else {
                schemas.note(place, "the document does not describe it")
                continue
            }
            add(scheme, place, scopes(name, requirements), &section)
        }
    }

    private func scopes(_ name: String, _ requirements: [JSONValue]) -> [String] {
        var scopes: [String] = []
        for value in requirements.flatMap({ $0.array ?? [] }).flatMap({ $0[name]?.array ?? [] }) {
            if let scope = value.string, !scopes.contains(scope), scopes.count < 50 { scopes.append(scope) }
        }
        return scopes
    }

    private func add(_ scheme: JSONValue, _ place: String, _ scopes: [String], _ section: inout JSONObject) {
        switch scheme["type"]?.string {
        case "apiKey": addKey(scheme, place, &section)
        case "http" where scheme["scheme"]?.string?.lowercased() == "basic", "basic":
            addHeader(
                "Authorization", "\(variable)_AUTHORIZATION", "`Basic ` and NAME:PASSWORD in Base64", place, &section)
        case "http" where scheme["scheme"]?.string?.lowercased() == "bearer":
            addHeader("Authorization", "\(variable)_AUTHORIZATION", "`Bearer ` and the token", place, &section)
        case "oauth2": addOAuth(scheme, place, scopes, &section)
        case "openIdConnect":
            let url = scheme["openIdConnectUrl"]?.string ?? ""
            let issuer = url.replacing("/.well-known/openid-configuration", with: "")
            addToken("issuer", issuer, place, scopes, &section)
        case let type:
            schemas.note(place, "\(ImportText.cut(type ?? "a scheme without type", 30)) cannot be expressed here")
        }
    }

    private func addKey(_ scheme: JSONValue, _ place: String, _ section: inout JSONObject) {
        let name = scheme["name"]?.string ?? ""
        switch scheme["in"]?.string {
        case "header" where !name.isEmpty:
            addHeader(name, "\(variable)_API_KEY", "the key", place, &section)
        case "cookie" where !name.isEmpty:
            addHeader("Cookie", "\(variable)_COOKIE", "`\(ImportText.cut(name, 60))=` and the key", place, &section)
        case let location:
            schemas.note(
                place,
                "a key in the \(ImportText.cut(location ?? "request", 30)) cannot be expressed: ask for one in a header"
            )
        }
    }

    private func addHeader(
        _ name: String, _ variable: String, _ value: String, _ place: String, _ section: inout JSONObject
    ) {
        var headers = section["headers"]?.object ?? [:]
        guard headers[name] == nil, section["token"] == nil || name != "Authorization" else {
            return schemas.note(place, "left out: \(name) is filled already")
        }
        headers[name] = ["env": .string(variable)]
        section["headers"] = .object(headers)
        schemas.note(place, "put \(value) into the environment variable \(variable)")
    }

    private func addOAuth(_ scheme: JSONValue, _ place: String, _ scopes: [String], _ section: inout JSONObject) {
        let machine =
            isSwagger
            ? (scheme["flow"] == "application" ? scheme["tokenUrl"]?.string : nil)
            : scheme["flows"]?["clientCredentials"]?["tokenUrl"]?.string
        guard let machine else {
            schemas.note(
                place,
                "it asks for a token of the user: `forward` Authorization, or `token.exchange`; a fixed token stands in"
            )
            return addHeader("Authorization", "\(variable)_AUTHORIZATION", "`Bearer ` and a token", place, &section)
        }
        addToken("tokenURL", machine, place, scopes, &section)
    }

    private func addToken(
        _ key: String, _ url: String, _ place: String, _ scopes: [String], _ section: inout JSONObject
    ) {
        guard section["token"] == nil, section["headers"]?["Authorization"] == nil else {
            return schemas.note(place, "left out: Authorization is filled already")
        }
        var credentials: JSONObject = [
            key: .string(url), "clientID": "CLIENT-ID", "secret": ["env": .string("\(variable)_CLIENT_SECRET")],
        ]
        if !scopes.isEmpty { credentials["scope"] = .string(scopes.joined(separator: " ")) }
        section["token"] = ["clientCredentials": .object(credentials)]
        schemas.note(
            place, "put the client's id in the place of CLIENT-ID and its secret into \(variable)_CLIENT_SECRET")
    }
}
