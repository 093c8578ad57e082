import JSON

/// Error in a message of the other side that violates its revision.
package struct MCPDecodingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Place of the error, with the expected and the found value: `tools[2].name: expected string, found null`.
    package let message: String

    /// Describes the member that is malformed.
    package init(_ message: String) {
        self.message = message
    }

    package var description: String { message }
}

/// Reader of the members of one object, whose errors name them.
struct MCPReader {
    let object: JSONObject
    let path: String

    init(_ value: JSONValue?, _ path: String) throws(MCPDecodingError) {
        guard let object = value?.object else { throw Self.mismatch(path, "object", value) }
        self.object = object
        self.path = path
    }

    init(_ object: JSONObject, _ path: String) {
        self.object = object
        self.path = path
    }

    static func mismatch(_ path: String, _ expected: String, _ value: JSONValue?) -> MCPDecodingError {
        MCPDecodingError("\(path): expected \(expected), found \(value.map { $0.kind.description } ?? "nothing")")
    }

    func failure(_ key: String, _ expected: String) -> MCPDecodingError {
        Self.mismatch("\(path).\(key)", expected, object[key])
    }

    func string(_ key: String) throws(MCPDecodingError) -> String {
        guard let value = object[key]?.string else { throw failure(key, "string") }
        return value
    }

    func role() throws(MCPDecodingError) -> Role {
        guard let role = Role(rawValue: try string("role")) else {
            throw failure("role", "\"user\" or \"assistant\"")
        }
        return role
    }

    func int(_ key: String) throws(MCPDecodingError) -> Int {
        guard let value = object[key]?.int else { throw failure(key, "integer") }
        return value
    }

    func double(_ key: String) throws(MCPDecodingError) -> Double {
        guard let value = object[key]?.double else { throw failure(key, "number") }
        return value
    }

    // Optional members: null counts as absent, since many peers write it; another kind is an error.

    private func present(_ key: String) -> JSONValue? {
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    func optionalString(_ key: String) throws(MCPDecodingError) -> String? {
        guard let value = present(key) else { return nil }
        guard let string = value.string else { throw failure(key, "string") }
        return string
    }

    func optionalBool(_ key: String) throws(MCPDecodingError) -> Bool? {
        guard let value = present(key) else { return nil }
        guard let bool = value.bool else { throw failure(key, "boolean") }
        return bool
    }

    func optionalInt(_ key: String) throws(MCPDecodingError) -> Int? {
        guard let value = present(key) else { return nil }
        guard let int = value.int else { throw failure(key, "integer") }
        return int
    }

    func optionalDouble(_ key: String) throws(MCPDecodingError) -> Double? {
        guard let value = present(key) else { return nil }
        guard let double = value.double else { throw failure(key, "number") }
        return double
    }

    func optionalObject(_ key: String) throws(MCPDecodingError) -> JSONObject? {
        guard let value = present(key) else { return nil }
        guard let object = value.object else { throw failure(key, "object") }
        return object
    }

    func optionalStrings(_ key: String) throws(MCPDecodingError) -> [String]? {
        guard let value = present(key) else { return nil }
        let strings = value.array?.compactMap(\.string)
        guard let strings, strings.count == value.array?.count else { throw failure(key, "array of strings") }
        return strings
    }

    func meta() throws(MCPDecodingError) -> JSONObject { try optionalObject("_meta") ?? [:] }

    /// Returns the elements of a required array, each read with its own path.
    func list<T>(
        _ key: String, _ read: (JSONValue, String) throws(MCPDecodingError) -> T
    ) throws(MCPDecodingError) -> [T] {
        guard let array = object[key]?.array else { throw failure(key, "array") }
        var list: [T] = []
        list.reserveCapacity(array.count)
        for (index, element) in array.enumerated() { list.append(try read(element, "\(path).\(key)[\(index)]")) }
        return list
    }

    /// Returns the elements of an optional array; nil when it is absent.
    func optionalList<T>(
        _ key: String, _ read: (JSONValue, String) throws(MCPDecodingError) -> T
    ) throws(MCPDecodingError) -> [T]? {
        guard present(key) != nil else { return nil }
        return try list(key, read)
    }
}

extension JSONObject {
    /// Sets a member that has a value; does nothing without one.
    mutating func set(_ key: String, _ value: String?) { if let value { self[key] = .string(value) } }
    mutating func set(_ key: String, _ value: Bool?) { if let value { self[key] = .bool(value) } }
    mutating func set(_ key: String, _ value: Int?) { if let value { self[key] = .number(value) } }
    mutating func set(_ key: String, _ value: Double?) { if let value { self[key] = .number(value) } }
    mutating func set(_ key: String, _ value: JSONValue?) { if let value { self[key] = value } }
    mutating func set(_ key: String, _ value: [String]?) {
        if let value { self[key] = .array(value.map { .string($0) }) }
    }

    /// Sets `_meta` on anything but a request or a result: from 2025-06-18, and only when it is not empty.
    mutating func setMeta(_ meta: JSONObject, for version: MCPVersion) {
        if !meta.isEmpty, version.hasTitles { self["_meta"] = .object(meta) }
    }
}
