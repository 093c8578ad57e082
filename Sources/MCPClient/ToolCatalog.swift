import HTTPSyntax
package import JSON
package import MCP

/// The tools of one upstream at one moment. Immutable; replaced as a whole.
package struct ToolCatalog: Sendable {
    /// One tool, with what the hot path wants to know prepared.
    ///
    /// An object, since every call looks its tool up: a copy of all this would cost a dozen reference counts.
    package final class Entry: Sendable {
        package let definition: ToolDefinition
        /// Compiled input schema; nil when it cannot be compiled (then the upstream alone validates).
        package let inputSchema: JSONSchema?
        /// Annotated as read-only or idempotent. Believed only where the upstream is trusted.
        package let mayRunTwice: Bool
        /// Arguments to mirror into `Mcp-Param-*` headers, modern only.
        let mirrored: [MirroredParameter]

        init(
            definition: ToolDefinition, inputSchema: JSONSchema?, mayRunTwice: Bool, mirrored: [MirroredParameter]
        ) {
            self.definition = definition
            self.inputSchema = inputSchema
            self.mayRunTwice = mayRunTwice
            self.mirrored = mirrored
        }
    }

    /// In the server's order.
    package let entries: [Entry]
    /// Tools that a modern client has to drop, and why.
    package let dropped: [(name: String, reason: String)]
    /// Time that the list counts as fresh, where the server gave one.
    package let lifetime: Duration?
    private let positions: [String: Int]

    /// Prepares the tools of a list; of several with one name, the first counts.
    package init(tools: [ToolDefinition], era: MCPEra, lifetime: Duration? = nil) {
        var entries: [Entry] = []
        var dropped: [(name: String, reason: String)] = []
        var positions: [String: Int] = [:]
        for tool in tools where positions[tool.name] == nil {
            var mirrored: [MirroredParameter] = []
            if era == .modern {
                do throws(InvalidHeaderAnnotation) {
                    mirrored = try MirroredParameter.all(in: tool.inputSchema)
                } catch {
                    dropped.append((tool.name, error.reason))
                    continue
                }
            }
            positions[tool.name] = entries.count
            let hints = tool.annotations
            entries.append(
                Entry(
                    definition: tool, inputSchema: try? JSONSchema(tool.inputSchema),
                    mayRunTwice: hints?.readOnlyHint == true || hints?.idempotentHint == true, mirrored: mirrored))
        }
        self.entries = entries
        self.dropped = dropped
        self.positions = positions
        self.lifetime = lifetime
    }

    /// Tool with that name.
    package subscript(_ tool: String) -> Entry? {
        positions[tool].map { entries[$0] }
    }
}

/// An `x-mcp-header` annotation that breaks the rules of 2026-07-28.
struct InvalidHeaderAnnotation: Error {
    let reason: String
}

/// A tool argument that travels as a header too.
struct MirroredParameter: Hashable, Sendable {
    /// Keys from the arguments down to the value.
    let path: [String]
    /// Whole header name.
    let header: String

    private static let keyword = "x-mcp-header"

    /// The parameters that a tool's input schema marks.
    static func all(in schema: JSONValue) throws(InvalidHeaderAnnotation) -> [MirroredParameter] {
        var found: [MirroredParameter] = []
        var names: Set<String> = []
        try collect(schema, path: [], into: &found, names: &names)
        return found
    }

    private static func collect(
        _ schema: JSONValue, path: [String], into found: inout [MirroredParameter], names: inout Set<String>
    ) throws(InvalidHeaderAnnotation) {
        guard let members = schema.object else { return }
        for (key, value) in members {
            switch key {
            case keyword:
                try found.append(parameter(value, of: members, path: path, names: &names))
            case "properties":
                for (name, property) in value.object ?? [:] {
                    try collect(property, path: path + [name], into: &found, names: &names)
                }
            case "const", "default", "enum", "examples":
                // Data, not schemas.
                break
            default:
                if marks(value) { throw InvalidHeaderAnnotation(reason: "\(keyword) below \(key)") }
            }
        }
    }

    private static func parameter(
        _ value: JSONValue, of schema: JSONObject, path: [String], names: inout Set<String>
    ) throws(InvalidHeaderAnnotation) -> MirroredParameter {
        guard !path.isEmpty else { throw InvalidHeaderAnnotation(reason: "\(keyword) on the arguments as a whole") }
        guard let name = value.string, HTTPSyntax.isToken(name) else {
            throw InvalidHeaderAnnotation(reason: "\(keyword) that is no header name")
        }
        guard names.insert(name.lowercased()).inserted else {
            throw InvalidHeaderAnnotation(reason: "\(keyword) used twice")
        }
        guard let type = schema["type"]?.string, ["string", "integer", "boolean"].contains(type) else {
            throw InvalidHeaderAnnotation(reason: "\(keyword) on a type other than string, integer, boolean")
        }
        return MirroredParameter(path: path, header: MCPHeader.parameterPrefix + name)
    }

    /// Whether an annotation hides where `properties` alone do not lead.
    private static func marks(_ value: JSONValue) -> Bool {
        switch value {
        case .object(let members):
            members.contains { key, value in key == keyword || marks(value) }
        case .array(let elements): elements.contains(where: marks)
        default: false
        }
    }

    /// The header for these arguments; nil when the value is absent or null.
    func header(for arguments: JSONValue) -> (name: String, value: String)? {
        var value = arguments
        for key in path {
            guard let next = value[key] else { return nil }
            value = next
        }
        switch value {
        case .string(let text): return (header, MCPHeader.encodeValue(text))
        case .bool(let flag): return (header, flag ? "true" : "false")
        case .number(let number): return (header, number.int.map(String.init) ?? number.text)
        default: return nil
        }
    }
}
