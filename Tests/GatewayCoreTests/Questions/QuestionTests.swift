import CurlTransport
import Foundation
import JSON
import MCP
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Questions of tools through the chat API, in both eras.
@Suite struct QuestionTests {
    private let expired = #"{"error":"Question expired"}"#
    private let unknown = #"{"error":"Unknown question"}"#

    private func text(_ answer: JSONValue, _ key: String = "q0") -> JSONValue {
        .string(JSONValue.object([key: answer]).sorted.text)
    }

    @Test(arguments: AskingServer.Era.allCases) func aToolThatAsksIsAnsweredByItsUser(_ era: AskingServer.Era)
        async throws
    {
        let server = try await AskingServer(era)
        try await QuestionGateway.with(server) { (test) async throws in
            let response = try await test.book()
            #expect(response.status == 200)
            #expect(response.contentType == "application/json")
            #expect(response.json?["type"] == "book")
            #expect(response.json?["replies"] == [])
            #expect(response.json?.object?.keys == ["type", "replies", "question"])
            let question = try #require(response.json?["question"])
            #expect(question.object?.keys == ["id", "message", "fields", "expires"])
            #expect(question["message"] == "How many seats?")
            #expect(
                question["fields"] == [
                    [
                        "name": "seats", "label": "Seats", "kind": "integer", "required": true, "minimum": 1,
                        "maximum": 9,
                    ],
                    [
                        "name": "row", "label": "row", "kind": "choice", "required": false,
                        "options": [["value": "front", "label": "front"], ["value": "back", "label": "back"]],
                    ],
                ])
            let expires = try #require(question["expires"]?.string)
            #expect(expires.count == 24 && expires.hasSuffix("Z"))

            let answer = try await test.answer(question, "accept", ["seats": 2, "row": "back"])
            #expect(answer.status == 200)
            #expect(
                answer.json
                    == [
                        "type": "book",
                        "replies": [text(["action": "accept", "content": ["seats": 2, "row": "back"]])],
                    ])
            #expect(server.calls.count == (era == .modern ? 2 : 1))
            #expect(server.calls.allSatisfy { $0.arguments == ["what": "chairs"] })
            #expect(server.runs.count == 1)
            #expect(server.declared?["elicitation"] == ["form": [:], "url": [:]])
            #expect(server.declared?["sampling"] == nil && server.declared?["roots"] == nil)
        }
    }

    @Test func aModernServerGetsItsStateByteForByteAndTheKeyOfTheCall() async throws {
        let server = try await AskingServer(.modern)
        try await QuestionGateway.with(server) { (test) async throws in
            let first = try await test.question()
            _ = try await test.answer(first)
            _ = try await test.answer(try await test.question())
            let answers = server.calls.filter { $0.responses != nil }
            #expect(answers.map(\.state) == ["a\u{E9} \"1\"", "a\u{E9} \"1\""])
            let keys = answers.compactMap { $0.meta[MCPMeta.idempotencyKey]?.string }
            #expect(keys.count == 2 && Set(keys).count == 2, "each call has a key of its own")
            #expect(server.calls.filter { $0.responses == nil }.allSatisfy { $0.meta[MCPMeta.idempotencyKey] == nil })
        }
    }

    @Test func aServerThatIsNotOursGetsNoKey() async throws {
        let server = try await AskingServer(.modern)
        let upstreams: JSONValue = ["tools": ["url": .string(server.url + "/mcp/"), "era": "modern"]]
        try await QuestionGateway.with(server, ["upstreams": upstreams]) { (test) async throws in
            #expect(try await test.answer(try await test.question()).status == 200)
            #expect(server.calls.allSatisfy { $0.meta[MCPMeta.idempotencyKey] == nil })
        }
    }

    @Test(arguments: AskingServer.Era.allCases, ["decline", "cancel"])
    func aUserMayDeclineOrCancel(_ era: AskingServer.Era, _ action: String) async throws {
        let server = try await AskingServer(era)
        try await QuestionGateway.with(server) { (test) async throws in
            let answer = try await test.answer(try await test.question(), action, ["seats": "ignored"])
            #expect(answer.status == 200)
            #expect(answer.json?["replies"] == [text(["action": .string(action)])])
        }
    }

    @Test(arguments: AskingServer.Era.allCases) func aPageIsShownAsItsAddress(_ era: AskingServer.Era) async throws {
        let server = try await AskingServer(era, [AskingServer.page])
        try await QuestionGateway.with(server) { (test) async throws in
            let question = try await test.question()
            #expect(question.object?.keys == ["id", "message", "url", "expires"])
            #expect(question["url"] == "https://pay.example/7")
            let answer = try await test.answer(question, "accept", nil)
            #expect(answer.json?["replies"] == [text(["action": "accept"])])
        }
    }

    @Test(arguments: AskingServer.Era.allCases)
    func severalQuestionsAreAskedOneAfterTheOther(_ era: AskingServer.Era) async throws {
        let server = try await AskingServer(era, [AskingServer.seats, AskingServer.sure, AskingServer.page])
        try await QuestionGateway.with(server) { (test) async throws in
            let first = try await test.question()
            #expect(first["message"] == "How many seats?")
            let second = try #require(try await test.answer(first).json?["question"])
            #expect(second["message"] == "Sure?")
            #expect(second["id"] != first["id"])
            let third = try #require(try await test.answer(second, "decline").json?["question"])
            #expect(third["message"] == "Pay here.")
            #expect(server.runs.isEmpty)
            let answer = try await test.answer(third)
            #expect(answer.status == 200)
            #expect(
                server.runs == [
                    [
                        "q0": ["action": "accept", "content": ["seats": 2]], "q1": ["action": "decline"],
                        "q2": ["action": "accept"],
                    ]
                ])
            #expect(server.calls.count == (era == .modern ? 2 : 1), "sent together")
            for question in [first, second, third] {
                let again = try await test.answer(question, "decline")
                #expect(again.status == 410 && again.text == expired)
            }
            #expect(server.runs.count == 1)
        }
    }

    @Test(arguments: AskingServer.Era.allCases) func anEventStreamEndsWithTheQuestion(_ era: AskingServer.Era)
        async throws
    {
        let server = try await AskingServer(era, [AskingServer.seats, AskingServer.sure])
        try await QuestionGateway.with(server) { (test) async throws in
            func events(_ response: CurlResponse) throws -> [(name: String, data: JSONValue)] {
                #expect(response.status == 200)
                #expect(response.contentType == "text/event-stream")
                return try response.text.split(separator: "\n\n").filter { !$0.hasPrefix(":") }.map { block in
                    let lines = block.split(separator: "\n")
                    return (String(lines[0].dropFirst(7)), try JSONValue(parsing: Array(lines[1].dropFirst(6).utf8)))
                }
            }
            let first = try events(try await test.book(headers: TestGateway.events))
            #expect(first.map(\.name) == ["question"])
            #expect(first[0].data["type"] == "book" && first[0].data["replies"] == [])
            let question = try #require(first[0].data["question"])
            let second = try events(try await test.answer(question, headers: TestGateway.events))
            #expect(second.map(\.name) == ["question"])
            let last = try #require(second[0].data["question"])
            let reply = try events(try await test.answer(last, "accept", ["sure": true], headers: TestGateway.events))
            #expect(reply.map(\.name) == ["reply"])
            #expect(server.runs.count == 1)
            // Errors that are known before the call keep their status.
            let again = try await test.answer(last, headers: TestGateway.events)
            #expect(again.status == 410)
        }
    }

    @Test(arguments: AskingServer.Era.allCases) func aFormMayChangeBetweenQuestionAndAnswer(_ era: AskingServer.Era)
        async throws
    {
        let server = try await AskingServer(era)
        try await QuestionGateway.with(server) { (test) async throws in
            let streamed = try await test.answer(try await test.question(), headers: TestGateway.events)
            #expect(streamed.text.hasPrefix("event: reply\n"))
        }
    }

    @Test(arguments: ["accept", "decline"]) func anErrorThatAsksForAVisitIsAQuestion(_ action: String) async throws {
        let visits = Mutex(0)
        let server = try await AskingServer(
            .legacy,
            other: { message in
                guard message.method == "tools/call" else { return nil }
                let visit = visits.withLock { visits in
                    visits += 1
                    return visits
                }
                let params: JSONValue = [
                    "mode": "url", "elicitationId": "1", "url": "https://a.example", "message": "Go.",
                ]
                guard visit > 1 else {
                    let error: JSONValue = ["code": -32042, "message": "go", "data": ["elicitations": [params]]]
                    return .json(JSONValue.object(["jsonrpc": "2.0", "id": message.id ?? .null, "error": error]).text)
                }
                return message.result([
                    "content": [["type": "text", "text": .string(message.json["params"]?.text ?? "")]]
                ])
            })
        try await QuestionGateway.with(server) { (test) async throws in
            let question = try await test.question()
            #expect(question["url"] == "https://a.example" && question["message"] == "Go.")
            let answer = try await test.answer(question, action, nil)
            #expect(answer.status == (action == "accept" ? 200 : 400))
            #expect(visits.withLock { $0 } == (action == "accept" ? 2 : 1))
            #expect(!answer.text.contains("inputResponses"))
        }
    }

    // MARK: Values

    @Test(
        arguments: AskingServer.Era.allCases,
        [
            (#"{}"#, "missing required property 'seats'"), (#"{"seats":"2"}"#, "seats: expected integer, found string"),
            (#"{"seats":10}"#, "seats: "), (#"{"seats":2,"row":"middle"}"#, "row: "),
            (#"{"seats":2,"extra":1}"#, "extra: the question has no such field"), (#"[]"#, "values: expected object"),
        ])
    func valuesThatDoNotFitNameTheFieldAndTheIdStaysGood(
        _ era: AskingServer.Era, _ wrong: (values: String, problem: String)
    ) async throws {
        let server = try await AskingServer(era)
        try await QuestionGateway.with(server) { (test) async throws in
            let question = try await test.question()
            let refused = try await test.answer(question, "accept", try JSONValue(parsing: Array(wrong.values.utf8)))
            #expect(refused.status == 400)
            let text = try #require(refused.json?["error"]?.string)
            #expect(text.hasPrefix(wrong.problem))
            #expect(server.runs.isEmpty)
            #expect(try await test.answer(question).status == 200)
        }
    }

    @Test(
        arguments: [
            (#"{"type":"answer"}"#, "Missing id or action"), (#"{"type":"answer","id":"x"}"#, "Missing id or action"),
            (#"{"type":"answer","id":"","action":"accept"}"#, "Missing id or action"),
            (#"{"type":"answer","id":7,"action":"accept"}"#, #"{"error":"id: expected string, found number"}"#),
            (
                #"{"type":"answer","id":"x","action":"maybe"}"#,
                #"{"error":"action: expected accept, decline or cancel"}"#
            ),
        ])
    func aPayloadThatIsNoAnswerIsRefused(_ payload: String, _ body: String) async throws {
        let server = try await AskingServer(.modern)
        try await QuestionGateway.with(server) { (test) async throws in
            let response = try await test.chat(payload)
            #expect(response.status == 400)
            #expect(response.text == body)
        }
    }

    // MARK: Identifiers

    @Test(arguments: AskingServer.Era.allCases) func aChangedIdIsUnknownWhateverBitChanges(_ era: AskingServer.Era)
        async throws
    {
        let server = try await AskingServer(era)
        try await QuestionGateway.with(server) { (test) async throws in
            let question = try await test.question()
            let id = try #require(question["id"]?.string)
            let questions = try #require(test.gateway.snapshot.questions)
            let sealed = try #require(questions.open(id))
            #expect(sealed.type == "book")
            for place in id.utf8.indices {
                for bit in 0..<8 {
                    var bytes = Array(id.utf8)
                    bytes[id.utf8.distance(from: id.utf8.startIndex, to: place)] ^= UInt8(1 << bit)
                    guard let changed = String(validating: bytes, as: UTF8.self) else { continue }
                    #expect(questions.open(changed) == nil)
                }
            }
            for wrong in ["", "x", String(id.dropLast()), id + "A", id + id, String(id.reversed())] where !wrong.isEmpty
            {
                let response = try await test.answer(id: wrong)
                #expect(response.status == 404 && response.text == unknown)
            }
            var changed = Array(id.utf8)
            changed[20] = changed[20] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(try await test.answer(id: String(decoding: changed, as: UTF8.self)).status == 404)
            #expect(try await test.answer(question).status == 200, "the question itself is still good")
        }
    }

    @Test(arguments: AskingServer.Era.allCases) func anotherCallersQuestionIsUnknown(_ era: AskingServer.Era)
        async throws
    {
        let server = try await AskingServer(era)
        try await QuestionGateway.with(server) { (test) async throws in
            let alice: CurlHeaders = [("Cookie", "sessionid=alice")]
            let question = try await test.question(headers: alice)
            let others: [CurlHeaders] = [
                [], [("Cookie", "sessionid=bob")], [("Authorization", "Bearer alice")],
                alice + [("Authorization", "Bearer x")],
            ]
            for other in others {
                let response = try await test.answer(question, headers: other)
                #expect(response.status == 404 && response.text == unknown)
            }
            #expect(server.runs.isEmpty)
            let same = try await test.answer(question, headers: [("Cookie", "other=1; sessionid=alice")])
            #expect(same.status == 200)
            #expect(server.calls.allSatisfy { $0.cookie == "sessionid=alice" })
        }
    }

    @Test(arguments: AskingServer.Era.allCases) func anIdIsGoodOnce(_ era: AskingServer.Era) async throws {
        let server = try await AskingServer(era)
        try await QuestionGateway.with(server) { (test) async throws in
            let question = try await test.question()
            #expect(try await test.answer(question).status == 200)
            let again = try await test.answer(question)
            #expect(again.status == 410 && again.text == expired)
            let problem = try await test.answer(question, headers: [("Accept", "application/problem+json")])
            #expect(problem.json?["label"] == "question_expired")
            #expect(problem.json?["executed"] == "no")
            #expect(server.runs.count == 1)
        }
    }

    @Test(arguments: AskingServer.Era.allCases) func aDoubleClickRunsOnce(_ era: AskingServer.Era) async throws {
        let server = try await AskingServer(era)
        try await QuestionGateway.with(server, ["workers": 2]) { (test) async throws in
            for round in 1...5 {
                let question = try await test.question()
                let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<8 { group.addTask { try await test.answer(question).status } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(statuses.sorted() == [200] + Array(repeating: 410, count: 7))
                #expect(server.runs.count == round)
            }
        }
    }

    @Test func aQuestionExpires() async throws {
        let server = try await AskingServer(.modern)
        let clock = QuestionGateway.Clock()
        try await QuestionGateway.with(server, chat: ["questionLifetime": "90s"], now: { clock.now }) {
            (test) async throws in
            let question = try await test.question()
            #expect(question["expires"] == "2027-01-15T08:01:30.000Z")
            clock.advance(by: 89.999)
            #expect(try await test.answer(question, "accept", [:]).status == 400)
            clock.advance(by: 0.001)
            let late = try await test.answer(question)
            #expect(late.status == 410 && late.text == expired)
            #expect(server.calls.count == 1)
        }
    }

    @Test func anAnswerThatCannotBeDeliveredMayBeRepeated() async throws {
        let server = try await AskingServer(.modern)
        try await QuestionGateway.with(server) { (test) async throws in
            let question = try await test.question()
            try await server.stopAndWait()
            let failed = try await test.answer(question, headers: [("Accept", "application/problem+json")])
            #expect(failed.status == 502)
            #expect(failed.json?["executed"] == "no")
            try await server.restart()
            #expect(try await test.answer(question).status == 200)
            #expect(try await test.answer(question).status == 410)
        }
    }

    // MARK: Changes between question and answer

    private func reloading(
        _ server: AskingServer, _ body: (TestGateway, @escaping (JSONValue) -> Void) async throws -> Void
    ) async throws {
        let document = Mutex(try QuestionGateway.document(server))
        defer { server.stop() }
        try await TestGateway.start { try TestConfiguration.read(document.withLock { $0 }) }.stopped { test in
            await test.waitUntilReady()
            try await body(test) { new in document.withLock { $0 = new } }
        }
    }

    private static func type(_ changes: JSONObject) -> JSONObject {
        var type: JSONObject = ["tool": "book", "arguments": ["what": [:]], "reply": ["shape": "wrapped"]]
        for (key, value) in changes { type[key] = value }
        return ["types": ["book": .object(type)]]
    }

    @Test(arguments: AskingServer.Era.allCases) func aReloadThatChangesTheTypesToolEndsItsQuestions(
        _ era: AskingServer.Era
    )
        async throws
    {
        let server = try await AskingServer(era)
        try await reloading(server) { test, load in
            let question = try await test.question()
            load(try QuestionGateway.document(server, chat: Self.type(["tool": "other"])))
            #expect(await test.gateway.reload())
            #expect(try await test.answer(question).status == 410)
            load(
                try QuestionGateway.document(
                    server, chat: ["types": ["talk": ["tool": "book"]], "defaultType": "talk"]))
            #expect(await test.gateway.reload())
            #expect(try await test.answer(question).status == 410)
            // Anything else about the type may change.
            load(try QuestionGateway.document(server, chat: Self.type(["timeout": "20s"])))
            #expect(await test.gateway.reload())
            #expect(try await test.answer(question).status == 200)
            #expect(server.runs.count == 1)
        }
    }

    @Test func aReloadThatTurnsQuestionsOffEndsThem() async throws {
        let server = try await AskingServer(.modern)
        try await reloading(server) { test, load in
            let question = try await test.question()
            load(try QuestionGateway.document(server, chat: ["questions": false]))
            #expect(await test.gateway.reload())
            let response = try await test.answer(question)
            #expect(response.status == 400 && response.text == "Unknown type: answer")
            load(try QuestionGateway.document(server))
            #expect(await test.gateway.reload())
            #expect(try await test.answer(question).status == 200, "the key is the same")
        }
    }

    @Test func aUsedQuestionStaysUsedOverAReload() async throws {
        let server = try await AskingServer(.modern)
        try await reloading(server) { test, load in
            let question = try await test.question()
            #expect(try await test.answer(question).status == 200)
            load(try QuestionGateway.document(server, chat: ["questionTimeout": "1m"]))
            #expect(await test.gateway.reload())
            #expect(try await test.answer(question).status == 410)
            #expect(server.runs.count == 1)
        }
    }

    @Test func aToolThatIsGoneEndsItsQuestions() async throws {
        let server = try await AskingServer(.modern)
        try await reloading(server) { test, load in
            let question = try await test.question()
            server.list(["other"])
            // A reload checks the upstream again.
            load(try QuestionGateway.document(server, chat: ["questionTimeout": "1m"]))
            #expect(await test.gateway.reload())
            let isGone = await eventually { test.gateway.snapshot.upstreams[0].catalog?["book"] == nil }
            #expect(isGone)
            let response = try await test.answer(question)
            #expect(response.status == 410 && response.text == expired)
            #expect(server.calls.count == 1)
        }
    }

    // MARK: Several gateways

    @Test func aModernQuestionIsAnsweredAtAnyGatewayWithTheKey() async throws {
        let server = try await AskingServer(.modern)
        let document = try QuestionGateway.document(server)
        var foreign = try #require(document.object)
        foreign["sessionKey"] = "ffffffffffffffffffffffffffffffff"
        var rotated = foreign
        rotated["previousSessionKeys"] = .string(QuestionGateway.key)
        let (other, stranger) = (
            try TestConfiguration.read(.object(rotated)), try TestConfiguration.read(.object(foreign))
        )
        let second = try await TestGateway.start { other }
        let third = try await TestGateway.start { stranger }
        await second.waitUntilReady()
        await third.waitUntilReady()
        try await QuestionGateway.with(server) { (first) async throws in
            let question = try await first.question(headers: [("Cookie", "sessionid=a")])
            #expect(try await third.answer(question, headers: [("Cookie", "sessionid=a")]).status == 404)
            #expect(try await second.answer(question, headers: [("Cookie", "sessionid=b")]).status == 404)
            #expect(try await second.answer(question, headers: [("Cookie", "sessionid=a")]).status == 200)
            // The first does not know of it; the tool recognises the call by its key.
            #expect(try await first.answer(question, headers: [("Cookie", "sessionid=a")]).status == 200)
            let keys = server.calls.compactMap { $0.meta[MCPMeta.idempotencyKey] }
            #expect(keys.count == 2 && Set(keys).count == 1)
        }
        await second.stop()
        await third.stop()
    }

    @Test func gatewaysThatShareTheirLimitsTakeAnAnswerOnce() async throws {
        let redis = try await RedisServer()
        let server = try await AskingServer(.modern)
        let shared: JSONObject = ["url": .string(redis.url), "onFailure": "refuse", "timeout": "10s"]
        let limits: JSONObject = ["rateLimits": ["shared": .object(shared)]]
        let document = try QuestionGateway.document(server, chat: [:], limits)
        let second = try await TestGateway.start { try TestConfiguration.read(document) }
        await second.waitUntilReady()
        try await QuestionGateway.with(server, chat: [:], limits) { (first) async throws in
            let question = try await first.question()
            // Values that do not fit leave the question open, at every gateway.
            #expect(try await second.answer(question, "accept", ["seats": 99]).status == 400)
            let clicks = try await withThrowingTaskGroup(of: Int.self) { group in
                for gateway in [first, second, first, second] {
                    group.addTask { try await gateway.answer(question).status }
                }
                return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(clicks == [200: 1, 410: 3])
            #expect(server.runs.count == 1)
            // Where nobody can say whether it was answered elsewhere, an answer has to wait.
            let next = try await first.question()
            try await redis.kill()
            let refused = try await first.answer(next)
            #expect(refused.status == 503)
            #expect(refused.headers.first(name: "Retry-After") != nil)
            try await redis.start()
            #expect(await eventually { (try? await second.answer(next).status) == 200 })
            #expect(server.runs.count == 2)
        }
        await second.stop()
        try await redis.stop()
    }

    @Test func aHeldQuestionIsAnsweredOnlyWhereItWasAsked() async throws {
        let server = try await AskingServer(.legacy)
        let document = try QuestionGateway.document(server)
        let second = try await TestGateway.start { try TestConfiguration.read(document) }
        await second.waitUntilReady()
        try await QuestionGateway.with(server) { (first) async throws in
            let question = try await first.question()
            let elsewhere = try await second.answer(question)
            #expect(elsewhere.status == 410 && elsewhere.text == expired)
            #expect(try await first.answer(question).status == 200)
        }
        await second.stop()
    }

    @Test func withoutAKeyAQuestionIsGoodInItsProcessAlone() async throws {
        let server = try await AskingServer(.modern)
        var document = try #require(try QuestionGateway.document(server).object)
        document["sessionKey"] = nil
        let keyless = JSONValue.object(document)
        let first = try await TestGateway.start { try TestConfiguration.read(keyless) }
        let second = try await TestGateway.start { try TestConfiguration.read(keyless) }
        await first.waitUntilReady()
        let question = try await first.question()
        #expect(try await second.answer(question).status == 404)
        #expect(await first.gateway.reload())
        #expect(try await first.answer(question).status == 200)
        await first.stop()
        await second.stop()
        server.stop()
    }
}
