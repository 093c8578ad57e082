import JSON

/// Reader of the keywords of one schema object. Errors name the keyword; the compiler adds the place.
struct JSONSchemaKeywords {
    let object: JSONObject
    /// Place of the object in the document.
    let place: Int

    func invalid(_ key: String, _ expected: String) -> JSONSchemaError {
        let found = object[key].map { $0.kind.description } ?? "nothing"
        return .invalid(at: key, reason: "expected \(expected), found \(found)")
    }

    func string(_ key: String) throws(JSONSchemaError) -> String? {
        guard let value = object[key] else { return nil }
        guard let string = value.string else { throw invalid(key, "a string") }
        return string
    }

    func array(_ key: String) throws(JSONSchemaError) -> [JSONValue]? {
        guard let value = object[key] else { return nil }
        guard let array = value.array else { throw invalid(key, "an array") }
        return array
    }

    func strings(_ key: String) throws(JSONSchemaError) -> [String]? {
        guard let array = try array(key) else { return nil }
        let strings = array.compactMap(\.string)
        guard strings.count == array.count else { throw invalid(key, "an array of strings") }
        return strings
    }

    /// Returns a limit. Draft 4's boolean `exclusiveMinimum` is ignored.
    func number(_ key: String) throws(JSONSchemaError) -> JSONNumber? {
        guard let value = object[key], value.bool == nil else { return nil }
        guard let number = value.number else { throw invalid(key, "a number") }
        return number
    }

    func count(_ key: String) throws(JSONSchemaError) -> Int? {
        guard let value = object[key] else { return nil }
        guard let count = value.safeInteger?.value, count >= 0 else { throw invalid(key, "an integer of at least 0") }
        return count
    }

    func types() throws(JSONSchemaError) -> JSONSchemaTypes? {
        guard let value = object["type"] else { return nil }
        var types: JSONSchemaTypes = []
        for name in value.array ?? [value] {
            guard let type = name.string.flatMap(JSONSchemaTypes.init(name:)) else {
                throw invalid("type", "the name of a type or an array of them")
            }
            types.insert(type)
        }
        return types
    }
}
