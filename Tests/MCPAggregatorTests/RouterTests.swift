import JSON
import MCP
import MCPClient
import MCPServer
import ProcessMemory
import Synchronization
import TestSupport
import Testing

@testable import MCPAggregator

@Suite struct RouterTests {
    @Test func toolsAreListedInTheOrderOfTheUpstreamsWithTheirPrefixes() async throws {
        let crm = ScriptedUpstream.tools("crm", ["find", "contact_delete"])
        let router = EndpointRouter(
            [
                EndpointMember(ScriptedUpstream.tools("tools", ["search", "find"])),
                EndpointMember(crm, prefix: "crm_", deny: ["*_delete"]),
            ], logger: quiet)
        let endpoint = MCPServer.forwarding(to: router)
        #expect(try await endpoint.toolNames() == ["search", "find", "crm_find"])
        let answer = try await endpoint.modern(MCPMethod.toolsCall, ["name": "crm_find", "arguments": [:]])
        #expect(answer.message["result"]?["content"]?[0]?["text"]?.string == "crm: find")
        for hidden in ["crm_contact_delete", "contact_delete", "crm_", "nothing"] {
            let answer = try await endpoint.modern(MCPMethod.toolsCall, ["name": .string(hidden), "arguments": [:]])
            #expect(answer.status == 200)
            #expect(answer.message["error"]?["code"]?.int == -32602)
            #expect(answer.message["error"]?["message"]?.string == "Unknown tool: \(hidden)")
        }
        // What is hidden never reaches the upstream.
        #expect(crm.count(MCPMethod.toolsCall) == 1)
    }

    @Test func ofANameThatComesTwiceTheFirstCounts() async throws {
        let second = ScriptedUpstream.tools("second", ["find", "other"])
        let router = EndpointRouter(
            [EndpointMember(ScriptedUpstream.tools("first", ["find"])), EndpointMember(second)], logger: quiet)
        let endpoint = MCPServer.forwarding(to: router)
        #expect(try await endpoint.toolNames() == ["find", "other"])
        #expect(router.shadowedNames == [.init(kind: "tools", name: "find", upstream: "second")])
        _ = try await endpoint.modern(MCPMethod.toolsCall, ["name": "find", "arguments": [:]])
        #expect(second.count(MCPMethod.toolsCall) == 0)
    }

    @Test func namesAreComparedByteByByte() async throws {
        // One character, composed and decomposed.
        let router = EndpointRouter(
            [EndpointMember(ScriptedUpstream.tools("tools", ["caf\u{E9}"]))], logger: quiet)
        let endpoint = MCPServer.forwarding(to: router)
        let answer = try await endpoint.modern(MCPMethod.toolsCall, ["name": "cafe\u{301}", "arguments": [:]])
        #expect(answer.message["error"]?["code"]?.int == -32602)
    }

    @Test func anUpstreamThatIsAwayKeepsItsEntriesAndFailsItsCalls() async throws {
        let first = ScriptedUpstream.tools("first", ["a"], ttl: 0)
        let second = ScriptedUpstream.tools("second", ["b"])
        let now = Mutex(ContinuousClock.now)
        let lists = MemberLists(first, limits: .init(), logger: quiet) { now.withLock { $0 } }
        #expect(await lists.list(.tools, .anonymous)?.entries.count == 1)
        first.state.withLock { $0.isAway = true }
        now.withLock { $0 += .seconds(200) }
        #expect(await lists.list(.tools, .anonymous)?.entries.count == 1)
        now.withLock { $0 += .seconds(200) }
        #expect(await lists.list(.tools, .anonymous) == nil)

        let router = EndpointRouter([EndpointMember(first), EndpointMember(second)], logger: quiet)
        first.state.withLock { $0.isAway = false }
        let endpoint = MCPServer.forwarding(to: router)
        #expect(try await endpoint.toolNames() == ["a", "b"])
        first.state.withLock { $0.isAway = true }
        let failed = try await endpoint.modern(MCPMethod.toolsCall, ["name": "a", "arguments": [:]])
        #expect(failed.status == 200)
        #expect(failed.message["error"]?["code"]?.int == -32603)
        #expect(
            failed.message["error"]?["data"] == [
                "upstream": "first", "label": "upstream_unreachable", "executed": "no",
            ])
        let answer = try await endpoint.modern(MCPMethod.toolsCall, ["name": "b", "arguments": [:]])
        #expect(answer.message["result"]?["content"]?[0]?["text"]?.string == "second: b")
    }

    @Test func aSilentUpstreamDelaysAListForABoundedTimeOnly() async throws {
        let silent = ScriptedUpstream("silent") { _ in
            try await Task.sleep(for: .seconds(3600))
            throw CancellationError()
        }
        let router = EndpointRouter(
            [EndpointMember(silent), EndpointMember(ScriptedUpstream.tools("tools", ["a"]))],
            limits: EndpointLimits(patience: .milliseconds(20).underSanitizer), logger: quiet)
        #expect(try await MCPServer.forwarding(to: router).toolNames() == ["a"])
    }

    @Test func listsAreReadOnceForAllWhoWait() async throws {
        let upstream = ScriptedUpstream.tools("tools", ["a"])
        let router = EndpointRouter([EndpointMember(upstream)], logger: quiet)
        let endpoint = MCPServer.forwarding(to: router)
        try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<50 { group.addTask { try await endpoint.toolNames() } }
            for try await names in group { #expect(names == ["a"]) }
        }
        #expect(upstream.count(MCPMethod.toolsList) == 1)
        // Unknown names do not make the upstream list its tools for each.
        for number in 0..<20 {
            _ = try await endpoint.modern(MCPMethod.toolsCall, ["name": .string("x\(number)"), "arguments": [:]])
        }
        #expect(upstream.count(MCPMethod.toolsList) == 1)
    }

    @Test func aCursorThatComesAgainEndsTheList() async throws {
        let looping = ScriptedUpstream("looping") { request in
            let tool: JSONValue = ["name": "a", "inputSchema": ["type": "object"]]
            return UpstreamResult(["tools": [tool], "nextCursor": "again"], era: .legacy)
        }
        let router = EndpointRouter([EndpointMember(looping)], logger: quiet)
        #expect(try await MCPServer.forwarding(to: router).toolNames() == ["a"])
        #expect(looping.count(MCPMethod.toolsList) == 2)
    }

    @Test func aListBeyondItsBytesIsCut() async throws {
        let large = ScriptedUpstream("large") { request in
            let page = request.params["cursor"]?.string.flatMap { Int($0) } ?? 0
            let text = JSONValue.string(String(repeating: "x", count: 1 << 20))
            let tool: JSONValue = [
                "name": .string("t\(page)"), "description": text, "inputSchema": ["type": "object"],
            ]
            return UpstreamResult(["tools": [tool], "nextCursor": .string("\(page + 1)")], era: .modern)
        }
        let budget = MemoryBudget(limit: 16 << 20)
        var limits = EndpointLimits()
        limits.patience = limits.patience.underSanitizer
        limits.memory = budget
        limits.patience = .seconds(600)
        do {
            let router = EndpointRouter([EndpointMember(large)], limits: limits, logger: quiet)
            #expect(try await MCPServer.forwarding(to: router).toolNames().count == 7)
            #expect(large.count(MCPMethod.toolsList) == 8)
            #expect(budget.statistics.used > 7 << 20)
        }
        #expect(await eventually { budget.statistics.used == 0 })
    }

    @Test func aListThatIsReadAgainTakesThePlaceOfTheOneBefore() async throws {
        let upstream = ScriptedUpstream("again") { _ in
            let text = JSONValue.string(String(repeating: "x", count: 100_000))
            return UpstreamResult(
                ["tools": [["name": "a", "description": text, "inputSchema": ["type": "object"]]]], era: .modern)
        }
        var limits = EndpointLimits()
        limits.memory = MemoryBudget(limit: 1 << 30)
        let router = EndpointRouter([EndpointMember(upstream)], limits: limits, logger: quiet)
        for _ in 0..<20 {
            #expect(await router.list(.tools, .anonymous, .latestModern, maximumAge: .zero).entries.count == 1)
        }
        #expect(upstream.count(MCPMethod.toolsList) == 20)
        // The present one, and the one that a merge in progress may still have.
        #expect(await eventually { limits.memory.statistics.used <= 2 * 131_072 }, "\(limits.memory.statistics)")
    }

    /// A caller with credentials of its own.
    private static func caller(_ number: Int) -> EndpointCaller {
        let credentials = ForwardedCredentials(cookies: "sessionid=\(number)", authorization: nil)
        return EndpointCaller { _ in credentials }
    }

    @Test func callersWithEqualListsShareOne() async throws {
        let upstream = ScriptedUpstream.tools("shared", ["a", "b"])
        let router = EndpointRouter([EndpointMember(upstream)], logger: quiet)
        let first = await router.list(.tools, Self.caller(0), .latestModern)
        for number in 1..<1000 {
            #expect(await router.list(.tools, Self.caller(number), .latestModern) === first)
        }
        // Each is asked for once, and then kept.
        #expect(upstream.count(MCPMethod.toolsList) == 1000)
        for number in 0..<1000 {
            #expect(await router.list(.tools, Self.caller(number), .latestModern) === first)
        }
        #expect(upstream.count(MCPMethod.toolsList) == 1000)
        // One that is read anew and is the same changes nothing for the others.
        #expect(await router.list(.tools, Self.caller(0), .latestModern, maximumAge: .zero) === first)
        #expect(await router.list(.tools, Self.caller(1), .latestModern) === first)
        #expect(upstream.count(MCPMethod.toolsList) == 1001)
    }

    @Test func differentListsAreBounded() async throws {
        let upstream = ScriptedUpstream("different") { request in
            let name = request.caller.credentials("different").credentials.first?.value ?? ""
            return UpstreamResult(
                ["tools": [["name": .string(name), "inputSchema": ["type": "object"]]], "ttlMs": 60_000], era: .modern)
        }
        var limits = EndpointLimits()
        limits.memory = MemoryBudget(limit: 1 << 30)
        let router = EndpointRouter([EndpointMember(upstream)], limits: limits, logger: quiet)
        for number in 0..<1500 {
            let list = await router.list(.tools, Self.caller(number), .latestModern)
            #expect(list.entries.map(\.name) == ["sessionid=\(number)"])
        }
        #expect(upstream.count(MCPMethod.toolsList) == 1500)
        // The last ones are kept, the first ones are not.
        _ = await router.list(.tools, Self.caller(1499), .latestModern)
        #expect(upstream.count(MCPMethod.toolsList) == 1500)
        _ = await router.list(.tools, Self.caller(0), .latestModern)
        #expect(upstream.count(MCPMethod.toolsList) == 1501)
    }

    @Test func aListWithoutRoomIsNotShown() async throws {
        let upstream = ScriptedUpstream("large") { _ in
            let text = JSONValue.string(String(repeating: "x", count: 100_000))
            return UpstreamResult(
                ["tools": [["name": "a", "description": text, "inputSchema": ["type": "object"]]]], era: .modern)
        }
        var limits = EndpointLimits()
        limits.memory = MemoryBudget(limit: 65_536)
        let router = EndpointRouter([EndpointMember(upstream)], limits: limits, logger: quiet)
        #expect(try await MCPServer.forwarding(to: router).toolNames() == [])
        #expect(limits.memory.statistics.used == 0)
        #expect(router.lists[0].failure == "overloaded: no room in limits.memory for the list")
    }

    // MARK: Questions of legacy servers

    /// A legacy server whose tool asks for a name.
    private func asking() -> ScriptedUpstream {
        ScriptedUpstream("asking", version: .latestLegacy) { request in
            guard request.method == MCPMethod.toolsCall else {
                return UpstreamResult(["tools": [["name": "greet", "inputSchema": ["type": "object"]]]], era: .legacy)
            }
            let question = JSONRPCRequest(
                id: .integer(1), method: MCPMethod.elicitationCreate,
                params: ["message": "Name?", "requestedSchema": ["type": "object", "properties": [:]]])
            let answer = await withCheckedContinuation { continuation in
                request.onQuestion(question) { continuation.resume(returning: $0) }
            }
            let text = (try? answer.get())?.text ?? "no answer"
            return UpstreamResult(["content": [["type": "text", "text": .string(text)]]], era: .legacy)
        }
    }

    @Test func aQuestionOfALegacyServerIsAnsweredByTheNextRequestOfAModernClient() async throws {
        let router = EndpointRouter([EndpointMember(asking())], logger: quiet)
        let endpoint = MCPServer.forwarding(to: router)
        let call: JSONObject = ["name": "greet", "arguments": [:]]
        let asked = try await endpoint.modern(MCPMethod.toolsCall, call, capabilities: ["elicitation": [:]])
        let result = asked.message["result"]
        #expect(result?["resultType"]?.string == "input_required")
        let key = try #require(result?["inputRequests"]?.object?.keys.first)
        let state = try #require(result?["requestState"]?.string)
        #expect(router.held.count == 1)
        let answer: JSONValue = ["action": "accept", "content": ["name": "Ann"]]
        let retry = call.merging([
            "inputResponses": .object([key: answer] as JSONObject), "requestState": .string(state),
        ])
        let answered = try await endpoint.modern(MCPMethod.toolsCall, retry, capabilities: ["elicitation": [:]])
        #expect(answered.message["result"]?["content"]?[0]?["text"]?.string == answer.text)
        #expect(router.held.count == 0)
        // A question is good once, and another gateway does not hold it.
        let again = try await endpoint.modern(MCPMethod.toolsCall, retry, capabilities: ["elicitation": [:]])
        #expect(again.message["error"]?["code"]?.int == -32602)
    }

    @Test func aClientThatCannotBeAskedDeclines() async throws {
        let endpoint = MCPServer.forwarding(to: EndpointRouter([EndpointMember(asking())], logger: quiet))
        let answer = try await endpoint.modern(MCPMethod.toolsCall, ["name": "greet", "arguments": [:]])
        #expect(answer.message["result"]?["content"]?[0]?["text"]?.string == #"{"action":"decline"}"#)
    }

    @Test func anUnansweredQuestionIsGivenUp() async throws {
        let router = EndpointRouter(
            [EndpointMember(asking())], limits: EndpointLimits(questionTimeout: .milliseconds(10)), logger: quiet)
        let endpoint = MCPServer.forwarding(to: router)
        let call: JSONObject = ["name": "greet", "arguments": [:]]
        _ = try await endpoint.modern(MCPMethod.toolsCall, call, capabilities: ["elicitation": [:]])
        while router.held.count > 0 { await Task.yield() }
    }
}
