import MCP
import MCPServer
import Store

extension MCPServer {
    /// Registers documents and records as resources, prompts around them, and completion for both.
    ///
    /// - Parameter rules: Access rules by the tool's name.
    func registerPromptsAndResources(
        documents: any DocumentReader & DocumentStore, registry: any SearchRegistry, rules: [String: AccessRule] = [:]
    ) {
        register(prompt: SummarizeDocumentPrompt(documents: documents))
        register(prompt: AskDocumentsPrompt(passages: documents))
        register(prompt: FindRecordsPrompt(models: registry.searchModels))
        replaceRules(rules, documents: documents, registry: registry)
        register { parameters, context in
            let typed = parameters.argumentValue.lowercased()
            switch (parameters.reference, parameters.argumentName) {
            case (.prompt(FindRecordsPrompt.name), "model"), (.resource(CompanyURI.records), "model"):
                return CompleteResult(values: registry.searchModels.filter { $0.lowercased().hasPrefix(typed) })
            case (.prompt(SummarizeDocumentPrompt.name), "document"):
                let titles = try await ToolError.translating(context) {
                    try await DocumentTitles(documents: documents).all(
                        where: { $0.title.lowercased().contains(typed) }, limit: 100)
                }
                return CompleteResult(values: titles.map(\.title))
            case (.resource(CompanyURI.documents), "id"):
                let ids = try await ToolError.translating(context) {
                    try await DocumentTitles(documents: documents).all(
                        where: { String($0.id).hasPrefix(typed) }, limit: 100)
                }
                return CompleteResult(values: ids.map { String($0.id) })
            default:
                return nil
            }
        }
    }

    /// Names of all tools, whatever their access rules are.
    var toolNames: [String] { toolDefinitions(for: .allowedEverything).map(\.name) }

    /// Replaces the access rules, by the tool's name, of the tools and of the prompts and resources that show the same
    /// data.
    func replaceRules(
        _ rules: [String: AccessRule], documents: any DocumentReader, registry: any SearchRegistry
    ) {
        let resources = CompanyResources(documents: documents, registry: registry, rules: rules)
        replaceAccess(
            tools: rules,
            prompts: [
                SummarizeDocumentPrompt.name: resources.documentAccess,
                AskDocumentsPrompt.name: resources.documentAccess,
                FindRecordsPrompt.name: resources.recordAccess,
            ], resources: [resources])
    }
}

extension CompanyResources {
    /// Creates the resources with the access rules of tools: documents have that of `ai_prompt`, which answers from
    /// them, records that of `search_any`, which finds them.
    fileprivate init(
        documents: any DocumentReader, registry: any SearchRegistry, rules: [String: AccessRule]
    ) {
        self.init(
            documents: documents, registry: registry, documentAccess: rules[AIPromptTool.name] ?? .anyone,
            recordAccess: rules[SearchAnyTool.name] ?? .anyone)
    }
}
