import Assistant
import MCP
import MCPServer
import Store

/// Prompt that gives the model a document and asks for a summary.
struct SummarizeDocumentPrompt: PromptProvider {
    static let name = "summarize_document"

    let documents: any DocumentReader

    var definition: Prompt {
        Prompt(
            name: Self.name, title: "Summarize a document",
            description: "The document, and the request to sum it up for a colleague.",
            arguments: [
                PromptArgument(
                    name: "document", title: "Document", description: "Number or title of the document.", required: true
                )
            ])
    }

    func render(_ arguments: [String: String], context: ToolContext) async throws -> GetPromptResult {
        let wanted = arguments["document"] ?? ""
        let found = try await ToolError.translating(context) { try await find(wanted) }
        guard let (id, document) = found else { throw JSONRPCError.invalidParams("Unknown document: \(wanted)") }
        return GetPromptResult(messages: [
            PromptMessage(
                role: .user,
                content: .resource(
                    ResourceContents(
                        uri: CompanyURI.document(id), mimeType: "text/markdown", text: document.text))),
            PromptMessage(
                role: .user,
                content: .text(
                    "Sum up the document \"\(document.title)\" for a colleague who has one minute: what it is about, "
                        + "what it asks of whom, and every date and number that matters.")),
        ])
    }

    private func find(_ wanted: String) async throws -> (Int64, Document)? {
        if let id = Int64(wanted), let document = try await documents.document(id: id) { return (id, document) }
        guard let entry = try await DocumentTitles(documents: documents).first(where: { $0.title == wanted }),
            let document = try await documents.document(id: entry.id)
        else { return nil }
        return (entry.id, document)
    }
}

/// Prompt that asks for records, and explains how to find them.
struct FindRecordsPrompt: PromptProvider {
    static let name = "find_records"

    let models: [String]

    var definition: Prompt {
        Prompt(
            name: Self.name, title: "Find records",
            description: "Looks for something in the company's records and reports what is there.",
            arguments: [
                PromptArgument(
                    name: "query", title: "Query", description: "Text to search for.", required: true),
                PromptArgument(
                    name: "model", title: "Kind of record",
                    description: "Kind of records: \(models.joined(separator: ", ")). All kinds if absent."),
            ])
    }

    func render(_ arguments: [String: String], context: ToolContext) async throws -> GetPromptResult {
        var places = models
        if let model = arguments["model"], !model.isEmpty {
            guard models.contains(model) else { throw JSONRPCError.invalidParams("Unknown model: \(model)") }
            places = [model]
        }
        let query = arguments["query"] ?? ""
        return GetPromptResult(messages: [
            PromptMessage(
                role: .user,
                content: .text(
                    "Find what our records say about \"\(query)\". Call search_any for each of these models: "
                        + "\(places.joined(separator: ", ")). Try the words one by one when the whole finds nothing. "
                        + "Then list what you found, with names and links, and say where there was nothing."))
        ])
    }
}

/// Prompt that asks a question about the documents, with the passages that may answer it.
struct AskDocumentsPrompt: PromptProvider {
    static let name = "ask_documents"

    private static let maximumPassages = 5

    let passages: any DocumentStore

    var definition: Prompt {
        Prompt(
            name: Self.name, title: "Ask the documents",
            description: "A question, and the passages of the company's documents that may answer it.",
            arguments: [
                PromptArgument(
                    name: "question", title: "Question", description: "Question in plain words.", required: true)
            ])
    }

    func render(_ arguments: [String: String], context: ToolContext) async throws -> GetPromptResult {
        let question = arguments["question"] ?? ""
        let found = try await ToolError.translating(context) {
            try await passages.passages(matching: question, limit: Self.maximumPassages)
        }
        let sources = found.map { "From \"\($0.title)\" (\($0.url)):\n\($0.text)" }.joined(separator: "\n\n")
        let text =
            found.isEmpty
            ? "Our documents have no passage about this question. Say so, and answer from nothing else.\n\n\(question)"
            : "Answer the question from these passages alone, and name the document that each statement is from. Say "
                + "so when they do not answer it.\n\n\(sources)\n\nQuestion: \(question)"
        return GetPromptResult(messages: [PromptMessage(role: .user, content: .text(text))])
    }
}

/// All documents in id order, read in pages.
struct DocumentTitles {
    let documents: any DocumentReader

    private static let pageSize = 200

    func first(where matches: (DocumentSummary) -> Bool) async throws -> DocumentSummary? {
        try await all(where: matches, limit: 1).first
    }

    func all(where matches: (DocumentSummary) -> Bool, limit: Int) async throws -> [DocumentSummary] {
        var found: [DocumentSummary] = []
        var last: Int64 = 0
        while found.count < limit {
            let page = try await documents.documents(after: last, limit: Self.pageSize)
            found += page.filter(matches).prefix(limit - found.count)
            guard page.count == Self.pageSize, let end = page.last else { break }
            last = end.id
        }
        return found
    }
}
