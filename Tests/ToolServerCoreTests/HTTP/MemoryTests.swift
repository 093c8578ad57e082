import Foundation
import JSON
import MCP
import NIOPosix
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Store
@testable import ToolServerCore

/// `limits.memory` of the tool-server: what has no room is 503, and everything drawn goes back.
@Suite struct MemoryTests {
    private static let limits: JSONObject = ["limits": ["memory": "1MiB"]]

    private func echo(_ kibibytes: Int) -> String {
        #"{"message":""# + String(repeating: "x", count: kibibytes << 10) + #""}"#
    }

    @Test func aBodyWithoutRoomIsOverloaded() async throws {
        try await ToolFixture.serving(Self.limits) { client, fixture in
            let memory = fixture.toolServer.memory
            #expect(memory.limit == 1 << 20)
            // The body and the values that are read from it draw.
            #expect(try await client.post("/mcp/echo", echo(400)).status == 200)
            let refused = try await client.post("/mcp/echo", echo(1100))
            #expect(refused.status == 503)
            #expect(refused.header("Retry-After") == "1")
            #expect(try refused.json == ["error": "Overloaded"])
            #expect(memory.statistics.refusals == 1)
            #expect(await eventually { memory.statistics.used == 0 }, "\(memory.statistics)")
            #expect(try await client.post("/mcp/echo", echo(1)).status == 200)
        }
    }

    @Test func valuesThatTakeMoreThanTheirTextCountAsWhatTheyTake() async throws {
        try await ToolFixture.serving(Self.limits) { client, fixture in
            let wide = #"{"message":"x","wide":["# + String(repeating: "[],", count: 20_000) + "1]}"
            let refused = try await client.post("/mcp/echo", wide)
            #expect(refused.status == 503)
            #expect(try refused.json == ["error": "Overloaded"])
            let command = try await client.post("/mcp/", #"{"command":"echo","arguments":"# + wide + "}")
            #expect(command.status == 503)
            #expect(await eventually { fixture.toolServer.memory.statistics.used == 0 })
        }
    }

    @Test func aLoginOfManyValuesIsRefusedBeforeItIsRead() async throws {
        try await ToolFixture.serving { (client, _) async throws in
            let body = #"{"username":"alice","password":"x","more":""# + String(repeating: "x", count: 17_000) + "\"}"
            #expect(try await client.post("/auth/login", body).status == 413)
        }
    }

    @Test func aPageOfHistoryWithoutRoomIsATemporaryErrorOfTheTool() async throws {
        let fixture = try await ToolFixture(document: ["toolServer": .object(Self.limits)])
        let memory = fixture.toolServer.memory
        let text = String(repeating: "x", count: 100_000)
        for _ in 0..<3 {
            try await fixture.store.appendMessage(
                StoredMessage(message: text, response: text, at: Date(timeIntervalSince1970: 0)),
                userID: fixture.alice.principal.id)
        }
        let whole = try await fixture.call("chat_history", as: fixture.alice)
        #expect(whole.structuredContent?["results"]?.array?.count == 3)
        #expect(memory.statistics.used == 0)
        #expect(memory.statistics.peak >= 600_000)
        #expect(memory.draw(900_000))
        let refused = try await fixture.call("chat_history", as: fixture.alice)
        #expect(refused.isError)
        #expect(refused.text == "Overloaded, try again")
        #expect(refused.meta[MCPMeta.status] == 503)
        #expect(try await fixture.call("chat_history", as: fixture.bob).isError == false)
        #expect(memory.statistics.used == 900_000)
    }

    @Test func theAdminPortShowsTheBudget() async throws {
        var settings = Self.limits
        settings["admin"] = "127.0.0.1:0"
        let fixture = try await ToolFixture(document: ["toolServer": .object(settings)])
        let service = try fixture.toolServer.adminService(group: MultiThreadedEventLoopGroup.singleton)
        let port = try #require(try await service.http.start().first?.port)
        let status = try await HTTPTestClient("http://127.0.0.1:\(port)").get("/status/memory")
        #expect(try status.json == ["limit": 1_048_576, "used": 0, "peak": 0, "refusals": 0])
        await service.drain()
        await fixture.toolServer.shutdown()
    }
}
