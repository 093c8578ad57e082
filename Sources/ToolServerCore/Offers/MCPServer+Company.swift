import MCP
import MCPServer

extension MCPServer {
    /// Offers documents and records as resources, and prompts around them, with completion for both.
    ///
    /// - Parameter rules: by the tool's name. Documents are bound by the rule of `ai_prompt`, which answers from them,
    ///   records by that of `search_any`, which finds them.
    func registerCompany(
        documents: any DocumentReader & DocumentStore, registry: any SearchRegistry, rules: [String: AccessRule] = [:]
    ) {
        let documentAccess = rules[AIPromptTool.name] ?? .anyone
        let recordAccess = rules[SearchAnyTool.name] ?? .anyone
        register(
            resources: CompanyResources(
                documents: documents, registry: registry, documentAccess: documentAccess, recordAccess: recordAccess))
        register(prompt: SummarizeDocumentPrompt(documents: documents), access: documentAccess)
        register(prompt: AskDocumentsPrompt(passages: documents), access: documentAccess)
        register(prompt: FindRecordsPrompt(models: registry.searchModels), access: recordAccess)
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
}
