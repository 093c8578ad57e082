import CurlTransport
import Foundation
import JSON
import TestSupport
import Testing

/// The recorded answers of the old API, asked of both built executables on a copy of its database.
extension EndToEnd {
    @Suite(.legacyStack(.legacy)) struct ContractWithLegacyErrors {
        @Test(arguments: ContractCase.all(upstream: "ok"))
        func aRecordedRequestIsAnsweredAsBefore(_ recorded: ContractCase) async throws {
            try await Contract.check(recorded)
        }
    }

    @Suite(.legacyStack(.standard)) struct ContractWithOurErrors {
        @Test(arguments: ContractCase.all(upstream: "ok"))
        func aRecordedRequestIsAnsweredAsBefore(_ recorded: ContractCase) async throws {
            try await Contract.check(recorded)
        }

        @Test func nothingOfTheDatabaseChangesButTheMessages() async throws {
            let stack = try LegacyStack.current
            let pristine = try LegacySite(.standard)
            #expect(try stack.site.fingerprint() == pristine.fingerprint())
        }

        @Test func whatWasStoredIsReadBackAsHistory() async throws {
            let stack = try LegacyStack.current
            let cookie = "bob000session0cookie0000000000000"
            let client = stack.gateway.client
            let before = try await client.chat(["type": "history"], cookie: cookie).replies?.count ?? 0
            _ = try await client.chat(["message": " remember "], cookie: cookie)
            let history = try #require(try await client.chat(["type": "history"], cookie: cookie).replies)
            #expect(history.count == before + 1)
            #expect(history.first?["message"] == "remember")
            #expect(history.first?["response"] == "Echo: remember")
            #expect(try await client.chat(["type": "history"]).errorText == "Not authenticated")
        }

        @Test func theSecretKeyIsInNoLog() async throws {
            let stack = try LegacyStack.current
            #expect(!stack.toolServer.process.log.contains(LegacySite.secretKey))
            #expect(!stack.toolServer.process.log.contains("alice0session0cookie"))
        }
    }

    @Suite struct ContractOfTheUpstream {
        @Test func theRecordingIsThere() {
            #expect(ContractCase.all.count == 123)
            #expect(ContractCase.all.count { $0.isStrict } > 70)
        }

        @Test(arguments: BrokenUpstream.State.allCases, ErrorStyle.allCases)
        func aBrokenUpstreamIsToldAsDocumented(_ state: BrokenUpstream.State, _ style: ErrorStyle) async throws {
            let upstream = try await BrokenUpstream(state)
            let gateway = try await LegacySite(style).gateway(upstream: upstream.url)
            for recorded in ContractCase.all(upstream: state.rawValue) {
                let response = try await recorded.send(to: gateway)
                try Contract.compare(response, recorded, state, style)
            }
            // States that the recording has no case for, and the others once more.
            let search = try await gateway.client.chat(["type": "search_any", "model": "projects", "query": "urgent"])
            switch state {
            case .down, .close, .status503, .status404, .notJSON, .array, .noResults:
                #expect(search.status == (style == .legacy ? 500 : 502))
                #expect(search.errorText == "MCP error")
            case .resultsNull:
                #expect(search.status == 200)
                #expect(search.replies != nil)
            case .errorEmpty:
                #expect(search.status == 400)
                #expect(search.errorText == "")
            case .errorText:
                #expect(search.status == 400)
                #expect(search.errorText == "quota & <b>limit</b>")
            }
            try await gateway.stop()
            upstream.stop()
        }

        @Test func anAnswerAfterThreeSecondsIsGood() async throws {
            try await LegacyStack.with(.legacy) { stack in
                stack.recorder.delayCalls(by: .seconds(3))
                let answer = try await stack.gateway.client.chat(["type": "ai_prompt", "message": "slow"])
                #expect(answer.status == 200)
                #expect(answer.replies == ["Echo: slow"])
            }
        }

        /// The recording waited for 30 s; here the type's budget is 1 s instead, and everything else is as recorded.
        @Test(arguments: ErrorStyle.allCases)
        func anAnswerAfterTheTypesBudgetIsATimeout(_ style: ErrorStyle) async throws {
            let recorded = try #require(ContractCase.all(upstream: "slow_33s").first)
            try await LegacyStack.with(style, timeouts: ["ai_prompt": "1s"]) { stack in
                stack.recorder.delayCalls(by: .seconds(33))
                let start = ContinuousClock.now
                let response = try await recorded.send(to: stack.gateway)
                #expect(response.status == (style == .legacy ? 500 : 504))
                #expect(response.errorText == "MCP error")
                #expect(ContinuousClock.now - start < .seconds(5))
                #expect(try stack.site.saved(after: 0).isEmpty)
            }
        }
    }

    /// What the processes say about configuration and data that do not fit.
    @Suite struct DjangoExample {
        private func toolServer(_ arguments: [String], key: String? = LegacySite.secretKey) async throws
            -> ChildProcess.Finished
        {
            try await ChildProcess.run(
                .init(
                    BuiltProduct.toolServer.path, arguments,
                    environment: key.map { ["DJANGO_SECRET_KEY": $0] } ?? [:]))
        }

        @Test func theRegistryIsCheckedAgainstTheSchema() async throws {
            let site = try LegacySite(.legacy)
            let arguments = ["check", "--config", site.configuration, "--database", site.database]
            let good = try await toolServer(arguments)
            #expect(good.succeeded, "\(good.error)")
            for model in ["projects", "tasks", "customers", "documents"] { #expect(good.output.contains(model)) }

            let text = try String(contentsOfFile: site.configuration, encoding: .utf8)
            try site.directory.write(text.replacing("psm_task", with: "psm_tusk"), to: "gateway.json")
            for command in [arguments, Array(arguments.dropFirst()) + ["--transport", "http", "--port", "0"]] {
                let bad = try await toolServer(command)
                #expect(bad.exit == .status(1))
                #expect(bad.errorLines.count == 1)
                #expect(bad.error.contains("toolServer.search.models.tasks.table"))
                #expect(bad.error.contains("psm_tusk"))
            }
        }

        @Test func withoutTheSitesKeyNothingStarts() async throws {
            let site = try LegacySite(.legacy)
            let arguments = ["--config", site.configuration, "--database", site.database, "--transport", "http"]
            let failed = try await toolServer(arguments, key: nil)
            #expect(failed.exit == .status(1))
            #expect(failed.error.contains("DJANGO_SECRET_KEY"))
            let missing = try await toolServer(["check", "--config", site.configuration, "--database", "missing.db"])
            #expect(missing.exit == .status(1))
            #expect(missing.error.contains("missing.db"))
        }

        @Test func theGatewayAcceptsTheExample() async throws {
            for command in ["check", "routes"] {
                let finished = try await ChildProcess.run(
                    .init(BuiltProduct.gateway.path, [command, "--config", Checkout.path(LegacySite.example)]))
                #expect(finished.exit == .status(0), "\(finished.error)")
            }
            let example = try JSONValue(parsing: Checkout.text(LegacySite.example))
            let shipped = try JSONValue(parsing: Checkout.text("gateway.json"))
            #expect(example["chat"] == shipped["chat"])
        }
    }
}

/// How a case is judged: as recorded where it is strict, else by what interface promises instead.
enum Contract {
    static func check(_ recorded: ContractCase) async throws {
        let stack = try LegacyStack.current
        let rows = try stack.site.saved(after: 0).count
        _ = stack.recorder.takeCalls()
        let response = try await recorded.send(to: stack.gateway)
        if recorded.isStrict {
            try recorded.compare(response)
        } else {
            try compareInstead(response, recorded)
        }
        #expect(try stack.site.saved(after: rows) == recorded.saved)
        let calls = stack.recorder.takeCalls()
        if recorded.isStrict, let call = try recorded.call() {
            #expect(calls.map(\.tool) == [call.tool])
            #expect(calls.first?.arguments == call.arguments)
        } else if response.status != 200 {
            // A request that is refused makes no call; those with a call are compared above.
            #expect(calls.isEmpty)
        }
    }

    /// A case of a broken upstream.
    static func compare(
        _ response: CurlResponse, _ recorded: ContractCase, _ state: BrokenUpstream.State, _ style: ErrorStyle
    ) throws {
        let isBroken = response.status >= 500
        if recorded.isStrict {
            // The recording's 500 for a broken upstream is 502 by our own table.
            try recorded.compare(response, status: isBroken && style == .standard ? 502 : nil)
        } else if state == .resultsNull {
            #expect(response.status == 200)
            #expect(try response.json["replies"] == [.null])
        } else {
            // Django's error page, or an answer made without asking the tool server.
            #expect(response.status == (style == .legacy ? 500 : 502), "\(recorded.id)")
            #expect(response.errorText == "MCP error", "\(recorded.id)")
        }
    }

    /// What we do where the old behaviour was a defect.
    private static func compareInstead(_ response: CurlResponse, _ recorded: ContractCase) throws {
        func text(_ text: String) {
            #expect(response.status == 400)
            #expect(response.mediaType == "text/plain")
            #expect(response.text == text)
        }
        func argument(_ field: String) {
            #expect(response.status == 400)
            #expect(response.errorText?.contains(field) == true, "\(response.text)")
        }
        switch recorded.id {
        case "search_any/query-number", "search_any/query-true", "search_any/query-object", "search_projects/number":
            argument("query")
        case "search_any/model-number", "search_any/model-array": argument("model")
        case "ai_prompt/number", "ai_prompt/array", "ai_prompt/object", "chat/number": argument("message")
        case "chat/null": text("Empty message")
        // No pattern of SQLite's limits the length here.
        case "search_any/query-60k":
            #expect(response.status == 200)
            #expect(try response.json["replies"] == [])
        // The value's own JSON text.
        case "type/null": text("Unknown type: null")
        case "type/float": text("Unknown type: 1.50")
        case "type/true": text("Unknown type: true")
        case "type/array": text(#"Unknown type: ["chat"]"#)
        case "search_any/query-nan", "body/array", "body/array-of-object", "body/true", "body/nan", "body/deep-array":
            text("Invalid JSON")
        case "body/3MB":
            #expect(response.status == 413)
            #expect(response.errorText != nil)
        // Served, as the Content-Type and the slash do not matter.
        case "body/content-type-text": try recorded.compare(response)
        case "path/no-slash-post":
            #expect(response.status == 200)
            #expect(try response.json == ["type": "chat", "replies": ["Echo: hello"]])
        case "path/no-slash-get", "method/unknown", "method/lower-case-post":
            #expect([400, 405, 501].contains(response.status))
        // The chat page, where it is on.
        case "path/root": #expect([200, 404].contains(response.status))
        case "path/double-slash", "path/upper-case": #expect(response.status == 404)
        // Matching the decoded path is optional.
        case "path/percent-encoded": #expect([200, 404].contains(response.status))
        default: Issue.record("no answer is defined for \(recorded.id)")
        }
    }
}
