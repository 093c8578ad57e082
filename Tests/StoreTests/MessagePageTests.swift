import Foundation
import JSON
import Testing
import ToolServerTestSupport

@testable import PostgreSQLStore
@testable import SQLiteStore
@testable import Store

/// A page of history is bounded in bytes as well as in rows.
@Suite struct MessagePageTests {
    private func store(_ engine: Engine, _ texts: [(message: String, response: String)]) async throws
        -> any InternalStore
    {
        let store = try await engine.store()
        for (number, text) in texts.enumerated() {
            try await store.appendMessage(
                StoredMessage(
                    message: text.message, response: text.response,
                    at: Date(timeIntervalSince1970: Double(number))), userID: "u")
        }
        return store
    }

    /// All pages, following the positions.
    private func pages(_ store: any MessageStore, _ bounds: MessagePageBounds) async throws -> [MessagePage] {
        var pages: [MessagePage] = []
        var position: PagePosition?
        repeat {
            let page = try await store.messages(userID: "u", within: bounds, after: position)
            pages.append(page)
            position = page.next
        } while position != nil && pages.count < 100
        return pages
    }

    @Test(arguments: Engine.allCases)
    func aPageEndsBeforeItsBytesAreExceededAndTheNextGoesOn(engine: Engine) async throws {
        let texts = (0..<10).map { number in
            (message: "\(number)" + String(repeating: "m", count: 99), response: String(repeating: "r", count: 100))
        }
        let store = try await store(engine, texts)
        let pages = try await pages(store, MessagePageBounds(rows: 50, bytes: 650))
        #expect(pages.map(\.messages.count) == [3, 3, 3, 1])
        #expect(pages.flatMap(\.messages).map(\.message) == texts.reversed().map(\.message))
        #expect(pages.flatMap(\.messages).allSatisfy { $0.storedBytes == nil })
        // Exactly full is not over, and rows still count.
        #expect(try await self.pages(store, MessagePageBounds(rows: 50, bytes: 400)).first?.messages.count == 2)
        #expect(try await self.pages(store, MessagePageBounds(rows: 2, bytes: 650)).count == 5)
        #expect(try await self.pages(store, MessagePageBounds(rows: 10, bytes: 2000)).map(\.messages.count) == [10])
    }

    @Test(arguments: Engine.allCases)
    func anExchangeLongerThanAPageIsCutAtACharacterAndMakesOne(engine: Engine) async throws {
        let long = String(repeating: "é", count: 1000)
        let store = try await store(
            engine, [("short", "kept"), (long, long), (long, "brief"), ("brief", long)])
        let pages = try await pages(store, MessagePageBounds(rows: 50, bytes: 501))
        #expect(pages.map(\.messages.count) == [1, 1, 1, 1])
        let messages = pages.flatMap(\.messages)
        // What the short text leaves, the long one takes; an odd number of bytes goes through a character.
        #expect(messages[0].message == "brief")
        #expect(messages[0].response == String(repeating: "é", count: 248))
        #expect(messages[1].message == String(repeating: "é", count: 248))
        #expect(messages[1].response == "brief")
        #expect(messages[2].message == String(repeating: "é", count: 125))
        #expect(messages[2].response == messages[2].message)
        #expect(messages[2].storedBytes == StoredMessage.Lengths(message: 2000, response: 2000))
        #expect(messages[3].storedBytes == nil)
        let whole = try await self.pages(store, MessagePageBounds(rows: 50, bytes: 501, cutsLongExchanges: false))
        #expect(whole.flatMap(\.messages).map(\.response) == [long, "brief", long, "kept"])
    }

    @Test(arguments: Engine.allCases, ["a😀", "aa😀", "aaa😀", "a語", "aé", "😀", "abc"])
    func aCutNeverLeavesHalfACharacter(engine: Engine, unit: String) async throws {
        let text = String(repeating: unit, count: 20)
        let store = try await store(engine, [(text, "")])
        for bytes in 2...text.utf8.count {
            let page = try await store.messages(
                userID: "u", within: MessagePageBounds(rows: 1, bytes: bytes), after: nil)
            let read = try #require(page.messages.first?.message)
            #expect(text.hasPrefix(read) || read.isEmpty, "\(bytes)")
            #expect(read.utf8.count <= bytes && read.utf8.count > bytes - 4, "\(bytes)")
        }
    }

    @Test(arguments: Engine.allCases)
    func instantsThatNoCalendarHasAreReadAsTheNearest(engine: Engine) async throws {
        let store = try await engine.store()
        for (number, at) in [Int64.min, -62_135_596_800_001, 253_402_300_800_000, .max].enumerated() {
            try await store.change(
                "INSERT INTO message (user_id, message, response, at) VALUES ($1, $2, $3, $4)", .text("u"),
                engine == .sqlite ? .text("\(number)") : .bytes(Array("\(number)".utf8)),
                engine == .sqlite ? .text("") : .bytes([]), .integer(at))
        }
        let pages = try await pages(store, MessagePageBounds(rows: 1))
        let messages = pages.flatMap(\.messages)
        #expect(messages.map(\.message) == ["3", "2", "1", "0"])
        #expect(messages.map { $0.at.timestamp.prefix(4) } == ["9999", "9999", "0001", "0001"])
    }

    @Test(arguments: [Double.infinity, -.infinity, .nan, 1e300, -1e300, 9.3e15])
    func noInstantOverflows(seconds: Double) {
        let date = Date(timeIntervalSince1970: seconds)
        #expect(date.timestamp.utf8.count == 24)
        #expect((19...26).contains(DjangoTimestamp.text(date).utf8.count))
    }
}
