import JSON
import Logging
import MCP
import Testing
import ToolServerTestSupport

@testable import MCPServer
@testable import Store
@testable import ToolServerCore

/// Documents and records as resources, and the prompts around them.
@Suite struct CompanyPromptTests {
    private static let context = ToolContext(
        principal: nil, requestID: nil, version: .latestModern, logger: Logger(label: "test"))

    private func resources(_ fixture: ToolFixture) -> CompanyResources {
        CompanyResources(documents: fixture.store, registry: fixture.store)
    }

    @Test func documentsAreListedInPagesAndRead() async throws {
        let fixture = try await ToolFixture()
        for number in 1...150 {
            try await fixture.store.putDocument(Document(title: "Rule \(number)", body: "Text \(number)."))
        }
        let resources = resources(fixture)
        let first = try await resources.resources(after: nil, context: Self.context)
        #expect(first.resources.count == 100)
        #expect(first.resources.first?.name == "Leave")
        let second = try await resources.resources(after: first.next ?? "", context: Self.context)
        #expect(second.resources.count == 51)
        #expect(second.next == nil)
        let last = try #require(second.resources.last)
        let read = try #require(try await resources.read(last.uri, context: Self.context))
        #expect(read.contents.first?.body == .text("# Rule 150\n\nText 150."))
        #expect(last.size == "Text 150.".utf8.count)
    }

    @Test(arguments: [
        "company://documents/999", "company://documents/x", "company://documents/1/2", "company://documents/",
        "company://records/projects/", "company://records/nothing/x", "company://records/projects/a/b",
        "company://records/projects/%FF", "file:///etc/passwd", "",
    ])
    func whatDoesNotExistIsNotRead(_ uri: String) async throws {
        let fixture = try await ToolFixture()
        #expect(try await resources(fixture).read(uri, context: Self.context) == nil)
    }

    @Test func recordsAreFoundByTemplate() async throws {
        let fixture = try await ToolFixture()
        let model = try #require(fixture.store.searchModels.first)
        let uri = "company://records/\(model)/urgent%201"
        let read = try #require(try await resources(fixture).read(uri, context: Self.context))
        #expect(try JSONValue(parsing: try #require(read.contents.first?.text))[0]?["name"] == "Urgent 1")
    }

    @Test func aDocumentIsSummarizedByNumberOrTitle() async throws {
        let prompt = SummarizeDocumentPrompt(documents: try await ToolFixture().store)
        for document in ["1", "Leave"] {
            let result = try await prompt.render(["document": document], context: Self.context)
            #expect(result.messages.count == 2)
        }
        await #expect(throws: JSONRPCError.self) {
            try await prompt.render(["document": "Nothing"], context: Self.context)
        }
    }

    @Test func aQuestionComesWithThePassagesThatMayAnswerIt() async throws {
        let prompt = AskDocumentsPrompt(passages: try await ToolFixture().store)
        let found = try await prompt.render(["question": "How many days of leave?"], context: Self.context)
        #expect(found.messages.first?.content.text?.contains("28 days") == true)
        let nothing = try await prompt.render(["question": "zebra?"], context: Self.context)
        #expect(nothing.messages.first?.content.text?.contains("no passage") == true)
    }

    @Test func recordsAreAskedForOneModelOrAll() async throws {
        let prompt = FindRecordsPrompt(models: ["projects", "tasks"])
        let all = try await prompt.render(["query": "x"], context: Self.context)
        #expect(all.messages.first?.content.text?.contains("projects, tasks") == true)
        await #expect(throws: JSONRPCError.self) {
            try await prompt.render(["query": "x", "model": "nothing"], context: Self.context)
        }
    }
}

extension ResourceContents {
    fileprivate var text: String? {
        if case .text(let text) = body { text } else { nil }
    }
}
