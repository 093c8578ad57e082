import CurlTransport
import Foundation
import JSON
import MCP
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Questions of legacy servers, whose calls are held.
@Suite struct HeldQuestionTests {
    private func held(_ test: TestGateway) -> Int { test.gateway.snapshot.questionMemory.held.count }

    @Test func anAnswerFindsItsCallWhateverWorkerTakesIt() async throws {
        let server = try await AskingServer(.legacy)
        try await QuestionGateway.with(server, ["workers": 4]) { (test) async throws in
            for number in 1...16 {
                // Each request has a connection of its own, which any of the workers may take.
                let asking = CurlEngine(label: "asking")
                let answering = CurlEngine(label: "answering")
                let asked = try await asking.execute(
                    CurlRequest(
                        method: "POST", url: test.url("/api/chat/"), body: ByteBuffer(string: #"{"what":"x"}"#)))
                let id = try #require(asked.json?["question"]?["id"])
                let payload: JSONValue = ["type": "answer", "id": id, "action": "accept", "values": ["seats": 3]]
                let answer = try await answering.execute(
                    CurlRequest(
                        method: "POST", url: test.url("/api/chat/"), body: ByteBuffer(string: payload.text)))
                #expect(answer.status == 200)
                #expect(server.runs.count == number)
                await asking.shutdown()
                await answering.shutdown()
            }
            #expect(held(test) == 0)
        }
    }

    @Test func theTimeOfThePersonIsNotTheTools() async throws {
        let server = try await AskingServer(.legacy, [AskingServer.seats, AskingServer.sure])
        let type: JSONValue = ["book": ["tool": "book", "arguments": ["what": [:]], "timeout": "1s"]]
        try await QuestionGateway.with(server, chat: ["types": type]) { (test) async throws in
            let began = ContinuousClock.now
            func outlastTheTimeout(_ times: Int) async {
                _ = await eventually { ContinuousClock.now - began > .milliseconds(1200) * times }
            }
            let question = try await test.question()
            await outlastTheTimeout(1)
            let next = try #require(try await test.answer(question).json?["question"])
            await outlastTheTimeout(2)
            #expect(try await test.answer(next, "accept", ["sure": false]).status == 200)
        }
    }

    @Test func aToolThatIsTooSlowAfterTheAnswerIsATimeout() async throws {
        let server = try await AskingServer(
            .legacy,
            other: { message in
                // The answer never arrives.
                message.method == nil && message.json["result"]?["action"] != nil ? .empty(202) : nil
            })
        let type: JSONValue = ["book": ["tool": "book", "arguments": ["what": [:]], "timeout": "200ms"]]
        try await QuestionGateway.with(server, chat: ["types": type]) { (test) async throws in
            let question = try await test.question()
            let answer = try await test.answer(question, headers: [("Accept", "application/problem+json")])
            #expect(answer.status == 504)
            #expect(answer.json?["executed"] == "unknown")
            #expect(await eventually { server.cancelled == 1 })
        }
    }

    @Test func aQuestionThatNobodyAnswersIsCancelled() async throws {
        let server = try await AskingServer(.legacy)
        try await QuestionGateway.with(server, chat: ["questionTimeout": "50ms"]) { (test) async throws in
            let question = try await test.question()
            #expect(await eventually { server.runs == [["q0": ["action": "cancel"]]] })
            #expect(held(test) == 0)
            let late = try await test.answer(question)
            #expect(late.status == 410 && late.text == #"{"error":"Question expired"}"#)
            let metrics = test.metrics.exposition()
            #expect(metrics.contains(#"gateway_chat_questions_total{type="book",step="expired"} 1"#))
            #expect(metrics.contains("gateway_chat_held_questions 0"))
        }
    }

    @Test func aServerThatEndsTheCallEndsItsQuestion() async throws {
        let server = try await AskingServer(.legacy)
        try await QuestionGateway.with(server) { (test) async throws in
            let question = try await test.question()
            #expect(held(test) == 1)
            try await server.stopAndWait()
            #expect(await eventually { held(test) == 0 })
            #expect(try await test.answer(question).status == 410)
        }
    }

    @Test func aHeldQuestionTakesNoPlaceOfTheUpstream() async throws {
        let server = try await AskingServer(.legacy)
        let upstreams: JSONValue = [
            "tools": [
                "url": .string(server.url + "/mcp/"), "trusted": true, "era": "legacy", "retryWindow": "0s",
                "probeInterval": "60s", "concurrency": 1, "queue": 0,
            ]
        ]
        try await QuestionGateway.with(server, ["upstreams": upstreams]) { (test) async throws in
            let questions = [try await test.question(), try await test.question(), try await test.question()]
            #expect(held(test) == 3)
            for question in questions { #expect(try await test.answer(question).status == 200) }
            #expect(server.runs.count == 3)
            // All places have been given back.
            #expect(try await test.answer(try await test.question()).status == 200)
            let load = test.gateway.snapshot.upstreams[0].load
            #expect(await eventually { load.outstanding == 0 })
        }
    }

    @Test func moreQuestionsThanMayBeHeldAreDeclined() async throws {
        let server = try await AskingServer(.legacy)
        try await QuestionGateway.with(server, chat: ["heldQuestions": 2]) { (test) async throws in
            let first = try await test.question()
            _ = try await test.question()
            let third = try await test.book(headers: [("Accept", "application/problem+json")])
            #expect(third.status == 503)
            #expect(third.json?["label"] == "overloaded" && third.json?["executed"] == "yes")
            #expect(server.runs == [["q0": ["action": "decline"]]])
            #expect(try await test.answer(first).status == 200)
            #expect(try await test.question()["id"] != nil)
        }
    }

    @Test func aClientThatLeavesAfterItsAnswerCancelsTheCall() async throws {
        let server = try await AskingServer(
            .legacy,
            other: { message in
                message.method == nil && message.json["result"]?["action"] != nil ? .empty(202) : nil
            })
        try await QuestionGateway.with(server) { (test) async throws in
            let question = try await test.question()
            let task = Task { try await test.answer(question) }
            #expect(await eventually { held(test) == 0 })
            task.cancel()
            #expect(await eventually { server.cancelled == 1 })
            _ = await task.result
        }
    }

    @Test(
        arguments: [
            #"{"message":"x","requestedSchema":{"type":"object","properties":{"a":{"type":"object"}},"required":["a"]}}"#,
            #"{"message":"x","mode":"url","url":"javascript:alert(1)"}"#, #"{"mode":"url","url":"https://a.example"}"#,
        ])
    func aQuestionThatCannotBeShownIsAnErrorOfTheServer(_ params: String) async throws {
        let params = try #require(try JSONValue(parsing: Array(params.utf8)).object)
        let server = try await AskingServer(.legacy, [params])
        try await QuestionGateway.with(server) { (test) async throws in
            let response = try await test.book()
            #expect(response.status == 200)
            #expect(server.runs[0]["q0"]?["code"] == -32602)
        }
    }

    @Test(arguments: ["legacy", "modern"]) func aServerOfTheGatewaysOwnAsksToo(_ era: String) async throws {
        let (tool, values): (String, JSONValue) =
            era == "legacy"
            ? ("test_elicitation", ["username": "Ada", "email": "ada@example.org"])
            : ("test_input_required_result_elicitation", ["name": "Ada"])
        var upstream: JSONObject = [
            "command": .string(BuiltProduct.directory.appending(path: "ConformanceServer").path),
            "probeInterval": "60s",
        ]
        if era == "legacy" { upstream["protocolVersion"] = "2025-11-25" }
        for isOn in [true, false] {
            let document = try TestConfiguration.document(
                upstream: "http://127.0.0.1:1",
                [
                    "upstreams": ["tools": .object(upstream)], "passthrough": ["enabled": false],
                    "chat": [
                        "questions": .bool(isOn), "defaultType": "ask",
                        "types": [
                            "ask": [
                                "tool": .string(tool), "reply": ["shape": "wrapped"], "timeout": "30s",
                                "arguments": ["message": ["value": "Who?"]],
                            ]
                        ],
                    ],
                ])
            let test = try await TestGateway.start { try TestConfiguration.read(document) }
            await test.waitUntilReady()
            let asked = try await test.chat("{}", headers: [("Accept", "application/problem+json")])
            if isOn {
                let question = try #require(asked.json?["question"], "\(asked.text)")
                let answer = try await test.answer(question, "accept", values)
                #expect(answer.status == 200)
                #expect(answer.text.contains("Ada"))
                #expect(try await test.answer(question, "accept", values).status == 410)
            } else {
                #expect(asked.status == 400)
                #expect(asked.json?["label"] == "questions_off")
            }
            await test.stop()
        }
    }

    @Test func otherQuestionsAreDeclined() async throws {
        let seen = Mutex<[String: JSONValue]>([:])
        let server = try await AskingServer(
            .legacy,
            other: { message in
                if message.method == nil, let id = message.id?.string {
                    seen.withLock { $0[id] = message.json["result"] ?? message.json["error"]?["code"] }
                    return .empty(202)
                }
                guard message.method == "tools/call" else { return nil }
                let requests = ["roots/list", "sampling/createMessage", "ping"].map { method in
                    let request: JSONValue = [
                        "jsonrpc": "2.0", "id": .string(method), "method": .string(method),
                        "params": ["messages": [], "maxTokens": 1],
                    ]
                    return (Duration.zero, "data: \(request.text)\n\n")
                }
                let result: JSONValue = [
                    "jsonrpc": "2.0", "id": message.id ?? .null,
                    "result": ["content": [["type": "text", "text": "done"]]],
                ]
                return .events(requests + [(.milliseconds(50), "data: \(result.text)\n\n")])
            })
        try await QuestionGateway.with(server) { (test) async throws in
            #expect(try await test.book().json?["replies"] == ["done"])
            #expect(await eventually { seen.withLock { $0.count } == 3 })
            let answers = seen.withLock { $0 }
            #expect(answers["ping"] == [:])
            #expect(answers["roots/list"] == ["roots": []])
            #expect(answers["sampling/createMessage"] == -1)
        }
    }
}
