import Foundation
import JSON
import MCP
import MCPServer
import Testing
import ToolServerTestSupport

@testable import Store
@testable import ToolServerCore

@Suite struct PagingTests {
    /// All results of a tool, page by page.
    private func pages(
        _ fixture: ToolFixture, _ tool: String, _ arguments: JSONObject, limit: Int, as account: Account? = nil,
        between: () async throws -> Void = {}
    ) async throws -> [[JSONValue]] {
        var pages: [[JSONValue]] = []
        var cursor: JSONValue?
        repeat {
            var arguments = arguments
            arguments["limit"] = .number(limit)
            arguments["cursor"] = cursor
            let result = try await fixture.call(tool, arguments, as: account)
            try #require(!result.isError, "\(result.text)")
            pages.append(try #require(result.structuredContent?["results"]?.array))
            cursor = result.structuredContent?["nextCursor"]
            if pages.count == 1 { try await between() }
        } while cursor != nil && pages.count < 50
        return pages
    }

    private func cursor(
        _ fixture: ToolFixture, _ tool: String, _ arguments: JSONObject, as account: Account? = nil
    ) async throws -> String {
        try #require(await fixture.call(tool, arguments, as: account).structuredContent?["nextCursor"]?.string)
    }

    @Test(arguments: Engine.allCases, ["urgent", "u", ""])
    func pagesTogetherAreTheWholeResult(engine: Engine, query: String) async throws {
        let fixture = try await ToolFixture(on: engine)
        let pages = try await pages(fixture, "search_any", ["model": "projects", "query": .string(query)], limit: 3)
        #expect(pages.map(\.count) == [3, 3, 1])
        #expect(pages.joined().compactMap { $0["name"]?.string } == (1...7).map { "Urgent \($0)" })
        let names = try await self.pages(fixture, "search_projects", ["query": .string(query)], limit: 7)
        #expect(names.map(\.count) == [7])
    }

    @Test(arguments: Engine.allCases)
    func pagesNeitherRepeatNorSkipWhenRowsComeAndGo(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine)
        let pages = try await pages(fixture, "search_projects", ["query": "urgent"], limit: 3) {
            try await fixture.store.change(
                "INSERT INTO project (id, name) VALUES (-1, 'Urgent first'), (9, 'Urgent last')")
            try await fixture.store.change("DELETE FROM project WHERE id IN (1, 3, 5)")
        }
        #expect(
            pages.joined().compactMap(\.string) == [
                "Urgent 1", "Urgent 2", "Urgent 3", "Urgent 4", "Urgent 6", "Urgent 7", "Urgent last",
            ])
    }

    @Test func callersThatDoNotPageGetTheResultsAlone() async throws {
        let fixture = try await ToolFixture()
        let result = try await fixture.call("search_any", ["model": "projects", "query": "urgent"])
        #expect(result.structuredContent?.object?.keys == ["results"])
        #expect(result.structuredContent?["results"]?.array?.count == 5)
    }

    @Test(arguments: Engine.allCases, [0, -1, 101, 1 << 40])
    func limitsOutsideTheBoundsAreArgumentErrors(engine: Engine, limit: Int) async throws {
        let fixture = try await ToolFixture(on: engine)
        await #expect(throws: ToolCallError.self) {
            try await fixture.call("search_any", ["model": "projects", "query": "u", "limit": .number(limit)])
        }
        await #expect(throws: ToolCallError.self) {
            try await fixture.call("chat_history", ["limit": .number(limit)], as: fixture.alice)
        }
    }

    @Test(arguments: Engine.allCases)
    func aCursorIsOnlyGoodForTheCallThatGaveIt(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine)
        let arguments: JSONObject = ["model": "projects", "query": "urgent", "limit": 2]
        let cursor = try await cursor(fixture, "search_any", arguments)
        func isRefused(_ tool: String, _ changes: JSONObject, as account: Account? = nil) async throws -> Bool {
            var changed = arguments.merging(changes)
            if changed["cursor"] == nil { changed["cursor"] = .string(cursor) }
            if tool == "search_projects" { changed["model"] = nil }
            let result = try await fixture.call(tool, changed, as: account)
            return result.isError && result.text.hasPrefix("Invalid arguments: cursor:")
                && result.meta[MCPMeta.status] == 400
        }
        #expect(try await !isRefused("search_any", ["limit": 100]))
        #expect(try await isRefused("search_any", ["model": "documents"]))
        #expect(try await isRefused("search_any", ["query": "Urgent"]))
        #expect(try await isRefused("search_any", [:], as: fixture.alice))
        #expect(try await isRefused("search_projects", [:]))
        for forged in ["", "x", "AAAA", cursor + "A", String(cursor.dropLast()), "' OR 1=1 --", "\0"] {
            #expect(try await isRefused("search_any", ["cursor": .string(forged)]), "\(forged)")
        }
        for index in cursor.indices {
            var tampered = cursor
            tampered.replaceSubrange(index...index, with: cursor[index] == "A" ? "B" : "A")
            #expect(try await isRefused("search_any", ["cursor": .string(tampered)]))
        }
    }

    @Test(arguments: Engine.allCases)
    func historyIsPagedNewestFirstAndOnlyOnesOwn(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine)
        for number in 1...7 {
            for account in [fixture.alice, fixture.bob] {
                try await fixture.store.appendMessage(
                    // Several share an instant: the order of storing decides.
                    StoredMessage(
                        message: "\(account.username) \(number)", response: "r",
                        at: Date(timeIntervalSince1970: Double(number / 3))),
                    userID: account.principal.id)
            }
        }
        let pages = try await pages(fixture, "chat_history", [:], limit: 2, as: fixture.alice)
        #expect(pages.joined().compactMap { $0["message"]?.string } == (1...7).reversed().map { "alice \($0)" })
        let mine = try await cursor(fixture, "chat_history", ["limit": 2], as: fixture.alice)
        let stolen = try await fixture.call("chat_history", ["cursor": .string(mine)], as: fixture.bob)
        #expect(stolen.isError)
        #expect(try await fixture.call("chat_history", ["limit": 2]).text == "Not authenticated")
    }

    @Test(arguments: [
        [StoreValue.null, .boolean(true), .boolean(false)], [.integer(.min), .integer(.max), .integer(0)],
        [.real(0.1), .real(-.infinity), .real(1e300)], [.text(""), .text("a\0\"ł🚀"), .blob([]), .blob([0, 255])],
    ])
    func positionsSurviveTheirText(values: [StoreValue]) throws {
        let cursors = PageCursor(["scope", nil])
        #expect(try cursors.position(cursors.text(PagePosition(values)))?.values == values)
        #expect(try cursors.position(nil) == nil)
        #expect(throws: ToolError.self) {
            try PageCursor(["scope", ""]).position(cursors.text(PagePosition(values)))
        }
    }

    /// Six messages of 2.4 MB made every later call of `history` fail.
    @Test(arguments: Engine.allCases)
    func historyAnswersHoweverLongTheMessagesAre(engine: Engine) async throws {
        let fixture = try await ToolFixture(on: engine)
        let long = String(repeating: "\u{1}", count: 2_400_000)
        for number in 0..<6 {
            try await fixture.store.appendMessage(
                StoredMessage(
                    message: "\(number)" + long, response: long, at: Date(timeIntervalSince1970: Double(number))),
                userID: fixture.alice.principal.id)
        }
        var arguments: JSONObject = ["limit": 50]
        var seen: [String] = []
        repeat {
            let result = try await fixture.call("chat_history", arguments, as: fixture.alice)
            #expect(!result.isError)
            #expect(result.json(for: .latestModern).serialized.count < 16 << 20)
            let content = try #require(result.structuredContent)
            for exchange in content["results"]?.array ?? [] {
                seen.append(String(exchange["message"]?.string?.prefix(1) ?? ""))
                #expect(exchange["truncated"] == true)
                #expect(exchange["message"]?.string?.hasSuffix("… [cut: 2400001 bytes in all]") == true)
                #expect(exchange["response"]?.string?.hasSuffix("… [cut: 2400000 bytes in all]") == true)
            }
            arguments["cursor"] = content["nextCursor"]
        } while arguments["cursor"] != nil && seen.count < 10
        #expect(seen == ["5", "4", "3", "2", "1", "0"])
        await fixture.toolServer.shutdown()
    }
}
