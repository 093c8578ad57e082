import JSON
import JSONSchema

/// Translation of the schemas of an OpenAPI document into JSON Schemas without references.
///
/// References are replaced by their targets, `allOf` is merged, the dialects of Swagger 2 and OpenAPI 3.0 become
/// 2020-12. A schema that contains itself, or is larger than a model should read, is cut: below that only the type
/// remains, and a note is added.
final class OpenAPISchemas {
    /// Use of a schema, for a request or a response: `readOnly` members are never sent.
    enum Use { case request, response }

    /// Largest number of subschemas of one tool's input or output.
    private static let maximumNodes = 400
    private static let maximumDepth = 12
    /// Largest number of references in a chain.
    private static let maximumReferences = 32

    private let files: ImportFiles
    private(set) var notes = ImportNotes()
    /// Schemas in progress, to detect one that contains itself.
    private var open: [ImportFiles.Place] = []
    private var nodes = 0
    private var goodPatterns: [String: Bool] = [:]

    init(_ files: ImportFiles) {
        self.files = files
    }

    /// Adds a note about a place of the document.
    func note(_ place: String, _ text: String) { notes.add(place, text) }

    // MARK: References

    /// Returns the target of a reference, or the value itself, and its file. Nil, with a note, where the target does
    /// not exist.
    func resolve(_ value: JSONValue, in file: String, _ place: String) -> (value: JSONValue, file: String)? {
        var (value, file) = (value, file)
        for _ in 0..<Self.maximumReferences {
            guard let reference = value["$ref"]?.string else { return (value, file) }
            guard let target = find(reference, from: file, place), let next = files.value(at: target) else {
                return nil
            }
            (value, file) = (next, target.file)
        }
        note(place, "references lead in a circle")
        return nil
    }

    private func find(_ reference: String, from file: String, _ place: String) -> ImportFiles.Place? {
        do throws(ImportError) {
            let target = try files.resolve(reference, from: file)
            if files.value(at: target) != nil { return target }
            note(place, "the reference \(ImportText.cut(reference, 100)) leads nowhere")
        } catch {
            note(place, error.description)
        }
        return nil
    }

    // MARK: Schemas

    /// Returns the JSON Schema without references for an OpenAPI schema; `{}`, which allows everything, where there is
    /// none.
    func schema(_ value: JSONValue, in file: String, _ use: Use, _ place: String) -> JSONObject {
        nodes = 0
        open = []
        return convert(value, in: file, use, place, depth: 0)
    }

    private func convert(
        _ value: JSONValue, in file: String, _ use: Use, _ place: String, depth: Int
    ) -> JSONObject {
        guard let object = value.object else { return value == false ? ["not": [:]] : [:] }
        nodes += 1
        guard nodes <= Self.maximumNodes, depth <= Self.maximumDepth else {
            note(
                place,
                "the schema is too large: below \(Self.maximumNodes) parts or \(Self.maximumDepth) levels only types are kept"
            )
            return bare(object)
        }
        guard let reference = object["$ref"]?.string else { return rewrite(object, in: file, use, place, depth: depth) }
        guard let target = find(reference, from: file, place), let next = files.value(at: target) else { return [:] }
        guard !open.contains(target), open.count < 64 else {
            note(place, "a schema that contains itself: only its type is kept inside")
            return bare(next.object ?? [:])
        }
        open.append(target)
        defer { open.removeLast() }
        var result = convert(next, in: target.file, use, place, depth: depth)
        // OpenAPI 3.1 allows descriptions beside a reference.
        for key in ["description", "default"] {
            if let own = object[key] { result[key] = key == "description" ? describe(own) : own }
        }
        return result
    }

    /// Returns the schema with only its type.
    private func bare(_ object: JSONObject) -> JSONObject {
        var result: JSONObject = [:]
        if let type = object["type"], type != "file" { result["type"] = type }
        if result["type"] == nil, object["properties"] != nil { result["type"] = "object" }
        if let text = object["description"] { result["description"] = describe(text) }
        if object["nullable"] == true { result = nullable(result) }
        return result
    }

    private func describe(_ text: JSONValue) -> JSONValue? {
        text.string.flatMap { $0.isEmpty ? nil : .string(ImportText.cut($0, 200)) }
    }

    private static let copied = [
        "type", "format", "enum", "const", "default", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "multipleOf", "minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "minProperties",
        "maxProperties",
    ]

    private func rewrite(
        _ object: JSONObject, in file: String, _ use: Use, _ place: String, depth: Int
    ) -> JSONObject {
        var result: JSONObject = [:]
        for key in Self.copied { result[key] = object[key] }
        if let text = object["description"] ?? object["title"] { result["description"] = describe(text) }
        mendBounds(&result)
        mendPattern(&result, place)
        mendType(&result, place)
        if let items = object["items"] {
            result["items"] = .object(convert(items, in: file, use, place + "[]", depth: depth + 1))
        }
        rewriteMembers(object, &result, in: file, use, place, depth)
        for key in ["oneOf", "anyOf"] {
            guard let alternatives = object[key]?.array, !alternatives.isEmpty else { continue }
            let converted = alternatives.map { convert($0, in: file, use, place, depth: depth + 1) }
            // Several forms may match once they are cut, and a client need not distinguish them.
            result["anyOf"] = .array(converted.map { .object($0) })
        }
        if let not = object["not"] {
            result["not"] = .object(convert(not, in: file, use, place, depth: depth + 1))
        }
        for part in object["allOf"]?.array ?? [] {
            result = merge(convert(part, in: file, use, place, depth: depth), into: result, place)
        }
        return object["nullable"] == true ? nullable(result) : result
    }

    private func rewriteMembers(
        _ object: JSONObject, _ result: inout JSONObject, in file: String, _ use: Use, _ place: String, _ depth: Int
    ) {
        let required = Set((object["required"]?.array ?? []).compactMap(\.string))
        if let properties = object["properties"]?.object {
            var members: JSONObject = [:]
            var needed: [JSONValue] = []
            for (name, property) in properties {
                if property[use == .request ? "readOnly" : "writeOnly"] == true { continue }
                members[name] = .object(convert(property, in: file, use, "\(place).\(name)", depth: depth + 1))
                if required.contains(name) { needed.append(.string(name)) }
            }
            result["properties"] = .object(members)
            if !needed.isEmpty { result["required"] = .array(needed) }
            if result["type"] == nil { result["type"] = "object" }
        } else if !required.isEmpty {
            result["required"] = .array(required.sorted().map { .string($0) })
        }
        switch object["additionalProperties"] {
        case .bool(let isAllowed)?: result["additionalProperties"] = .bool(isAllowed)
        case .object(let schema)?:
            let inner = convert(.object(schema), in: file, use, "\(place).*", depth: depth + 1)
            result["additionalProperties"] = .object(inner)
        default: break
        }
    }

    // MARK: Dialects

    /// Converts exclusive limits, which draft 4 and OpenAPI 3.0 write as a flag beside the limit.
    private func mendBounds(_ result: inout JSONObject) {
        for (flag, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
            guard let isExclusive = result[flag]?.bool else { continue }
            result[flag] = isExclusive ? result[bound] : nil
            if isExclusive { result[bound] = nil }
        }
    }

    private func mendPattern(_ result: inout JSONObject, _ place: String) {
        guard let pattern = result["pattern"]?.string else {
            result["pattern"] = nil
            return
        }
        let isGood = goodPatterns[pattern] ?? ((try? JSONSchema(["pattern": .string(pattern)])) != nil)
        goodPatterns[pattern] = isGood
        guard !isGood else { return }
        note(place, "the pattern is not a regular expression of JSON Schema and is left out")
        result["pattern"] = nil
    }

    private func mendType(_ result: inout JSONObject, _ place: String) {
        let known: Set<String> = ["string", "number", "integer", "boolean", "array", "object", "null"]
        guard let type = result["type"] else { return }
        let names = (type.array ?? [type]).compactMap(\.string)
        guard !names.isEmpty, names.allSatisfy(known.contains) else {
            if type != "file" { note(place, "the type \(ImportText.cut(type.text, 60)) is unknown and is left out") }
            result["type"] = nil
            return
        }
        if result["enum"]?.array == nil { result["enum"] = nil }
    }

    private func nullable(_ schema: JSONObject) -> JSONObject {
        var schema = schema
        switch schema["type"] {
        case .string(let type)?: schema["type"] = [.string(type), "null"]
        case .array(let types)?: schema["type"] = .array(types.contains("null") ? types : types + ["null"])
        default:
            if let alternatives = schema["anyOf"]?.array { schema["anyOf"] = .array(alternatives + [["type": "null"]]) }
        }
        if let values = schema["enum"]?.array, !values.contains(.null) { schema["enum"] = .array(values + [.null]) }
        return schema
    }

    /// Merges a part of `allOf` into the schema.
    private func merge(_ part: JSONObject, into whole: JSONObject, _ place: String) -> JSONObject {
        var result = whole
        for (key, value) in part {
            switch (key, result[key]) {
            case (_, nil): result[key] = value
            case ("description", _): break
            case ("properties", let known?):
                var members = known.object ?? [:]
                for (name, property) in value.object ?? [:] {
                    let joined = members[name]?.object.map { merge(property.object ?? [:], into: $0, place) }
                    members[name] = joined.map { .object($0) } ?? property
                }
                result[key] = .object(members)
            case ("required", let known?):
                let names = known.array ?? []
                result[key] = .array(names + (value.array ?? []).filter { !names.contains($0) })
            case ("additionalProperties", _):
                // One part forbids what another allows by name: the combination cannot be expressed.
                result[key] = nil
            case ("anyOf", let known?):
                note(place, "two sets of alternatives at once: the first is kept")
                result[key] = known
            case ("enum", let known?):
                let both = (known.array ?? []).filter { value.array?.contains($0) == true }
                if !both.isEmpty { result[key] = .array(both) }
            default: result[key] = value
            }
        }
        return result
    }
}
