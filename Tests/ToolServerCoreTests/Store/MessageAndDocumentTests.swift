import Foundation
import Testing

@testable import Assistant
@testable import Identity
@testable import Store
@testable import ToolServerCore

@Suite struct MessageTests {
    @Test(arguments: Engine.allCases)
    func messagesComeNewestFirstAndOnlyOnesOwn(engine: Engine) async throws {
        let store = try await engine.store()
        for number in 1...60 {
            let message = StoredMessage(
                message: "m\(number)", response: "r\(number)", at: Date(timeIntervalSince1970: Double(number)))
            try await store.appendMessage(message, userID: number % 2 == 0 ? "even" : "odd")
        }
        let even = try await store.messages(userID: "even", limit: 50)
        #expect(even.map(\.message) == stride(from: 60, through: 2, by: -2).map { "m\($0)" })
        #expect(try await store.messages(userID: "even", limit: 3).map(\.message) == ["m60", "m58", "m56"])
        #expect(try await store.messages(userID: "nobody", limit: 50).isEmpty)
    }

    @Test(arguments: Engine.allCases)
    func messagesOfOneInstantKeepTheirOrder(engine: Engine) async throws {
        let store = try await engine.store()
        let at = Date(timeIntervalSince1970: 1_790_000_000.123)
        for number in 1...3 {
            try await store.appendMessage(StoredMessage(message: "\(number)", response: "", at: at), userID: "u")
        }
        let stored = try await store.messages(userID: "u", limit: 50)
        #expect(stored.map(\.message) == ["3", "2", "1"])
        #expect(stored.allSatisfy { abs($0.at.timeIntervalSince(at)) < 0.001 })
    }

    @Test(arguments: Engine.allCases, ["a\0b\u{1}c", "🚀\u{2028}", "'; --", String(repeating: "x", count: 1 << 20)])
    func textComesBackWhole(engine: Engine, text: String) async throws {
        let store = try await engine.store()
        try await store.appendMessage(StoredMessage(message: text, response: text + "!", at: Date()), userID: "u")
        let page = try await store.messages(
            userID: "u", within: MessagePageBounds(rows: 1, bytes: 4 << 20), after: nil)
        let stored = try #require(page.messages.first)
        #expect(stored.storedBytes == nil)
        #expect(stored.message == text)
        #expect(stored.response == text + "!")
    }

    @Test(arguments: [
        (0.0, "1970-01-01T00:00:00.000Z"), (1_790_000_000.123, "2026-09-21T14:13:20.123Z"),
        (-0.5, "1969-12-31T23:59:59.500Z"),
    ])
    func instantsAreWrittenAsRFC3339(seconds: Double, text: String) {
        #expect(Date(timeIntervalSince1970: seconds).timestamp == text)
    }
}

@Suite struct DocumentTests {
    private func store(_ engine: Engine) async throws -> any InternalStore {
        let store = try await engine.store()
        try await store.putDocument(
            Document(title: "Holiday Policy", body: "Employees have 28 days of leave.\n\nRequests go to the team lead.")
        )
        try await store.putDocument(
            Document(title: "Backups", url: "/wiki/backups", body: "Backups run at two.\n\nLeave the tapes alone."))
        return store
    }

    @Test(arguments: Engine.allCases)
    func theBestPassageComesFirst(engine: Engine) async throws {
        let passages = try await store(engine).passages(matching: "How many days of holiday?", limit: 3)
        #expect(
            passages.first
                == Passage(
                    title: "Holiday Policy", url: "/ai/document/1/", text: "Employees have 28 days of leave."))
    }

    @Test(arguments: Engine.allCases)
    func wordsMatchInTheirOtherForms(engine: Engine) async throws {
        let passages = try await store(engine).passages(matching: "REQUESTING leaves", limit: 5)
        #expect(Set(passages.map(\.title)) == ["Holiday Policy", "Backups"])
        #expect(passages.contains { $0.text == "Requests go to the team lead." })
    }

    @Test(arguments: Engine.allCases, ["", "the of and", "?!", "\"", "zzzz", "AND OR NOT", "title:", "\0"])
    func questionsWithoutAKnownWordMatchNothing(engine: Engine, question: String) async throws {
        #expect(try await store(engine).passages(matching: question, limit: 3).isEmpty)
    }

    @Test(arguments: Engine.allCases)
    func aMegabyteOfQuestionIsAnsweredToo(engine: Engine) async throws {
        let question = "leave " + String(repeating: "lorem ipsum dolor ", count: 60_000)
        #expect(try await !store(engine).passages(matching: question, limit: 3).isEmpty)
    }

    @Test(arguments: Engine.allCases)
    func answersQuoteTheirSources(engine: Engine) async throws {
        let answer = try await DocumentAnswers(documents: await store(engine)).answer(
            "When do backups run?", onDelta: nil)
        #expect(answer.hasPrefix("From the documents:"))
        #expect(answer.contains("“Backups run at two.”\n— Backups (/wiki/backups)"))
    }

    @Test(arguments: Engine.allCases)
    func withoutAMatchTheDocumentsAreListed(engine: Engine) async throws {
        let answer = try await DocumentAnswers(documents: await store(engine)).answer("zzzz", onDelta: nil)
        #expect(answer.contains("No document matches"))
        #expect(answer.contains("- Holiday Policy (/ai/document/1/)"))
        let empty = try await DocumentAnswers(documents: await engine.store()).answer("zzzz", onDelta: nil)
        #expect(empty.contains("no documents yet"))
    }
}

@Suite struct DemoDataTests {
    @Test(arguments: Engine.allCases)
    func seedingTwiceChangesNothing(engine: Engine) async throws {
        let store = try await engine.store()
        let hasher = try PasswordHasher.test()
        let first = try await store.seed(hasher: hasher)
        #expect(first.inserted.map(\.table) == ["project", "task", "customer", "document"])
        #expect(first.created.map(\.username) == ["alice", "bob"])
        let second = try await store.seed(hasher: hasher)
        #expect(second.inserted.isEmpty)
        #expect(second.created.isEmpty)
        await hasher.shutdown()
    }

    @Test(arguments: Engine.allCases)
    func theUrgentProjectIsAmongTheFirstFive(engine: Engine) async throws {
        let store = try await engine.store()
        let hasher = try PasswordHasher.test()
        _ = try await store.seed(hasher: hasher)
        let hits = try #require(
            try await store.search(model: "projects", query: "urgent", columns: .all, limit: 5))
        #expect(hits.count == 5)
        #expect(hits.contains(SearchHit(name: "Urgent Q2", url: "/psm/project/123/")))
        let names = try await store.search(model: "projects", query: "urgent", columns: .display, limit: 5)
        #expect(names?.contains { $0.name == "Urgent Q2" } == true)
        #expect(DemoData.projects.count >= 200)
        #expect(Set(DemoData.projects.map(\.name)).count == DemoData.projects.count)
        #expect(DemoDocuments.all.count >= 12)
        await hasher.shutdown()
    }

    @Test(arguments: Engine.allCases)
    func theSeededPasswordsLogIn(engine: Engine) async throws {
        let store = try await engine.store()
        let hasher = try PasswordHasher.test()
        let report = try await store.seed(hasher: hasher)
        let login = LoginService(accounts: store, sessions: store, hasher: hasher)
        let alice = try #require(report.created.first)
        let (account, _) = try await login.login(username: "alice", password: alice.password, replacing: nil)
        #expect(account.alias == "Al")
        await hasher.shutdown()
    }
}
