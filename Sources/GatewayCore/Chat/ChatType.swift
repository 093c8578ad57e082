import JSON
import NIOCore

/// A configured type, prepared for the hot path: everything that is known when the configuration is read is stored as
/// bytes.
///
/// A class, so that a request carries one reference instead of a copy.
package final class ChatType: Sendable {
    /// One argument of the tool call.
    struct Argument: Sendable {
        /// The argument's name, for messages.
        let target: String
        /// `"target":`, quoted.
        let key: [UInt8]
        /// The payload's field in the ``PayloadFields`` table; nil for a constant.
        let field: Int?
        /// The payload's field, for messages.
        let source: String
        let isRequired: Bool
        let trim: Bool
        /// The JSON text that stands for a missing field.
        let fallback: [UInt8]?
        /// The JSON text of a constant.
        let constant: [UInt8]?
        let coercion: ChatArgumentConfiguration.Coercion
        let falsyIsMissing: Bool
    }

    /// Configuration of the type.
    package let configuration: ChatTypeConfiguration
    /// The type's place in the ``TypeMap``.
    let index: Int
    /// The target that the type's `upstream` and `tool` name.
    let target: ChatTarget
    let route: ChatRoute
    let arguments: [Argument]
    /// `{"type":T,"replies":`.
    let replyHead: [UInt8]
    /// Time limit: from the request's first byte; for a streamed reply, until its first event, and between events.
    let timeout: TimeAmount
    /// Time limit from the request's first byte to the end of a streamed reply.
    let streamTimeout: TimeAmount
    /// Instruments of the type, looked up once; nil where nothing is measured.
    let instruments: TypeInstruments?

    /// Name in the payload's `type`.
    package var name: String { configuration.name }
    /// Name of the tool.
    package var tool: String { configuration.tool }
    /// True if every request becomes a call of the type's tool, without routing.
    var isPlain: Bool { target.tool != nil && route.other == nil }

    init(
        _ configuration: ChatTypeConfiguration, index: Int, target: ChatTarget, route: ChatRoute,
        fields: inout PayloadFields, instruments: TypeInstruments?
    ) {
        self.configuration = configuration
        self.index = index
        self.target = target
        self.route = route
        self.instruments = instruments
        arguments = configuration.arguments.map { argument in
            Argument(
                target: argument.target, key: JSONText.quoted(argument.target) + [UInt8(ascii: ":")],
                field: argument.constant == nil ? fields.add(argument.source) : nil, source: argument.source,
                isRequired: argument.isRequired, trim: argument.trim, fallback: argument.defaultValue?.serialized,
                constant: argument.constant?.serialized, coercion: argument.coercion,
                falsyIsMissing: argument.falsyIsMissing)
        }
        replyHead = Array("{\"type\":".utf8) + JSONText.quoted(configuration.name) + Array(",\"replies\":".utf8)
        timeout = TimeAmount(configuration.timeout)
        streamTimeout = TimeAmount(configuration.streamTimeout)
    }
}

/// Fields of the payload that any type reads, with their places; every other field is skipped.
package struct PayloadFields: Sendable {
    /// Place of `type`.
    static let type = 0

    private var names: [[UInt8]] = [Array("type".utf8)]

    var count: Int { names.count }

    mutating func add(_ name: String) -> Int {
        let name = Array(name.utf8)
        if let known = names.firstIndex(of: name) { return known }
        names.append(name)
        return names.count - 1
    }

    /// Returns the place of a key, with its escapes decoded; nil when no type reads it.
    func place(of key: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Int? {
        let length = key.content.count
        for (place, name) in names.enumerated() where key.hasEscapes || name.count == length {
            let matches = name.withUnsafeBytes { JSONText.equals(key, $0, in: bytes) }
            if matches { return place }
        }
        return nil
    }
}

/// All types of a configuration.
package struct TypeMap: Sendable {
    /// Types in the configuration's order.
    package let types: [ChatType]
    /// Type of a payload without `type`; nil when no type is configured.
    package let defaultType: ChatType?
    let fields: PayloadFields
    private let byName: [String: ChatType]

    /// - Parameters:
    ///   - upstreams: The configuration's upstreams, in its order.
    ///   - toolTypes: Types that the upstreams' tools provide, beside the configured ones.
    ///   - metrics: Metrics with the types' instruments; nil: nothing is measured.
    package init(
        _ configuration: ChatConfiguration, upstreams: [UpstreamConfiguration],
        toolTypes: [ChatTypeConfiguration] = [], metrics: GatewayMetrics? = nil
    ) {
        var fields = PayloadFields()
        var types: [ChatType] = []
        for (index, type) in (configuration.types + toolTypes).enumerated() {
            types.append(
                ChatType(
                    type, index: index, target: ChatTarget(type, upstreams),
                    route: ChatRoute(type, upstreams: upstreams), fields: &fields,
                    instruments: metrics?.instruments(type: type.name, tool: type.tool)))
        }
        self.types = types
        self.fields = fields
        byName = Dictionary(types.map { ($0.name, $0) }) { first, _ in first }
        defaultType = types.first { $0.name == configuration.defaultType }
    }

    /// Type with that name.
    package subscript(name: String) -> ChatType? { byName[name] }

    /// Returns the type that a JSON string names, without making a `String` of it.
    func type(named name: JSONSlice, in bytes: UnsafeRawBufferPointer) -> ChatType? {
        for type in types where name.hasEscapes || type.name.utf8.count == name.content.count {
            if JSONText.equals(name, type.name, in: bytes) { return type }
        }
        return nil
    }
}
