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
    /// The key of the model with the projects.
    let model: String

    func call(_ arguments: Arguments, context: ToolContext) async throws -> Results<[String]> {
        let hits = try await ToolError.translating(context) {
            try await registry.search(
                model: model, query: arguments.query, columns: .display, viewer: context.principal?.id,
                limit: maximumHits)
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
            "model": "What to search.",
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
        "Finds records of a model of which a column contains the query "
        + "(case-insensitive, literal), and returns the name and URL of up to 5 in default order."
    static let annotations = ToolAnnotations.lookUp

    let registry: any SearchRegistry

    /// Names the configured models.
    var definition: ToolDefinition {
        get throws {
            let models = registry.searchModels.joined(separator: ", ")
            var schema = try JSONSchemaReflection.schema(of: Arguments.self)
            if var properties = schema["properties"]?.object, var model = properties["model"]?.object {
                model["description"] = .string("What to search: \(models).")
                properties["model"] = .object(model)
                var object = schema.object ?? [:]
                object["properties"] = .object(properties)
                schema = .object(object)
            }
            return ToolDefinition(
                name: Self.name, title: Self.title,
                description: Self.description.replacing("of a model", with: "of a model (\(models))"),
                inputSchema: schema, outputSchema: try JSONSchemaReflection.schema(of: Results<[Hit]>.self),
                annotations: Self.annotations)
        }
    }

    func call(_ arguments: Arguments, context: ToolContext) async throws -> Results<[Hit]> {
        let hits = try await ToolError.translating(context) {
            try await registry.search(
                model: arguments.model, query: arguments.query, columns: .all, viewer: context.principal?.id,
                limit: maximumHits)
        }
        guard let hits else { throw ToolError.unknownModel(known: registry.searchModels) }
        return Results(hits.map { Hit(name: $0.name, url: $0.url) })
    }
}
