import Foundation
import Testing
import ToolServerTestSupport

@testable import Store

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
    @Test(arguments: Engine.allCases)
    func theBestPassageComesFirst(engine: Engine) async throws {
        let passages = try await engine.storeWithDocuments().passages(matching: "How many days of holiday?", limit: 3)
        #expect(
            passages.first
                == Passage(
                    title: "Holiday Policy", url: "/ai/document/1/", text: "Employees have 28 days of leave."))
    }

    @Test(arguments: Engine.allCases)
    func wordsMatchInTheirOtherForms(engine: Engine) async throws {
        let passages = try await engine.storeWithDocuments().passages(matching: "REQUESTING leaves", limit: 5)
        #expect(Set(passages.map(\.title)) == ["Holiday Policy", "Backups"])
        #expect(passages.contains { $0.text == "Requests go to the team lead." })
    }

    @Test(arguments: Engine.allCases, ["", "the of and", "?!", "\"", "zzzz", "AND OR NOT", "title:", "\0"])
    func questionsWithoutAKnownWordMatchNothing(engine: Engine, question: String) async throws {
        #expect(try await engine.storeWithDocuments().passages(matching: question, limit: 3).isEmpty)
    }

    @Test(arguments: Engine.allCases)
    func aMegabyteOfQuestionIsAnsweredToo(engine: Engine) async throws {
        let question = "leave " + String(repeating: "lorem ipsum dolor ", count: 60_000)
        #expect(try await !engine.storeWithDocuments().passages(matching: question, limit: 3).isEmpty)
    }
}
