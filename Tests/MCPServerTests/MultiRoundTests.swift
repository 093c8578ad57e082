import Foundation
import JSON
import MCP
import Synchronization
import Testing

@testable import MCPServer

@Suite("Questions as results (2026-07-28)")
struct MultiRoundTests {
    static let form: JSONObject = [
        "type": "object", "properties": ["name": ["type": "string"]], "required": ["name"],
    ]

    static let twoSteps = ScriptedTool(
        "asks", input: ["type": "object", "properties": ["topic": ["type": "string"]]]
    ) { _, context in
        let first = try await context.elicit("Who?", schema: form, key: "who")
        let second = try await context.elicit("Where?", schema: form, key: "where")
        let names = [first, second].map { $0.content?["name"]?.string ?? "?" }
        return .text(names.joined(separator: " in "))
    }

    static func accept(_ name: String) -> JSONValue { ["action": "accept", "content": ["name": .string(name)]] }

    @Test("a tool that asks twice gets both answers, carried by the sealed state")
    func rounds() async throws {
        let fixture = try Fixture(tools: [Self.twoSteps])
        let elicitation: JSONObject = ["elicitation": [:]]
        let first = try await fixture.modern("tools/call", ["name": "asks"], id: 1, capabilities: elicitation)
        #expect(first.result["resultType"] == "input_required")
        #expect(first.result["inputRequests"]?["who"]?["method"] == "elicitation/create")
        #expect(first.result["ttlMs"] == nil)

        let second = try await fixture.modern(
            "tools/call", ["name": "asks", "inputResponses": ["who": Self.accept("Ann")]], id: 2,
            capabilities: elicitation)
        #expect(second.result["inputRequests"]?["where"] != nil)
        let state = try #require(second.result["requestState"])

        let third = try await fixture.modern(
            "tools/call", ["name": "asks", "inputResponses": ["where": Self.accept("Rome")], "requestState": state],
            id: 3, capabilities: elicitation)
        #expect(third.result["content"]?[0]?["text"] == "Ann in Rome")
    }

    @Test("nothing is asked that the client did not declare: -32021 with 400")
    func undeclared() async throws {
        let reply = try await Fixture(tools: [Self.twoSteps]).modern("tools/call", ["name": "asks"])
        #expect(reply.status == 400)
        #expect(reply.code == -32021)
        #expect(reply.last["error"]?["data"]?["requiredCapabilities"] == ["elicitation": [:]])
    }

    @Test("state that is tampered with, foreign, for another request or expired is -32602")
    func stateIsBound() async throws {
        let time = Mutex(Date(timeIntervalSince1970: 1_000_000))
        let fixture = try Fixture(
            now: { time.withLock { $0 } },
            tools: [
                ScriptedTool("keeps", input: ["type": "object", "properties": ["topic": ["type": "string"]]]) {
                    _, context in
                    if let state = context.state { return .text(state.string ?? "") }
                    throw InputRequired(questions: [], state: "kept")
                }
            ])
        let call: JSONObject = ["name": "keeps", "arguments": ["topic": "a"]]
        let first = try await fixture.modern("tools/call", call, principal: alice)
        let state = try #require(first.result["requestState"]?.string)

        func retry(_ state: String, topic: String = "a", _ principal: Principal? = alice) async throws -> Reply {
            try await fixture.modern(
                "tools/call",
                ["name": "keeps", "arguments": ["topic": .string(topic)], "requestState": .string(state)],
                principal: principal)
        }
        #expect(try await retry(state).result["content"]?[0]?["text"] == "kept")
        #expect(try await retry(state + "A").code == -32602)
        #expect(try await retry(String(state.reversed())).code == -32602)
        #expect(try await retry("").code == -32602)
        #expect(try await retry(state, topic: "b").code == -32602)
        #expect(try await retry(state, topic: "a", bob).code == -32602)
        #expect(try await retry(state, topic: "a", nil).code == -32602)
        time.withLock { $0 += 601 }
        #expect(try await retry(state).code == -32602)
    }

    @Test("a missing answer is asked for again")
    func askedAgain() async throws {
        let fixture = try Fixture(tools: [Self.twoSteps])
        let reply = try await fixture.modern(
            "tools/call", ["name": "asks", "inputResponses": ["other": Self.accept("x")]],
            capabilities: ["elicitation": [:]])
        #expect(reply.result["inputRequests"]?["who"] != nil)
        let wrong = try await fixture.modern(
            "tools/call", ["name": "asks", "inputResponses": [1]], capabilities: ["elicitation": [:]])
        #expect(wrong.code == -32602)
    }
}
