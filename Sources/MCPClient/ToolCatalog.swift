package import JSON
package import JSONSchema
package import MCP
package import ProcessMemory
import Synchronization

/// Tools of one upstream at one moment. Immutable; replaced as a whole.
package struct ToolCatalog: Sendable {
    /// One tool, prepared for the hot path.
    ///
    /// An object, because every call looks up its tool: a copy of all this would cost a dozen reference counts.
    package final class Entry: Sendable {
        /// The tool as the server lists it.
        package let definition: ToolDefinition
        /// The definition word for word, with what this side does not know of.
        package let source: JSONValue
        /// Compiled input schema; nil when it cannot be compiled. Then the tool is called with unchecked arguments, and
        /// the upstream alone validates.
        package let inputSchema: JSONSchema?
        /// True if the tool is annotated as read-only or idempotent. Trusted only where the upstream is.
        package let mayRunTwice: Bool
        /// Arguments to repeat in `Mcp-Param-*` headers, only in the modern era.
        let mirrored: ToolHeaderParameters

        init(
            definition: ToolDefinition, source: JSONValue, inputSchema: JSONSchema?, mirrored: ToolHeaderParameters
        ) {
            self.definition = definition
            self.source = source
            self.inputSchema = inputSchema
            let hints = definition.annotations
            mayRunTwice = hints?.readOnlyHint == true || hints?.idempotentHint == true
            self.mirrored = mirrored
        }
    }

    /// A problem of the list that an operator should know; it is logged.
    package struct Warning: Hashable, Sendable, CustomStringConvertible {
        /// Effect of the problem.
        package enum Kind: String, CaseIterable, Sendable {
            /// A modern client must drop the tool.
            case dropped = "tools dropped"
            /// The tool's input schema cannot be used, so that arguments are not checked.
            case unchecked = "tool arguments not checked"
            /// The list continues, but is not read further.
            case cut = "list of tools cut"
        }

        /// Effect of the problem.
        package let kind: Kind
        /// Name of the tool, cut at 100 characters; empty where the warning concerns the list.
        package let tool: String
        /// Cause of the problem.
        package let reason: String

        init(_ kind: Kind, tool: String = "", reason: String) {
            self.kind = kind
            self.tool = String(tool.unicodeScalars.prefix(100))
            self.reason = reason
        }

        /// The effect, the tool and the cause.
        package var description: String {
            tool.isEmpty ? "\(kind.rawValue): \(reason)" : "\(kind.rawValue): \(tool): \(reason)"
        }
    }

    /// Number that no other catalog of the process has; copies have the same one.
    package let serial: Int
    private static let serials = Atomic<Int>(0)

    /// Tools in the server's order.
    package let entries: [Entry]
    /// Problems of the list that an operator should know; at most 100.
    package let warnings: [Warning]
    /// Time for which the list is fresh, where the server gave one.
    package let lifetime: Duration?
    private let positions: [ExactString: Int]
    /// Memory that the definitions have drawn, for as long as the catalog is used.
    private let reservation: MemoryReservation?

    private static let maximumWarnings = 100

    /// - Parameters:
    ///   - tools: Definitions as listed. Of a name that comes twice the first counts.
    ///   - sources: The same word for word, where they come from a server.
    ///   - warnings: About the list as a whole.
    ///   - assertsDates: True where the formats `date` and `date-time` of the input schemas are checked, as for our tools.
    ///   - budget: The work that all input schemas may cause; those that come later are not compiled.
    ///   - reservation: Memory that the definitions have drawn.
    package init(
        tools: [ToolDefinition], sources: [JSONValue] = [], era: MCPEra, lifetime: Duration? = nil,
        warnings: [Warning] = [], assertsDates: Bool = false, budget: JSONSchemaBudget = .catalog,
        reservation: MemoryReservation? = nil
    ) {
        var budget = budget
        var entries: [Entry] = []
        var warnings = warnings
        var positions: [ExactString: Int] = [:]
        for (index, tool) in tools.enumerated() where positions[ExactString(tool.name)] == nil {
            var mirrored = ToolHeaderParameters.none
            if era == .modern {
                do throws(ToolHeaderParameters.InvalidAnnotation) {
                    mirrored = try ToolHeaderParameters(inputSchema: tool.inputSchema)
                } catch {
                    warnings.append(Warning(.dropped, tool: tool.name, reason: error.description))
                    continue
                }
            }
            var schema: JSONSchema?
            do throws(JSONSchemaError) {
                schema = try JSONSchema(tool.inputSchema, assertsDates: assertsDates, sharing: &budget)
            } catch {
                warnings.append(Warning(.unchecked, tool: tool.name, reason: error.description))
            }
            positions[ExactString(tool.name)] = entries.count
            let source = sources.indices.contains(index) ? sources[index] : tool.json(for: .latestModern)
            entries.append(Entry(definition: tool, source: source, inputSchema: schema, mirrored: mirrored))
        }
        serial = Self.serials.wrappingAdd(1, ordering: .relaxed).newValue
        self.entries = entries
        self.warnings = Array(warnings.prefix(Self.maximumWarnings))
        self.positions = positions
        self.lifetime = lifetime
        self.reservation = reservation
    }

    private init(_ entries: [Entry], of other: ToolCatalog) {
        serial = Self.serials.wrappingAdd(1, ordering: .relaxed).newValue
        self.entries = entries
        warnings = other.warnings
        lifetime = other.lifetime
        reservation = other.reservation
        positions = Dictionary(
            entries.enumerated().map { (ExactString($1.definition.name), $0) }
        ) { first, _ in first }
    }

    /// Returns the catalog with those of its tools that fulfil a condition.
    package func filter(_ isIncluded: (Entry) -> Bool) -> ToolCatalog {
        ToolCatalog(entries.filter(isIncluded), of: self)
    }

    /// The tool of that name, byte by byte.
    package subscript(_ tool: String) -> Entry? {
        positions[ExactString(tool)].map { entries[$0] }
    }
}
