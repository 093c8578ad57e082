import Testing
import ToolServerTestSupport

@testable import Assistant
@testable import Store

/// Answers that quote documents, where no model is configured.
@Suite struct DocumentResponsesTests {
    @Test(arguments: Engine.allCases)
    func answersQuoteTheirSources(engine: Engine) async throws {
        let answer = try await DocumentResponses(documents: await engine.storeWithDocuments()).answer(
            "When do backups run?", onDelta: nil)
        #expect(answer.hasPrefix("From the documents:"))
        #expect(answer.contains("“Backups run at two.”\n— Backups (/wiki/backups)"))
    }

    @Test(arguments: Engine.allCases)
    func withoutAMatchTheDocumentsAreListed(engine: Engine) async throws {
        let answer = try await DocumentResponses(documents: await engine.storeWithDocuments()).answer(
            "zzzz", onDelta: nil)
        #expect(answer.contains("No document matches"))
        #expect(answer.contains("- Holiday Policy (/ai/document/1/)"))
        let empty = try await DocumentResponses(documents: await engine.store()).answer("zzzz", onDelta: nil)
        #expect(empty.contains("no documents yet"))
    }

    @Test(arguments: Engine.allCases)
    func answersQuoteDocumentsInAnyLanguage(engine: Engine) async throws {
        let store = try await engine.store()
        for document in LanguageCorpus.documents {
            _ = try await store.putDocument(
                Document(title: document.title, body: document.passages.joined(separator: "\n\n")))
        }
        let answers = DocumentResponses(documents: store)
        let answer = try await answers.answer("有給休暇は何日ありますか？", onDelta: nil)
        #expect(answer.contains("“従業員には年間28日の有給休暇が付与されます。”"))
        #expect(try await answers.answer("年假", onDelta: nil).contains("年假"))
    }
}
