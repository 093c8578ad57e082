package import JSON

/// JSON Schemas from Swift types.
///
/// A type's `init(from:)` runs against a decoder that returns placeholders and records the requests. Optional
/// properties (`decodeIfPresent`) are not required; enumerations with string or integer raw values become `enum` when
/// they are `CaseIterable`; structures, arrays, sets and dictionaries with string keys nest. Not supported are types
/// that contain themselves, enumerations with payloads, and types that refuse placeholders: those conform to
/// `JSONSchemaProviding`.
package enum JSONSchemaReflection {
    /// Returns the schema of `type`, an object for structures.
    ///
    /// - Throws: `JSONSchemaReflectionError`, or the error of an `init(from:)` that refuses the placeholders.
    package static func schema<T: Decodable>(of type: T.Type) throws -> JSONValue {
        try JSONSchemaRecorder.schema(of: type, depth: 0)
    }

    /// Returns the schema of a type known only at run time.
    /// - Throws: ``JSONSchemaReflectionError`` naming the type.
    package static func schema(of type: any Decodable.Type) throws -> JSONValue {
        try JSONSchemaRecorder.schema(of: type, depth: 0)
    }
}

/// Error of a type without a schema.
package struct JSONSchemaReflectionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Swift type that has no schema.
    package let type: String
    /// Reason why it has none.
    package let reason: String

    package var description: String { "no JSON Schema for \(type): \(reason)" }
}

// MARK: Types that are recognised rather than recorded

private protocol OptionalType { static var wrapped: any Any.Type { get } }
extension Optional: OptionalType { fileprivate static var wrapped: any Any.Type { Wrapped.self } }

private protocol ListType { static var element: any Any.Type { get } }
extension Array: ListType { fileprivate static var element: any Any.Type { Element.self } }

private protocol SetType { static var element: any Any.Type { get } }
extension Set: SetType { fileprivate static var element: any Any.Type { Element.self } }

private protocol MapType {
    static var key: any Any.Type { get }
    static var value: any Any.Type { get }
}
extension Dictionary: MapType {
    fileprivate static var key: any Any.Type { Key.self }
    fileprivate static var value: any Any.Type { Value.self }
}

extension JSONSchemaRecorder {
    static let maximumDepth = 32

    static func schema(of type: any Any.Type, depth: Int) throws -> JSONValue {
        if let schema = try recognised(type, depth: depth) { return schema }
        guard let type = type as? any Decodable.Type else {
            throw JSONSchemaReflectionError(type: "\(type)", reason: "it is not Decodable")
        }
        return try recording(type, depth: depth).schema
    }

    /// Returns the schema of a type that need not be recorded; nil for structures and the like.
    static func recognised(_ type: any Any.Type, depth: Int) throws -> JSONValue? {
        guard depth < maximumDepth else {
            throw JSONSchemaReflectionError(type: "\(type)", reason: "it contains itself, or is nested too deeply")
        }
        if let scalar = scalarSchema(of: type) { return scalar }
        switch type {
        case let type as any JSONSchemaProviding.Type:
            return type.jsonSchema
        case let type as any OptionalType.Type:
            return nullable(try schema(of: type.wrapped, depth: depth + 1))
        case let type as any ListType.Type:
            return ["type": "array", "items": try schema(of: type.element, depth: depth + 1)]
        case let type as any SetType.Type:
            return ["type": "array", "items": try schema(of: type.element, depth: depth + 1), "uniqueItems": true]
        case let type as any MapType.Type where type.key == String.self:
            return ["type": "object", "additionalProperties": try schema(of: type.value, depth: depth + 1)]
        case let type as any (CaseIterable & RawRepresentable).Type:
            return enumeration(type)
        default:
            return nil
        }
    }

    static func scalarSchema(of type: any Any.Type) -> JSONValue? {
        switch type {
        case is String.Type: ["type": "string"]
        case is Bool.Type: ["type": "boolean"]
        case is Double.Type, is Float.Type: ["type": "number"]
        case is UInt.Type, is UInt8.Type, is UInt16.Type, is UInt32.Type, is UInt64.Type:
            ["type": "integer", "minimum": 0]
        case is any FixedWidthInteger.Type: ["type": "integer"]
        case is JSONValue.Type: [:]
        case is JSONObject.Type: ["type": "object"]
        default: nil
        }
    }

    private static func nullable(_ schema: JSONValue) -> JSONValue {
        guard let type = schema["type"]?.string, schema["enum"] == nil, var object = schema.object else {
            return schema == [:] ? schema : ["anyOf": [schema, ["type": "null"]]]
        }
        object["type"] = [.string(type), "null"]
        return .object(object)
    }

    private static func enumeration(_ type: any (CaseIterable & RawRepresentable).Type) -> JSONValue? {
        func values<T: CaseIterable & RawRepresentable>(_: T.Type) -> [Any] { T.allCases.map(\.rawValue) }
        let cases = values(type)
        if let strings = cases as? [String] {
            return ["type": "string", "enum": .array(strings.map { .string($0) })]
        }
        if let integers = cases as? [Int] {
            return ["type": "integer", "enum": .array(integers.map { .number($0) })]
        }
        return nil
    }

    /// Runs the type's own `init(from:)`; returns the recorded schema and the instance.
    static func recording<T: Decodable>(_ type: T.Type, depth: Int) throws -> (schema: JSONValue, value: T) {
        let recorder = JSONSchemaRecorder(type: type, depth: depth)
        do {
            let value = try T(from: recorder)
            return (try recorder.result(), value)
        } catch let error as DecodingError {
            throw recorder.unsupported("its init(from:) refuses placeholders (\(error))")
        }
    }
}
