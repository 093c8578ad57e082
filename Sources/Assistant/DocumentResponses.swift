package import Store

/// Provider of answers without a model: the best passages of the documents, quoted with their sources.
package struct DocumentResponses: ResponseProvider {
    private static let maximumPassages = 3
    private static let maximumPassageLength = 600
    private static let maximumTitles = 8

    let documents: any DocumentStore

    /// Creates a provider of answers from a store's documents.
    package init(documents: any DocumentStore) {
        self.documents = documents
    }

    package func answer(_ question: Question, onDelta: ResponseDelta?) async throws -> String {
        let passages = try await documents.passages(matching: question.prompt, limit: Self.maximumPassages)
        let answer =
            if passages.isEmpty {
                try await nothingFound()
            } else {
                Self.quote(passages)
            }
        await onDelta?(answer)
        return answer
    }

    private static func quote(_ passages: [Passage]) -> String {
        var answer = "From the documents:"
        for passage in passages {
            answer += "\n\n“\(shortened(passage.text))”\n— \(passage.title) (\(passage.url))"
        }
        return answer
    }

    private func nothingFound() async throws -> String {
        let titles = try await documents.documentTitles(limit: Self.maximumTitles + 1)
        guard !titles.isEmpty else {
            return "No document matches the question: there are no documents yet. "
                + "Projects, tasks and customers can be found with search_any."
        }
        var answer = "No document matches the question. There are documents about:"
        for title in titles.prefix(Self.maximumTitles) { answer += "\n- \(title.name) (\(title.url))" }
        if titles.count > Self.maximumTitles { answer += "\n- … and more" }
        return answer + "\nProjects, tasks and customers can be found with search_any."
    }

    private static func shortened(_ text: String) -> String {
        guard text.count > maximumPassageLength else { return text }
        let cut = text.prefix(maximumPassageLength)
        let end = cut.lastIndex(where: \.isWhitespace) ?? cut.endIndex
        return cut[..<end] + " …"
    }
}
