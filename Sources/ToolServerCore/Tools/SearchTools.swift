import JSON
import JSONSchema
import MCP
import MCPServer
import Store

/// Default number of rows of a search, as in the old handlers.
private let standardLimit = 5

extension SearchRegistry {
    /// Returns a page for a tool's caller.
    fileprivate func page<Element>(
        of tool: String, _ model: String, _ query: String, _ columns: SearchColumns,
        _ arguments: any PagingArguments, context: ToolContext, _ element: (SearchHit) -> Element
    ) async throws -> PagedResults<Element> {
        let viewer = context.principal?.id
        let cursors = PageCursor([tool, model, query, viewer])
        let request = SearchRequest(
            model: model, query: query, columns: columns, viewer: viewer, limit: arguments.limit ?? standardLimit,
            after: try cursors.position(arguments.cursor))
        let page = try await ToolError.translating(context) { try await search(request) }
        guard let page else { throw ToolError.unknownModel(known: searchModels) }
        return PagedResults(page.hits.map(element), next: page.next, cursors: cursors, arguments: arguments)
    }
}

/// Tool `search_projects`: finds projects by name.
struct SearchProjectsTool: TypedTool {
    struct Arguments: PagingArguments, Decodable, Sendable, JSONSchemaDocumented {
        let query: String
        let limit: Int?
        let cursor: String?

        static let schemaDocumentation: [String: JSONSchemaProperty] = [
            "query": "Text that the project's name contains, in any case."
        ].merging(pagingDocumentation(standardLimit: standardLimit)) { own, _ in own }
    }

    static let name = "search_projects"
    static let title = "Search projects"
    static let description =
        "Finds projects whose name contains the query (case-insensitive, literal) and returns names, the first 5 unless limit says otherwise."
    static let annotations = ToolAnnotations.lookUp

    let registry: any SearchRegistry
    /// Key of the model with the projects.
    let model: String

    func call(_ arguments: Arguments, context: ToolContext) async throws -> PagedResults<String> {
        try await registry.page(
            of: Self.name, model, arguments.query, .display, arguments, context: context, \.name)
    }
}

/// Tool `search_any`: finds rows of any registered model.
struct SearchAnyTool: TypedTool {
    struct Arguments: PagingArguments, Decodable, Sendable, JSONSchemaDocumented {
        let model: String
        let query: String
        let limit: Int?
        let cursor: String?

        // Not an enumeration: an unknown model is the tool's own error, with the text that clients know.
        static let schemaDocumentation: [String: JSONSchemaProperty] = [
            "model": "What to search.",
            "query": "Text that one of the model's columns contains, in any case.",
        ].merging(pagingDocumentation(standardLimit: standardLimit)) { own, _ in own }
    }

    struct Hit: Codable, Sendable {
        let name: String
        let url: String
    }

    static let name = "search_any"
    static let title = "Search records"
    static let description =
        "Finds records of a model of which a column contains the query "
        + "(case-insensitive, literal), and returns name and URL in default order, the first 5 unless limit says otherwise."
    static let annotations = ToolAnnotations.lookUp

    let registry: any SearchRegistry

    /// Largest number of models that the schema names as examples.
    private static let maximumExamples = 50

    /// Definition of the tool, which names the configured models.
    var definition: ToolDefinition {
        get throws {
            let models = registry.searchModels.joined(separator: ", ")
            var schema = try JSONSchemaReflection.schema(of: Arguments.self)
            if var properties = schema["properties"]?.object, var model = properties["model"]?.object {
                model["description"] = .string("What to search: \(models).")
                model["examples"] = .array(registry.searchModels.prefix(Self.maximumExamples).map { .string($0) })
                properties["model"] = .object(model)
                var object = schema.object ?? [:]
                object["properties"] = .object(properties)
                schema = .object(object)
            }
            return ToolDefinition(
                name: Self.name, title: Self.title,
                description: Self.description.replacing("of a model", with: "of a model (\(models))"),
                inputSchema: schema, outputSchema: try JSONSchemaReflection.schema(of: PagedResults<Hit>.self),
                annotations: Self.annotations)
        }
    }

    func call(_ arguments: Arguments, context: ToolContext) async throws -> PagedResults<Hit> {
        try await registry.page(
            of: Self.name, arguments.model, arguments.query, .all, arguments, context: context
        ) { Hit(name: $0.name, url: $0.url) }
    }
}
