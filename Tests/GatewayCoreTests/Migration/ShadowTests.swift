import CurlTransport
import Foundation
import JSON
import NIOCore
import Observability
import TestSupport
import Testing

@testable import GatewayCore

/// The old backend answers, the tool is asked too.
@Suite struct ShadowTests {
    private func types(_ shadow: JSONObject = [:], _ type: JSONObject = [:]) -> JSONObject {
        ["search": Migration.search(type.merging(["shadow": .object(shadow.merging(["upstream": "old"]))]))]
    }

    private func result(_ name: String) -> String { #"gateway_shadow_requests_total{type="search",result="\#(name)"}"# }

    private let payload = #"{"type":"search","query":"q"}"#
    private let agreed = #"{"replies":["new"],"type":"search"}"#

    @Test func equalAnswersAgree() async throws {
        let answer = agreed
        try await Migration.with(types: types()) { _ in
            .results("new")
        } old: { _ in
            .json(answer)
        } _: {
            (migration) async throws in
            let response = try await migration.chat(payload, headers: [("Cookie", "sessionid=a")])
            #expect(response.text == answer)
            #expect(await eventually { migration.metric(result("agree")) == 1 })
            #expect(migration.tools.calls.first?.arguments == ["query": "q"])
            #expect(migration.tools.calls.first?.request.header("Cookie") == "sessionid=a")
            let timing = response.headers.first(name: "Server-Timing") ?? ""
            #expect(timing.hasSuffix(#"route;desc="chat""#))
        }
    }

    @Test func differencesAreCountedByKind() async throws {
        try await Migration.with(types: types()) { _ in
            .results("new")
        } old: { _ in
            .json(#"{"type":"search","replies":["old"],"more":1}"#)
        } _: { (migration) async throws in
            #expect(try await migration.chat(payload).text.contains("old"))
            #expect(await eventually { migration.metric(result("differ")) == 1 })
            #expect(
                await eventually {
                    migration.metric(#"gateway_shadow_differences_total{type="search",kind="value"}"#) == 1
                })
            #expect(
                await eventually {
                    migration.metric(#"gateway_shadow_differences_total{type="search",kind="missing"}"#) == 1
                })
        }
    }

    @Test func refusalsAreComparedToo() async throws {
        try await Migration.with(types: types()) { _ in
            .error("Unknown model")
        } old: { request in
            request.text.contains("query")
                ? .json(#"{"error":"Unknown model"}"#, status: 400) : .text("Missing query", status: 400)
        } _: { (migration) async throws in
            // The tool refuses, and so does the translation before it.
            #expect(try await migration.chat(payload).status == 400)
            #expect(await eventually { migration.metric(result("agree")) == 1 })
            #expect(try await migration.chat(#"{"type":"search"}"#).text == "Missing query")
            #expect(await eventually { migration.metric(result("agree")) == 2 })
            #expect(migration.tools.calls.count == 1)
        }
    }

    @Test func aToolThatMayChangeSomethingIsNotAsked() async throws {
        let tools: JSONValue = [FakeToolServer.tool("search_projects", ["query"], readOnly: false)]
        try await Migration.with(types: types(), tools: tools) { (migration) async throws in
            #expect(try await migration.chat(payload).text == #"{"old":true}"#)
            #expect(await eventually { migration.metric(result("skipped")) == 1 })
            #expect(migration.tools.calls.isEmpty)
            let drift = migration.test.gateway.status[upstream: "tools"]?.drift ?? []
            #expect(drift.map(\.kind) == [.notReadOnly])
        }
        try await Migration.with(types: types(["force": true]), tools: tools) { (migration) async throws in
            _ = try await migration.chat(payload)
            #expect(await eventually { migration.metric(result("differ")) == 1 })
            #expect(migration.tools.calls.count == 1)
            #expect(migration.test.gateway.status[upstream: "tools"]?.drift.isEmpty == true)
        }
    }

    @Test func aToolThatIsNotKnownIsNotAsked() async throws {
        try await Migration.with(types: types(), tools: [FakeToolServer.tool("other", [])]) {
            (migration) async throws in
            _ = try await migration.chat(payload)
            #expect(await eventually { migration.metric(result("skipped")) == 1 })
            #expect(migration.tools.calls.isEmpty)
        }
    }

    @Test func aToolThatFailsChangesNothing() async throws {
        try await Migration.with(types: types()) { _ in
            .response(.empty(503))
        } old: { _ in
            .json(#"{"old":1}"#)
        } _: {
            (migration) async throws in
            for _ in 0..<3 {
                let response = try await migration.chat(payload)
                #expect(response.status == 200)
                #expect(response.text == #"{"old":1}"#)
            }
            #expect(await eventually { migration.metric(result("error")) == 3 })
        }
    }

    @Test func aToolThatHangsDelaysNobodyAndTheRestIsDropped() async throws {
        try await Migration.with(types: types(["concurrency": 2], ["timeout": "20s"])) { _ in
            .response(.hang)
        } old: { _ in
            .json("{}")
        } _: { (migration) async throws in
            for _ in 0..<5 { #expect(try await migration.chat(payload).text == "{}") }
            #expect(await eventually { migration.metric(result("dropped")) == 3 })
            #expect(await eventually { migration.tools.calls.count == 2 })
        }
    }

    @Test func longAnswersAreNotCompared() async throws {
        try await Migration.with(types: types(["maximumBody": 1024])) { _ in
            .results(.string(String(repeating: "x", count: 2000)))
        } old: { request in
            request.text.contains("long") ? .text(String(repeating: "x", count: 1025)) : .json("{}")
        } _: { (migration) async throws in
            #expect(try await migration.chat(#"{"type":"search","query":"long"}"#).text.count == 1025)
            #expect(await eventually { migration.metric(result("skipped")) == 1 })
            #expect(migration.tools.calls.isEmpty)
            #expect(try await migration.chat(payload).text == "{}")
            #expect(await eventually { migration.metric(result("skipped")) == 2 })
        }
    }

    @Test func nothingIsAskedForNoPercent() async throws {
        try await Migration.with(types: types(["percent": 0])) { (migration) async throws in
            for _ in 0..<5 { _ = try await migration.chat(payload) }
            #expect(migration.tools.calls.isEmpty)
            #expect(!migration.test.metrics.exposition().contains("gateway_shadow_requests_total{"))
        }
    }

    @Test func anOldBackendThatIsAwayIsNotCompared() async throws {
        try await Migration.with(types: types()) { (migration) async throws in
            try await migration.old.stopAndWait()
            #expect(try await migration.chat(payload).status == 502)
            #expect(migration.tools.calls.isEmpty)
        }
    }

    @Test func theLogHasPlacesButNoValuesAndIsBounded() async throws {
        let tools = try await FakeToolServer { _ in .results("new secret") }
        let old = try await ScriptedHTTPServer { request in
            request.method == "GET" ? .empty(405) : .json(#"{"replies":["old secret"],"eva@example.com":1}"#)
        }
        defer {
            tools.stop()
            old.stop()
        }
        let document = try TestConfiguration.document(
            upstream: tools.url,
            [
                "upstreams": [
                    "tools": ["url": .string(tools.url + "/mcp/"), "era": "legacy", "probeInterval": "20ms"],
                    "old": ["kind": "chat", "url": .string(old.url)],
                ],
                "chat": ["defaultType": "search", "types": .object(types())],
            ])
        let log = Pipe()
        let output = LogOutput(fileDescriptor: log.fileHandleForWriting.fileDescriptor, level: .info)
        let test = try await TestGateway.start(logTo: output) { try TestConfiguration.read(document) }
        try await tools.waitForTools()
        let total = ShadowCalls.linesPerMinute + 5
        for _ in 0..<total { #expect(try await test.chat(payload).text.contains("old secret")) }
        #expect(await eventually { test.metrics.exposition().contains(result("differ") + " \(total)\n") })
        await test.stop()
        output.flush()
        try log.fileHandleForWriting.close()
        let text = String(decoding: try log.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        let lines = text.split(separator: "\n").filter { $0.contains("shadow differs") }
        #expect(lines.count == ShadowCalls.linesPerMinute)
        let line = try JSONValue(parsing: Array(try #require(lines.first).utf8))
        #expect(line["shadow.differences"]?.array?.contains("/replies/0 value") == true)
        #expect(line["shadow.differences"]?.array?.contains("/* missing") == true)
        #expect(line["shadow.statuses"] == "200 200")
        #expect(!text.contains("secret") && !text.contains("example.com"))
    }
}
