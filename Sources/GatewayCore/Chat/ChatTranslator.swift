import JSON
package import NIOCore

/// Translator from chat payloads to the arguments of tool calls.
///
/// It scans the client's bytes once; values are copied from them, never decoded and encoded again.
package struct ChatTranslator {
    /// A payload, translated into a call.
    package struct Call {
        /// Chat type of the message.
        package let type: ChatType
        /// The JSON text of the tool's arguments.
        package let arguments: ByteBuffer
    }

    private let map: TypeMap
    /// Last value of each known field; kept between requests so that a request does not allocate it.
    private var values: [JSONSlice?]

    /// Creates a translator for a map of types.
    package init(_ map: TypeMap) {
        self.map = map
        values = Array(repeating: nil, count: map.fields.count)
    }

    /// - Parameter body: The request's body, one JSON object.
    package mutating func translate(_ body: ByteBuffer) -> Result<Call, GatewayError> {
        for place in values.indices { values[place] = nil }
        return body.withUnsafeReadableBytes { bytes in
            do throws(GatewayError) {
                try scan(bytes)
                let type = try type(in: bytes)
                return .success(Call(type: type, arguments: try arguments(of: type, in: bytes)))
            } catch {
                return .failure(error)
            }
        }
    }

    /// Returns the type that a payload names. ``call(_:_:)`` may follow with the same body.
    package mutating func type(of body: ByteBuffer) -> Result<ChatType, GatewayError> {
        for place in values.indices { values[place] = nil }
        return body.withUnsafeReadableBytes { bytes in
            do throws(GatewayError) {
                try scan(bytes)
                return .success(try type(in: bytes))
            } catch {
                return .failure(error)
            }
        }
    }

    /// Returns the call for the payload last given to ``type(of:)``.
    package func call(_ type: ChatType, _ body: ByteBuffer) -> Result<Call, GatewayError> {
        body.withUnsafeReadableBytes { bytes in
            do throws(GatewayError) {
                return .success(Call(type: type, arguments: try arguments(of: type, in: bytes)))
            } catch {
                return .failure(error)
            }
        }
    }

    private mutating func scan(_ bytes: UnsafeRawBufferPointer) throws(GatewayError) {
        var scanner = JSONScanner(bytes)
        do {
            try scanner.object { member in
                if let place = map.fields.place(of: member.key, in: bytes) { values[place] = member.value }
            }
        } catch {
            throw GatewayError(.invalidJSON, detail: error.description)
        }
    }

    /// Returns the type of the payload. `type` is exempt from the rule for missing fields: only an absent `type` means
    /// the default.
    private func type(in bytes: UnsafeRawBufferPointer) throws(GatewayError) -> ChatType {
        guard let name = values[PayloadFields.type] else {
            if let type = map.defaultType { return type }
            throw GatewayError(.unknownType, text: "Unknown type: ")
        }
        if name.kind == .string, let type = map.type(named: name, in: bytes) { return type }
        throw GatewayError(.unknownType, text: UnknownTypeText.make(name, in: bytes))
    }

    private func arguments(
        of type: ChatType, in bytes: UnsafeRawBufferPointer
    ) throws(GatewayError) -> ByteBuffer {
        var arguments = ByteBufferAllocator().buffer(capacity: min(bytes.count, 512) + 16 * type.arguments.count)
        arguments.writeInteger(UInt8(ascii: "{"))
        var isFirst = true
        for argument in type.arguments {
            guard let value = try value(of: argument, type, in: bytes) else { continue }
            if !isFirst { arguments.writeInteger(UInt8(ascii: ",")) }
            isFirst = false
            arguments.writeBytes(argument.key)
            value.write(to: &arguments, from: bytes)
        }
        arguments.writeInteger(UInt8(ascii: "}"))
        return arguments
    }

    /// Returns the argument's value; nil when it is left out.
    private func value(
        of argument: ChatType.Argument, _ type: ChatType, in bytes: UnsafeRawBufferPointer
    ) throws(GatewayError) -> ArgumentValue? {
        if let constant = argument.constant { return .prepared(constant) }
        guard let field = argument.field, let slice = values[field], !isMissing(slice, argument, in: bytes) else {
            return try missing(argument, type)
        }
        if argument.trim {
            let coerced = argument.coercion == .string && (slice.kind == .number || slice.kind == .bool)
            if coerced { return .quoted(slice.range) }
            guard slice.kind == .string else {
                let text = "\(argument.source): expected string, found \(slice.kind)"
                throw GatewayError(.invalidArgument, text: text)
            }
            let content = PythonValue.trimmed(slice, in: bytes)
            return content.isEmpty ? try missing(argument, type) : .quoted(content)
        }
        return ArgumentValue(slice, argument.coercion, in: bytes)
    }

    private func isMissing(
        _ slice: JSONSlice, _ argument: ChatType.Argument, in bytes: UnsafeRawBufferPointer
    ) -> Bool {
        argument.falsyIsMissing ? PythonValue.isFalsy(slice, in: bytes) : slice.kind == .null
    }

    private func missing(_ argument: ChatType.Argument, _ type: ChatType) throws(GatewayError) -> ArgumentValue? {
        if let fallback = argument.fallback { return .prepared(fallback) }
        guard argument.isRequired else { return nil }
        throw GatewayError(.missingField, text: type.configuration.missing)
    }
}

/// Source of the text of an argument's value.
enum ArgumentValue {
    /// JSON text of the configuration.
    case prepared([UInt8])
    /// JSON text of the payload.
    case source(Range<Int>)
    /// Text of the payload that goes between quotes; valid there as it is.
    case quoted(Range<Int>)

    /// Converts a value of the payload into the configured type where that is unambiguous. A value that cannot be
    /// converted stays as it is: the check against the tool's schema, or the tool, reports it.
    init(_ slice: JSONSlice, _ coercion: ChatArgumentConfiguration.Coercion, in bytes: UnsafeRawBufferPointer) {
        switch (coercion, slice.kind) {
        case (.string, .number), (.string, .bool):
            self = .quoted(slice.range)
        case (.integer, .string), (.number, .string), (.boolean, .string):
            let content = PythonValue.trimmed(slice, in: bytes)
            let kind = Self.scalarKind(
                UnsafeRawBufferPointer(rebasing: bytes[content]), isInteger: coercion == .integer)
            self = kind == (coercion == .boolean ? .bool : .number) ? .source(content) : .source(slice.range)
        default:
            self = .source(slice.range)
        }
    }

    /// Returns the kind of the scalar in a string's content.
    private static func scalarKind(_ bytes: UnsafeRawBufferPointer, isInteger: Bool) -> JSONKind? {
        guard bytes.count <= 64 else { return nil }
        if isInteger, bytes.contains(where: { $0 != UInt8(ascii: "-") && !(0x30...0x39).contains($0) }) { return nil }
        var scanner = JSONScanner(bytes)
        return try? scanner.document().kind
    }

    func write(to buffer: inout ByteBuffer, from bytes: UnsafeRawBufferPointer) {
        switch self {
        case .prepared(let text):
            buffer.writeBytes(text)
        case .source(let range):
            buffer.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[range]))
        case .quoted(let range):
            buffer.writeInteger(UInt8(ascii: "\""))
            buffer.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[range]))
            buffer.writeInteger(UInt8(ascii: "\""))
        }
    }
}

/// Text of the error `Unknown type: T`.
enum UnknownTypeText {
    /// Largest number of code points of T that are shown.
    static let limit = 200

    /// Returns the error text with a string's own text, or any other value's JSON text. Control characters become
    /// U+FFFD; nothing else is escaped.
    static func make(_ type: JSONSlice, in bytes: UnsafeRawBufferPointer) -> String {
        "Unknown type: " + JSONText.string(type, in: bytes).printable(limit)
    }
}
