import CurlTransport
import JSON
import JSONSchema
import TestSupport
import Testing

@testable import GatewayCore

/// Tools that ask while `chat.questions` is off, and the configuration.
@Suite struct QuestionsOffTests {
    private let problem: CurlHeaders = [("Accept", "application/problem+json")]

    @Test(arguments: AskingServer.Era.allCases) func aToolThatAsksIsDeclinedAndTheAnswerSaysSo(_ era: AskingServer.Era)
        async throws
    {
        let server = try await AskingServer(era)
        try await QuestionGateway.with(server, chat: ["questions": false]) { (test) async throws in
            let response = try await test.book()
            #expect(response.status == 400)
            #expect(
                response.text
                    == #"{"error":"The tool has a question for its user, and this chat passes no questions on"}"#)
            let document = try await test.book(headers: problem)
            #expect(document.json?["label"] == "questions_off" && document.json?["executed"] == "yes")
            #expect(server.runs.allSatisfy { $0["q0"]?["action"] == "decline" })
            #expect(server.declared?["elicitation"] == nil)
            let streamed = try await test.book(headers: TestGateway.events)
            #expect(streamed.text.contains(#""status":400"#) && streamed.text.contains(#""label":"questions_off""#))
            let answer = try await test.chat(#"{"type":"answer","id":"x","action":"accept"}"#)
            #expect(answer.status == 400 && answer.text == "Unknown type: answer")
        }
    }

    @Test func aServerThatRefusesByItselfIsTheSame() async throws {
        let server = try await AskingServer(
            .modern,
            other: { message in
                guard message.method == "tools/call" else { return nil }
                let error: JSONValue = [
                    "jsonrpc": "2.0", "id": message.id ?? .null,
                    "error": [
                        "code": -32021, "message": "no", "data": ["requiredCapabilities": ["elicitation": [:]]],
                    ],
                ]
                return .json(error.text, status: 400)
            })
        try await QuestionGateway.with(server, chat: ["questions": false]) { (test) async throws in
            let response = try await test.book(headers: problem)
            #expect(response.status == 400)
            #expect(response.json?["label"] == "questions_off")
            #expect(response.json?["executed"] == "no", "the server refused the message as a whole")
        }
    }

    @Test func theOpenAPIDocumentDescribesQuestionsWhereThereAreAny() async throws {
        for isOn in [true, false] {
            let server = try await AskingServer(.modern)
            try await QuestionGateway.with(server, chat: ["questions": .bool(isOn)]) { (test) async throws in
                let document = try #require(try await test.send("GET", "/openapi.json").json)
                let schemas = document["components"]?["schemas"]
                #expect((schemas?["Answer"] != nil) == isOn && (schemas?["Question"] != nil) == isOn)
                let operation = document["paths"]?["/api/chat/"]?["post"]
                let bodies =
                    operation?["requestBody"]?["content"]?["application/json"]?["schema"]?["anyOf"]?.array ?? []
                #expect(bodies.contains(["$ref": "#/components/schemas/Answer"]) == isOn)
                #expect(operation?["responses"]?["410"]?["description"]?.string?.contains("question_expired") == true)
                guard isOn else { return }
                // The question that is asked fits its description.
                var question = try #require(schemas?["Question"])
                question["components"] = document["components"]
                let schema = try JSONSchema(question)
                #expect(schema.validate(try await test.question()).isEmpty)
                #expect(!schema.validate(["id": "x", "message": "y", "expires": "z"]).isEmpty)
            }
        }
    }

    @Test func aTypeOfThatNameIsATypeWithoutQuestionsAndAnErrorWithThem() throws {
        func read(_ changes: JSONObject) throws -> ChatConfiguration {
            var chat: JSONObject = ["types": ["answer": ["tool": "echo"]], "defaultType": "answer"]
            for (key, value) in changes { chat[key] = value }
            return try TestConfiguration.read([
                "upstreams": ["tools": ["url": "http://127.0.0.1:1/mcp/"]], "chat": .object(chat),
            ]).chat
        }
        #expect(try read([:]).questions == nil)
        #expect { try read(["questions": true]) } throws: { "\($0)".contains("chat.types.answer") }
        let configured = try read([
            "questions": true, "types": ["a": ["tool": "b"]], "defaultType": "a", "questionTimeout": "30s",
            "questionLifetime": "5m", "heldQuestions": 7,
        ])
        let questions = try #require(configured.questions)
        #expect(questions.timeout == .seconds(30) && questions.lifetime == .seconds(300) && questions.held == 7)
        for wrong: JSONObject in [
            ["questionTimeout": "0s"], ["questionLifetime": "500ms"], ["heldQuestions": 0], ["heldQuestions": 257],
            ["questions": "yes"],
        ] {
            #expect(throws: (any Error).self) { try read(wrong) }
        }
    }
}
