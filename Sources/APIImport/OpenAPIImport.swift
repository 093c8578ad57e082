import Foundation
import JSON
import JSONSchema

/// Import of an upstream of kind `http` from an OpenAPI 3 or Swagger 2 document.
///
/// Everything that the configuration cannot express is left out with a note. Limits: 64 MiB of documents, 20,000
/// operations, 400 parts of a schema.
package struct OpenAPIImport {
    static let maximumOperations = 20_000

    private let files: ImportFiles
    private let schemas: OpenAPISchemas
    private let upstream: String
    private let only: Set<String>
    private let isSwagger: Bool
    private var names = ImportNames()
    private var identifiers: Set<String> = []
    private var found: Set<String> = []
    private var used: [JSONValue] = []

    /// Reads the document at `path` and returns the section `upstreams.NAME`.
    ///
    /// - Parameters:
    ///   - upstream: Name of the upstream.
    ///   - only: Operations to import, by `operationId` or by the tool's name; empty: all.
    /// - Throws: `ImportError` for a document that cannot be read, has no operation, or lacks one of `only`.
    package static func run(
        _ path: String, upstream: String, only: [String] = []
    ) throws(ImportError) -> ImportedConfiguration {
        var work = try OpenAPIImport(ImportFiles(path), upstream, only)
        return try work.configuration(path)
    }

    /// Imports a document that is not a file, such as one that was fetched; all its references must lead into itself.
    ///
    /// - Throws: `ImportError`, as for a file.
    package static func run(
        _ content: [UInt8], named name: String, upstream: String, only: [String] = []
    ) throws(ImportError) -> ImportedConfiguration {
        var work = try OpenAPIImport(ImportFiles(content: content, named: name), upstream, only)
        return try work.configuration(name)
    }

    private init(_ files: ImportFiles, _ upstream: String, _ only: [String]) throws(ImportError) {
        guard upstream.utf8.count <= 64, !upstream.isEmpty, upstream == ImportText.name(upstream) else {
            throw ImportError(
                "--upstream: expected a name of letters, digits, _ and -, found \"\(ImportText.cut(upstream, 100))\"")
        }
        let root = files.root
        switch (root["openapi"]?.string ?? root["openapi"]?.text, root["swagger"]?.string ?? root["swagger"]?.text) {
        case (let version?, _) where version.hasPrefix("3.0") || version.hasPrefix("3.1"): isSwagger = false
        case (nil, let version?) where version.hasPrefix("2"): isSwagger = true
        case (let version?, _), (nil, let version?):
            throw ImportError("expected OpenAPI 3.0, 3.1 or Swagger 2.0, found version \(ImportText.cut(version, 30))")
        case (nil, nil):
            throw ImportError("expected an OpenAPI document: the key \"openapi\" or \"swagger\" is missing")
        }
        self.files = files
        schemas = OpenAPISchemas(files)
        self.upstream = upstream
        self.only = Set(only)
    }

    private mutating func configuration(_ path: String) throws(ImportError) -> ImportedConfiguration {
        let root = files.root
        guard let paths = root["paths"]?.object, !paths.isEmpty else {
            throw ImportError("\(path): the document has no paths")
        }
        var tools: JSONObject = [:]
        var operations = 0
        for (path, item) in paths where !path.hasPrefix("x-") {
            guard let (resolved, file) = schemas.resolve(item, in: files.main, path), let item = resolved.object else {
                schemas.note(path, "the path is left out")
                continue
            }
            for (method, operation) in item where Self.methods.contains(method) {
                operations += 1
                guard operations <= Self.maximumOperations else {
                    throw ImportError("more than \(Self.maximumOperations) operations; take some with --only")
                }
                let place = "\(method.uppercased()) \(path)"
                // Some documents keep each operation in a file of its own.
                guard let (resolved, file) = schemas.resolve(operation, in: file, place),
                    let operation = resolved.object
                else {
                    schemas.note(place, "the operation cannot be read and is left out")
                    continue
                }
                if let (name, tool) = self.tool(method, path, item, operation, file) { tools[name] = tool }
            }
            noteOthers(item, path)
        }
        if root["webhooks"]?.object?.isEmpty == false { schemas.note("webhooks", "left out: they are calls to you") }
        let missing = only.subtracting(found).sorted()
        guard missing.isEmpty else {
            throw ImportError(
                "--only: the document has no operation \(missing.map { ImportText.cut($0, 100) }.joined(separator: ", "))"
            )
        }
        guard !tools.isEmpty else { throw ImportError("\(path): no operation can be expressed as a tool") }
        var section: JSONObject = ["kind": "http", "url": .string(url(root))]
        OpenAPISecurity(schemas: schemas, root: root, file: files.main, upstream: upstream, isSwagger: isSwagger)
            .apply(used, to: &section)
        section["tools"] = .object(tools)
        let text = JSONValue.object(["upstreams": [upstream: .object(section)]]).prettyText
        return ImportedConfiguration(text: text, notes: schemas.notes.lines)
    }

    private static let methods: Set<String> = ["get", "put", "post", "delete", "patch", "head"]

    private func noteOthers(_ item: JSONObject, _ path: String) {
        for method in ["options", "trace", "query"] where item[method] != nil {
            schemas.note("\(method.uppercased()) \(path)", "left out: no tool can have this method")
        }
    }

    // MARK: One operation

    private mutating func tool(
        _ method: String, _ path: String, _ item: JSONObject, _ operation: JSONObject, _ file: String
    ) -> (name: String, tool: JSONValue)? {
        let place = "\(method.uppercased()) \(path)"
        let identifier = operation["operationId"]?.string ?? ""
        let wanted = ImportText.name(identifier.isEmpty ? "\(method)_\(path)" : identifier)
        let isWanted = only.isEmpty || only.contains(identifier) || only.contains(wanted)
        guard isWanted else { return nil }
        for name in [identifier, wanted] where only.contains(name) { found.insert(name) }
        if !identifier.isEmpty, !identifiers.insert(identifier).inserted {
            schemas.note(place, "the operationId \(ImportText.cut(identifier, 64)) comes twice")
        }
        do throws(OpenAPIParameters.ImportError) {
            try checkServers(item, operation)
            let tool = try make(method, path, item, operation, file, place)
            let name = names.unique(wanted.isEmpty ? "tool" : wanted)
            if name != identifier, !identifier.isEmpty { schemas.note(place, "the tool is called \(name)") }
            let security = operation["security"] ?? files.root["security"]
            if let security, !used.contains(security) { used.append(security) }
            return (name, .object(tool))
        } catch {
            schemas.note(place, "left out: \(error.reason)")
            return nil
        }
    }

    private func checkServers(_ item: JSONObject, _ operation: JSONObject) throws(OpenAPIParameters.ImportError) {
        guard let servers = operation["servers"] ?? item["servers"], servers.array?.isEmpty == false else { return }
        guard servers != files.root["servers"] else { return }
        throw .init(reason: "it has a server of its own: give it an upstream of its own")
    }

    private func make(
        _ method: String, _ path: String, _ item: JSONObject, _ operation: JSONObject, _ file: String, _ place: String
    ) throws(OpenAPIParameters.ImportError) -> JSONObject {
        let reading = OpenAPIParameters(schemas: schemas, isSwagger: isSwagger, place: place)
        let parameters = reading.parameters([item["parameters"], operation["parameters"]], in: file)
        let pathAndQuery = path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var request = ImportedRequest(path: String(pathAndQuery.first?.prefix { $0 != "#" } ?? "/"))
        if pathAndQuery.count > 1 { addFixedQuery(pathAndQuery[1], &request) }
        for parameter in parameters { try reading.add(parameter, to: &request) }
        finishPath(&request, place)
        let body = OpenAPIBody(schemas: schemas, isSwagger: isSwagger, place: place)
        try body.add(operation, parameters, root: files.root, file: file, method, to: &request)

        var tool: JSONObject = ["method": .string(method.uppercased()), "path": .string(request.path)]
        if !request.query.isEmpty { tool["query"] = .object(request.query) }
        if !request.headers.isEmpty { tool["headers"] = .object(request.headers) }
        tool["body"] = request.body
        describe(operation, item, &tool)
        tool["inputSchema"] = .object(checked(request.inputSchema, "the input schema", place))
        if let output = body.output(operation, root: files.root, file: file) {
            tool["outputSchema"] = .object(checked(output, "the output schema", place))
        }
        tool["annotations"] = Self.annotations(method)
        if operation["callbacks"]?.object?.isEmpty == false {
            schemas.note(place, "callbacks are left out: they are calls to you")
        }
        return tool
    }

    /// Returns the schema, or one that allows any object where the gateway could not read it.
    private func checked(_ schema: JSONObject, _ name: String, _ place: String) -> JSONObject {
        do throws(JSONSchemaError) {
            _ = try JSONSchema(.object(schema))
            return schema
        } catch {
            schemas.note(place, "\(name) cannot be used and is left open: \(error)")
            return ["type": "object"]
        }
    }

    private func addFixedQuery(_ query: Substring, _ request: inout ImportedRequest) {
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                String($0).removingPercentEncoding ?? String($0)
            }
            request.query[parts[0]] = .string(ImportText.literal(parts.count > 1 ? parts[1] : ""))
        }
    }

    /// Adds arguments for placeholders that no parameter describes, and doubles all other braces.
    private func finishPath(_ request: inout ImportedRequest, _ place: String) {
        while let start = request.path.firstIndex(of: "{"), let end = request.path[start...].firstIndex(of: "}") {
            let inner = String(request.path[request.path.index(after: start)..<end])
            schemas.note(place, "nothing describes {\(ImportText.cut(inner, 60))} of the path: it is taken for text")
            let name = request.add(inner, ["type": "string"], isRequired: true, otherwise: "path")
            request.path.replaceSubrange(start...end, with: "\u{1}\(name)\u{2}")
        }
        request.path = ImportText.literal(request.path)
            .replacing("\u{1}", with: "{").replacing("\u{2}", with: "}")
        if !request.path.hasPrefix("/") { request.path = "/" + request.path }
    }

    private func describe(_ operation: JSONObject, _ item: JSONObject, _ tool: inout JSONObject) {
        let summary = ImportText.cut(operation["summary"]?.string ?? item["summary"]?.string ?? "", 80)
        var text = ImportText.cut(operation["description"]?.string ?? item["description"]?.string ?? "", 400)
        if text.isEmpty { text = summary }
        if operation["deprecated"] == true { text = "Deprecated. " + text }
        if !summary.isEmpty { tool["title"] = .string(summary) }
        if !text.isEmpty { tool["description"] = .string(text) }
    }

    /// Returns hints by the method, to be reviewed by a person who knows the API.
    private static func annotations(_ method: String) -> JSONValue {
        switch method {
        case "get", "head": ["readOnlyHint": true]
        case "put": ["readOnlyHint": false, "idempotentHint": true]
        case "delete": ["readOnlyHint": false, "destructiveHint": true, "idempotentHint": true]
        default: ["readOnlyHint": false]
        }
    }

    // MARK: Server

    private func url(_ root: JSONValue) -> String {
        let url = isSwagger ? swaggerURL(root) : serverURL(root)
        guard !url.hasPrefix("https://"), !url.hasPrefix("http://") else {
            return url.hasSuffix("/") ? String(url.dropLast()) : url
        }
        schemas.note("servers", "no server with a host: put the API's address in the place of https://api.example.com")
        let path = url.hasPrefix("/") ? url : "/" + url
        return "https://api.example.com" + (path == "/" ? "" : path.hasSuffix("/") ? String(path.dropLast()) : path)
    }

    private func serverURL(_ root: JSONValue) -> String {
        let servers = root["servers"]?.array ?? []
        if servers.count > 1 { schemas.note("servers", "the first of \(servers.count) is taken") }
        var url = servers.first?["url"]?.string ?? ""
        for (name, variable) in servers.first?["variables"]?.object ?? [:] {
            url = url.replacing("{\(name)}", with: variable["default"]?.string ?? name)
            schemas.note("servers", "the variable \(ImportText.cut(name, 60)) has its default value")
        }
        return url
    }

    private func swaggerURL(_ root: JSONValue) -> String {
        let path = root["basePath"]?.string ?? ""
        guard let host = root["host"]?.string else { return path }
        let schemes = (root["schemes"]?.array ?? []).compactMap(\.string)
        let scheme = schemes.contains("https") || schemes.isEmpty ? "https" : "http"
        return "\(scheme)://\(host)\(path == "/" ? "" : path)"
    }
}
