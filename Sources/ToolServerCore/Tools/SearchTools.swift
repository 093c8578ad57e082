import JSON
import MCP
import MCPServer

/// How many rows a search answers at most, as the old handlers had it.
private let maximumHits = 5

/// Finds projects by name.
struct SearchProjectsTool: TypedTool {
    struct Arguments: Decodable, Sendable, JSONSchemaDocumented {
        let query: String

        static let schemaDocumentation: [String: JSONSchemaProperty] = [
            "query": "Text that the project's name contains, in any case."
        ]
    }

    static let name = "search_projects"
    static let title = "Search projects"
    static let description =
        "Finds projects whose name contains the query (case-insensitive, literal) and returns up to 5 names."
    static let annotations = ToolAnnotations.lookUp

    let registry: any SearchRegistry

    func call(_ arguments: Arguments, context: ToolContext) async throws -> Results<[String]> {
        let hits = try await ToolError.translating(context) {
            try await registry.search(
                model: "projects", query: arguments.query, columns: .display, limit: maximumHits)
        }
        guard let hits else { throw ToolError.unknownModel(known: registry.searchModels) }
        return Results(hits.map(\.name))
    }
}

/// Finds rows of any registered model.
struct SearchAnyTool: TypedTool {
    struct Arguments: Decodable, Sendable, JSONSchemaDocumented {
        let model: String
        let query: String

        // Never an enumeration: an unknown model is the tool's own error, with the text that callers know.
        static let schemaDocumentation: [String: JSONSchemaProperty] = [
            "model": "What to search: projects, tasks, customers or documents.",
            "query": "Text that one of the model's columns contains, in any case.",
        ]
    }

    struct Hit: Codable, Sendable {
        let name: String
        let url: String
    }

    static let name = "search_any"
    static let title = "Search records"
    static let description =
        "Finds records of a model (projects, tasks, customers, documents) of which a column contains the query "
        + "(case-insensitive, literal), and returns the name and URL of up to 5 in default order."
    static let annotations = ToolAnnotations.lookUp

    let registry: any SearchRegistry

    func call(_ arguments: Arguments, context: ToolContext) async throws -> Results<[Hit]> {
        let hits = try await ToolError.translating(context) {
            try await registry.search(
                model: arguments.model, query: arguments.query, columns: .all, limit: maximumHits)
        }
        guard let hits else { throw ToolError.unknownModel(known: registry.searchModels) }
        return Results(hits.map { Hit(name: $0.name, url: $0.url) })
    }
}
