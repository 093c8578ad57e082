import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// The assistant's confirmations through the chat API: both processes, a model that wants to write, and its user.
    ///
    /// The tool-server is the one of `Tests/ConfirmingServer`, whose tool `note` writes to a file.
    @Suite struct Questions {
        private static let key = "0123456789abcdef0123456789abcdef"
        private static let events: HTTPTestClient.Headers = [("Accept", "text/event-stream")]

        /// A tool-server with a model that calls `note` for every prompt, and says what the tool said.
        private final class Notes: Sendable {
            let provider: ScriptedHTTPServer
            let process: ChildProcess
            let directory: TemporaryDirectory
            let url: String

            init() async throws {
                provider = try await ScriptedHTTPServer { request in
                    let messages = (try? JSONValue(parsing: Array(request.text.utf8)))?["messages"]?.array ?? []
                    let last = messages.last ?? [:]
                    var message: JSONObject = ["role": "assistant"]
                    if last["role"] == "user" {
                        let arguments = JSONValue.object(["text": last["content"] ?? ""]).text
                        message["content"] = .null
                        message["tool_calls"] = [
                            [
                                "id": "call-1", "type": "function",
                                "function": ["name": "note", "arguments": .string(arguments)],
                            ]
                        ]
                    } else {
                        message["content"] = .string("The tool said: \(last["content"]?.string ?? "")")
                    }
                    let reason: JSONValue = last["role"] == "user" ? "tool_calls" : "stop"
                    return .json(
                        JSONValue.object([
                            "choices": [["index": 0, "message": .object(message), "finish_reason": reason]]
                        ]).text)
                }
                directory = try TemporaryDirectory("notes")
                let file = try directory.write("", to: "notes")
                let started = try await ChildProcess.start(
                    .init(
                        BuiltProduct.directory.appending(path: "ConfirmingServer").path, [],
                        environment: [
                            "NOTES": file, "AI_BASE_URL": provider.url + "/v1", "AI_MODEL": "test",
                            "AI_API_KEY": "test",
                        ]))
                await eventually(within: .seconds(30)) {
                    started.address(of: "main") != nil || started.exit != nil
                }
                process = started
                url = "http://\(try #require(started.address(of: "main"), "\(started.log)"))/mcp/"
            }

            /// The lines that the tool has written.
            var written: [String] {
                get throws {
                    try String(contentsOfFile: directory.path("notes"), encoding: .utf8)
                        .split(separator: "\n").map(String.init)
                }
            }

            func stop() async throws {
                provider.stop()
                _ = try await process.stop()
            }
        }

        private func gateway(_ notes: Notes, _ more: [String: String] = [:]) async throws -> RunningService {
            var environment = ["GATEWAY_CHAT_QUESTIONS": "true", "GATEWAY_SESSION_KEY": Self.key]
            for (key, value) in more { environment[key] = value }
            let gateway = try await RunningService.gateway(upstream: notes.url, environment: environment)
            try await gateway.ready()
            return gateway
        }

        private func with(
            _ more: [String: String] = [:], _ body: (Notes, RunningService) async throws -> Void
        ) async throws {
            let notes = try await Notes()
            let gateway = try await gateway(notes, more)
            do {
                try await body(notes, gateway)
            } catch {
                print(notes.process.log + gateway.process.log)
                try? await gateway.stop()
                try? await notes.stop()
                throw error
            }
            try await gateway.stop()
            try await notes.stop()
        }

        private static let prompt: JSONValue = ["type": "ai_prompt", "message": "buy milk"]

        private func answer(_ question: JSONValue?, _ action: JSONValue, _ confirm: Bool = true) -> JSONValue {
            [
                "type": "answer", "id": question?["id"] ?? "", "action": action, "values": ["confirm": .bool(confirm)],
            ]
        }

        @Test func whatTheUserConfirmsRunsOnce() async throws {
            try await with { notes, gateway in
                let asked = try await gateway.client.chat(Self.prompt)
                #expect(asked.status == 200)
                #expect(asked.replies == [])
                let question = try #require(try asked.json["question"])
                let message = try #require(question["message"]?.string)
                #expect(message.contains("note") && message.contains("buy milk"))
                #expect(question["fields"]?[0]?["kind"] == "boolean" && question["fields"]?[0]?["label"] == "Allow")
                #expect(try notes.written == [])

                let wrong = try await gateway.client.chat([
                    "type": "answer", "id": question["id"] ?? "", "action": "accept", "values": [:],
                ])
                #expect(wrong.status == 400 && wrong.errorText == "missing required property 'confirm'")

                let answer = answer(question, "accept")
                let statuses = try await withThrowingTaskGroup(of: HTTPTestResponse.self) { group in
                    for _ in 0..<4 { group.addTask { try await gateway.client.chat(answer) } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(statuses.map(\.status).sorted() == [200, 410, 410, 410])
                let reply = try #require(statuses.first { $0.status == 200 })
                #expect(reply.text.contains("noted") && reply.text.hasPrefix(#"{"type":"ai_prompt","replies":["#))
                #expect(try notes.written == ["buy milk"])
            }
        }

        @Test(arguments: ["decline", "cancel", "no"])
        func whatTheUserDoesNotConfirmDoesNotRun(_ action: String) async throws {
            try await with { notes, gateway in
                let question = try await gateway.client.chat(Self.prompt).json["question"]
                let response = try await gateway.client.chat(
                    action == "no" ? answer(question, "accept", false) : answer(question, .string(action)))
                #expect(response.status == 200)
                #expect(response.text.contains("refused"))
                #expect(try notes.written == [])
            }
        }

        @Test func anEventStreamEndsWithTheQuestionAndTheNextWithTheReply() async throws {
            try await with { notes, gateway in
                let asked = try await gateway.client.chat(Self.prompt, headers: Self.events)
                let event = try #require(asked.text.components(separatedBy: "event: question\ndata: ").last)
                let question = try JSONValue(parsing: Array(event.split(separator: "\n")[0].utf8))["question"]
                let reply = try await gateway.client.chat(answer(question, "accept"), headers: Self.events)
                #expect(reply.text.contains("event: reply\n") && reply.text.contains("noted"))
                #expect(try notes.written == ["buy milk"])
            }
        }

        @Test func anotherGatewayTakesTheAnswerWhenTheFirstIsGone() async throws {
            let notes = try await Notes()
            let first = try await gateway(notes)
            let question = try await first.client.chat(Self.prompt).json["question"]
            try await first.stop()
            let second = try await gateway(notes)
            let reply = try await second.client.chat(answer(question, "accept"))
            #expect(reply.status == 200 && reply.text.contains("noted"))
            #expect(try notes.written == ["buy milk"])
            try await second.stop()
            try await notes.stop()
        }

        @Test func withoutQuestionsTheModelIsRefusedAndSaysSo() async throws {
            try await with(["GATEWAY_CHAT_QUESTIONS": "false"]) { notes, gateway in
                let response = try await gateway.client.chat(Self.prompt)
                #expect(response.status == 200)
                #expect(response.text.contains("refused"))
                #expect(try notes.written == [])
                let answer = try await gateway.client.chat(["type": "answer", "id": "x", "action": "accept"])
                #expect(answer.status == 400 && answer.text == "Unknown type: answer")
            }
        }
    }
}
