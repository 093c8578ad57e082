import JSON

/// Decoder that returns placeholders and records the requests. Containers share the record, so it is an object; it
/// lives in one call and on one thread.
final class JSONSchemaRecorder: Decoder {
    private enum Shape {
        case unknown
        case object
        case scalar(JSONValue)
    }

    let type: any Any.Type
    let depth: Int
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    private var shape = Shape.unknown
    private var properties: JSONObject = [:]
    private var required: [JSONValue] = []

    init(type: any Any.Type, depth: Int) {
        self.type = type
        self.depth = depth
    }

    func result() throws -> JSONValue {
        switch shape {
        case .scalar(let schema): return schema
        case .object, .unknown:  // A structure without properties requests nothing.
            let documentation = (type as? any JSONSchemaDocumented.Type)?.schemaDocumentation ?? [:]
            var documented: JSONObject = [:]
            for (name, schema) in properties {
                let property = schema.object.flatMap { documentation[name]?.apply(to: $0) }
                documented[name] = property.map { .object($0) } ?? schema
            }
            let needed = required.filter { name in documentation[name.string ?? ""]?.defaultValue == nil }
            var object: JSONObject = ["type": "object", "properties": .object(documented)]
            if !needed.isEmpty { object["required"] = .array(needed) }
            return .object(object)
        }
    }

    func unsupported(_ reason: String) -> JSONSchemaReflectionError {
        JSONSchemaReflectionError(type: "\(type)", reason: reason)
    }

    fileprivate func record(_ name: String, _ schema: JSONValue, isRequired: Bool) {
        guard properties[name] == nil else { return }
        properties[name] = schema
        if isRequired { required.append(.string(name)) }
    }

    /// Returns the schema of a property and a value to continue with.
    fileprivate func placeholder<T: Decodable>(_ type: T.Type) throws -> (JSONValue, T) {
        guard let schema = try Self.recognised(type, depth: depth + 1) else {
            return try Self.recording(type, depth: depth + 1)
        }
        if let value = try Self.instance(type, schema) as? T { return (schema, value) }
        return (schema, try Self.recording(type, depth: depth + 1).value)
    }

    /// Returns an instance of a type that cannot be recorded: enumerations need one of their own values, and types with
    /// a schema of their own something valid.
    private static func instance(_ type: any Decodable.Type, _ schema: JSONValue) throws -> Any? {
        func decoded<T: Decodable>(_ type: T.Type, _ value: JSONValue) throws -> T { try value.decode(type) }
        switch schema["type"] ?? .null {
        case _ where schema["enum"]?[0] != nil: return try decoded(type, schema["enum"]?[0] ?? .null)
        case "array": return try? decoded(type, [])
        case "object" where schema["properties"] == nil: return try? decoded(type, [:])
        case "string": return try? decoded(type, schema["default"] ?? schema["examples"]?[0] ?? "")
        case "integer", "number": return try? decoded(type, schema["default"] ?? schema["minimum"] ?? 0)
        case "boolean": return try? decoded(type, .bool(false))
        case .array: return try? decoded(type, .null)
        default: return try? decoded(type, .null)
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        shape = .object
        return KeyedDecodingContainer(JSONSchemaKeyedRecording<Key>(recorder: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        throw unsupported("arrays of mixed types have no simple schema")
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    fileprivate func recordScalar<T: Decodable>(_ type: T.Type) throws -> T {
        let (schema, value) = try placeholder(type)
        shape = .scalar(schema)
        return value
    }
}

/// Container of a type that wraps another value: the other one's schema is its own.
extension JSONSchemaRecorder: SingleValueDecodingContainer {
    func decodeNil() -> Bool { false }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try recordScalar(type) }
    func decode(_ type: Bool.Type) throws -> Bool { try recordScalar(type) }
    func decode(_ type: String.Type) throws -> String { try recordScalar(type) }
    func decode(_ type: Double.Type) throws -> Double { try recordScalar(type) }
    func decode(_ type: Float.Type) throws -> Float { try recordScalar(type) }
    func decode(_ type: Int.Type) throws -> Int { try recordScalar(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try recordScalar(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try recordScalar(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try recordScalar(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try recordScalar(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try recordScalar(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try recordScalar(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try recordScalar(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try recordScalar(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try recordScalar(type) }
}

private struct JSONSchemaKeyedRecording<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let recorder: JSONSchemaRecorder

    var codingPath: [any CodingKey] { [] }
    /// Names of the cases of an enumeration with payloads: none, so that it throws.
    var allKeys: [Key] { [] }
    func contains(_ key: Key) -> Bool { true }
    func decodeNil(forKey key: Key) throws -> Bool { false }

    private func required<T: Decodable>(_ type: T.Type, _ key: Key) throws -> T {
        let (schema, value) = try recorder.placeholder(type)
        // An Optional that is decoded with `decode` must be present, and may be null.
        recorder.record(key.stringValue, schema, isRequired: true)
        return value
    }

    private func optional<T: Decodable>(_ type: T.Type, _ key: Key) throws -> T? {
        let (schema, value) = try recorder.placeholder(type)
        recorder.record(key.stringValue, schema, isRequired: false)
        return value
    }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try required(type, key) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try required(type, key) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try required(type, key) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try required(type, key) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try required(type, key) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try required(type, key) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try required(type, key) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try required(type, key) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try required(type, key) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try required(type, key) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try required(type, key) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try required(type, key) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try required(type, key) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try required(type, key) }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try required(type, key) }

    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try optional(type, key) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try optional(type, key) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try optional(type, key) }
    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? { try optional(type, key) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try optional(type, key) }
    func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? { try optional(type, key) }
    func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? { try optional(type, key) }
    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { try optional(type, key) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try optional(type, key) }
    func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? { try optional(type, key) }
    func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? { try optional(type, key) }
    func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? { try optional(type, key) }
    func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? { try optional(type, key) }
    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { try optional(type, key) }
    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? { try optional(type, key) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        throw recorder.unsupported("'\(key.stringValue)' is decoded through a nested container")
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        throw recorder.unsupported("'\(key.stringValue)' is decoded through a nested container")
    }

    func superDecoder() throws -> any Decoder { throw recorder.unsupported("it decodes a superclass") }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw recorder.unsupported("it decodes a superclass") }
}
