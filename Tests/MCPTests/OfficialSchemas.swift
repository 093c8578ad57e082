import Foundation
import JSON
import JSONSchema
import MCP
import Testing

/// The official JSON Schemas, which lie beside the repository and are never part of it.
enum OfficialSchemas {
    /// `../shared/mcp-schema`, seen from the package.
    static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "shared/mcp-schema")

    static let areAvailable = MCPVersion.allCases.allSatisfy {
        FileManager.default.fileExists(atPath: path($0))
    }

    private static func path(_ version: MCPVersion) -> String {
        directory.appending(path: "\(version.rawValue).json").path
    }

    private static let documents: [MCPVersion: JSONValue] = {
        var documents: [MCPVersion: JSONValue] = [:]
        for version in MCPVersion.allCases {
            guard let data = FileManager.default.contents(atPath: path(version)) else { continue }
            documents[version] = try? JSONValue(parsing: data)
        }
        return documents
    }()

    /// Whether the schema of `version` defines `name`.
    static func defines(_ name: String, in version: MCPVersion) -> Bool { pointer(name, version) != nil }

    private static func pointer(_ name: String, _ version: MCPVersion) -> String? {
        ["$defs", "definitions"].first { documents[version]?[$0]?[name] != nil }.map { "#/\($0)/\(name)" }
    }

    /// What is wrong with `value` as the definition `name` of `version`.
    static func violations(_ value: JSONValue, as name: String, in version: MCPVersion) throws -> [String] {
        let document = try #require(documents[version])
        let place = try #require(pointer(name, version), "\(version) does not define \(name)")
        return try JSONSchema(document, at: place).validate(value).map(\.message)
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips, and says why, where the official schemas are not at hand.
    static var needsOfficialSchemas: Self {
        .enabled(if: OfficialSchemas.areAvailable, "the official schemas are not in ../shared/mcp-schema")
    }
}
