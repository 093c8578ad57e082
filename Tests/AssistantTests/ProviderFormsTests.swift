import JSON
import JSONConfiguration
import MCP
import NIOCore
import Observability
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Assistant

/// Errors, refusals, addresses and tool calls as real providers send them, over real sockets.
@Suite struct ProviderFormsTests: ProviderScripts {
    // MARK: Errors

    @Test(arguments: [
        #"[{"error":{"message":"M"}}]"#, #"{"message":{"detail":[{"msg":"M"}]}}"#,
        #"{"detail":[{"msg":"M","loc":["a"]}]}"#,
        #"{"error":["M"]}"#, "M", "  M\n", #"{"error":{"message":"M","code":503}}"#, #"{"error":"M"}"#,
        #"{"detail":"M"}"#,
        #"{"object":"error","message":"M","type":"BadRequestError"}"#, #"{"errors":[{"message":"M"}]}"#, #""M""#,
        #"{"error":"Bad Request","message":"M"}"#, #"{"error":{"error":{"message":"M"}}}"#,
        #"{"error_description":"M"}"#,
        #"{"error":{"message":{"text":1,"detail":"M"}}}"#, #"{"message":"{\"error\":{\"message\":\"M\"}}"}"#,
        #"{"fault":{"faultstring":"M"}}"#, #"{"error":{"details":"M"}}"#, #"{"msg":"M","code":1}"#,
        "\u{FEFF}{\"error\":\"M\"}",
    ])
    func theProvidersWordsAreFound(body: String) async throws {
        for streamed in [false, true] {
            let fake = try await FakeProvider([.response(.text(body, status: 400))])
            defer { fake.server.stop() }
            await #expect(throws: AssistantError("M")) {
                try await fake.model().answer("q", onDelta: streamed ? Pieces().onDelta : nil)
            }
        }
    }

    @Test(arguments: ["<html><body>M</body></html>", "", " ", "{\"err", "\u{1}\u{2}", "{}", "[]", "null", "true", "17"])
    func whatHasNoWordsIsNamedByItsStatus(body: String) async throws {
        await #expect(throws: AssistantError("the provider answered with status 400")) {
            try await reply(to: body, status: 400)
        }
    }

    @Test(arguments: [
        #"{"error":{"message":"M"}}"#, #"[{"error":{"message":"M"}}]"#, #"{"error":["M"]}"#,
        #"{"detail":[{"msg":"M"}]}"#,
        #"{"choices":[{"error":{"message":"M"}}]}"#,
    ])
    func errorsInASuccessAreErrors(body: String) async throws {
        await #expect(throws: AssistantError("M")) { try await reply(to: body) }
        await #expect(throws: AssistantError("M")) {
            try await answer(streaming: [said("x"), "data: \(body)\n\n", done])
        }
        await #expect(throws: AssistantError("M")) { try await answer(streaming: ["event: error\ndata: M\n\n"]) }
    }

    // MARK: What a provider does not take

    private static let tool: JSONValue = ["type": "function", "function": ["name": "x"]]

    @Test(arguments: [
        #"{"error":{"message":"Function calling is not enabled for models/tiny"}}"#, "tiny does not support tools",
        #"{"detail":[{"msg":"Extra inputs are not permitted: tools"}]}"#,
        #"{"error":["Unknown parameter: 'tool_choice'"]}"#,
    ])
    func theQuestionIsAskedAgainWithoutTools(body: String) async throws {
        for streamed in [false, true] {
            let fake = try await FakeProvider([.response(.text(body, status: 400)), .text("plain")])
            defer { fake.server.stop() }
            let model = fake.model()
            for _ in 1...2 {
                let request = ModelRequest(messages: [ChatCompletion.user("q")], tools: [Self.tool])
                let reply = try await model.reply(to: request, onDelta: streamed ? Pieces().onDelta : nil)
                #expect(reply.text == "plain")
            }
            #expect(fake.bodies.map { $0["tools"] != nil } == [true, false, false])
        }
    }

    @Test func oneRefusalAfterAnotherIsHeeded() async throws {
        let fake = try await FakeProvider([
            .response(.json(#"[{"error":{"message":"stream_options is not permitted"}}]"#, status: 422)),
            .error(400, "no tools here"), .text("plain"),
        ])
        defer { fake.server.stop() }
        let request = ModelRequest(messages: [ChatCompletion.user("q")], tools: [Self.tool])
        #expect(try await fake.model().reply(to: request, onDelta: Pieces().onDelta).text == "plain")
        #expect(fake.bodies.map { $0["tools"] != nil } == [true, true, false])
        #expect(fake.bodies.map { $0["stream_options"] != nil } == [true, false, false])
    }

    @Test func aFailureThatSpeaksOfFunctionsOfItsOwnTeachesNothing() async throws {
        let fake = try await FakeProvider([.error(500, "FUNCTION_INVOCATION_FAILED in upstream"), .text("there")])
        defer { fake.server.stop() }
        let model = fake.model()
        let request = ModelRequest(messages: [ChatCompletion.user("q")], tools: [Self.tool])
        for _ in 1...2 { #expect(try await model.reply(to: request, onDelta: nil).text == "there") }
        #expect(fake.bodies.map { $0["tools"] != nil } == [true, true, true])
    }

    @Test func aProviderThatOnlyStreamsIsAskedToStream() async throws {
        let fake = try await FakeProvider([.error(400, "This model only supports stream mode"), .text("streamed")])
        defer { fake.server.stop() }
        let model = fake.model()
        for _ in 1...2 { #expect(try await model.answer("q", onDelta: nil) == "streamed") }
        #expect(fake.bodies.map { $0["stream"]?.bool ?? false } == [false, true, true])
    }

    @Test func aProviderThatCannotStreamIsAskedForTheWhole() async throws {
        let fake = try await FakeProvider([.error(400, "Unsupported value: 'stream'"), .text("whole")])
        defer { fake.server.stop() }
        let model = fake.model()
        for _ in 1...2 {
            let pieces = Pieces()
            #expect(try await model.answer("q", onDelta: pieces.onDelta) == "whole")
            #expect(pieces.all == ["whole"])
        }
        #expect(fake.bodies.map { $0["stream"]?.bool ?? false } == [true, false, false])
    }

    @Test(arguments: ["text/event-stream", "application/json", "text/plain"])
    func aStreamThatWasNotAskedForIsRead(contentType: String) async throws {
        let events = [": hello\n\n", said("Hel"), said("lo", "\"stop\"")].joined()
        let body = ByteBuffer(string: String(events.dropLast(2)))
        let response = ScriptedResponse.whole(status: 200, headers: [("Content-Type", contentType)], body: body)
        for streamed in [false, true] {
            let fake = try await FakeProvider([.response(response)])
            defer { fake.server.stop() }
            #expect(try await fake.model().answer("q", onDelta: streamed ? Pieces().onDelta : nil) == "Hello")
        }
    }

    @Test func linesOfJSONAreRead() async throws {
        let lines = [said("Hel"), said("lo", "\"stop\"")].map { String($0.dropFirst(6).dropLast(1)) }.joined()
        #expect(try await reply(to: lines).text == "Hello")
    }

    @Test(arguments: ["\u{FEFF}", "\u{FEFF}\r\n", "\n"])
    func whatStandsBeforeTheJSONIsSkipped(prefix: String) async throws {
        #expect(try await reply(to: prefix + whole(#"{"content":"x"}"#)).text == "x")
        #expect(try await answer(streaming: [prefix + said("x"), "data: \u{FEFF}{}\n\n", done]).reply.text == "x")
    }

    // MARK: Addresses

    @Test(arguments: [
        ("/deployments/gpt?api-version=X", "/deployments/gpt/chat/completions?api-version=X"),
        ("/v1/?a=b/c&d=e", "/v1/chat/completions?a=b/c&d=e"), ("/v1", "/v1/chat/completions"),
        ("/v1//", "/v1/chat/completions"), ("", "/chat/completions"), ("?x", "/chat/completions?x"),
        ("/v1/chat/completions?a=b", "/v1/chat/completions?a=b"), ("/v1#part", "/v1/chat/completions"),
    ])
    func theQueryStaysBehindThePath(base: String, path: String) async throws {
        let fake = try await FakeProvider([.text("x")])
        defer { fake.server.stop() }
        _ = try await fake.model { [url = fake.server.url] in $0.baseURL = url + base }.answer("q", onDelta: nil)
        #expect(fake.server.requests.first?.path == path)
    }

    // MARK: Tool calls

    private func names(_ calls: [String], done: Bool = true) async throws -> [String] {
        let events = calls.map { event("{\"tool_calls\":\($0)}") }
        return try await answer(streaming: events + ["data: [DONE]\n\n"]).reply.toolCalls.map {
            "\($0.name) \($0.arguments)"
        }
    }

    @Test func callsWithoutIndexAndIDAreToldApart() async throws {
        let two = [#"a {"x":1}"#, #"b {"y":2}"#]
        let whole =
            #"{"function":{"name":"a","arguments":"{\"x\":1}"}},{"function":{"name":"b","arguments":"{\"y\":2}"}}"#
        #expect(try await names(["[\(whole)]"]) == two)
        #expect(
            try await names([
                #"[{"function":{"name":"a","arguments":"{\"x\":1}"}}]"#,
                #"[{"function":{"name":"b","arguments":"{\"y\":2}"}}]"#,
            ]) == two)
        #expect(
            try await names([
                #"[{"function":{"name":"a","arguments":"{\"x\""}},{"function":{"name":"b","arguments":"{\"y"}}]"#,
                #"[{"function":{"arguments":":1}"}},{"function":{"arguments":"\":2}"}}]"#,
            ]) == two)
        // The same tool twice, the name with every piece of the arguments, every call with the number 0.
        let same = #"{"index":0,"function":{"name":"a","arguments":"{\"x\":1}"}}"#
        #expect(try await names(["[\(same),\(same)]"]) == [two[0], two[0]])
        #expect(try await names(["[\(same)]", "[\(same)]"]) == [two[0], two[0]])
        #expect(
            try await names([
                #"[{"function":{"name":"a","arguments":"{\"x"}}]"#, #"[{"function":{"name":"a","arguments":"\":1}"}}]"#,
            ]) == [two[0]])
        #expect(
            try await names([
                #"[{"function":{"name":"a"}}]"#, #"[{"function":{"arguments":"{\"x\":"}}]"#,
                #"[{"function":{"arguments":"1}"}}]"#,
            ]) == [two[0]])
    }

    @Test(arguments: [
        "null", "\"null\"", "\"\"", "\" \"", "{}", "\"{}\"", "\"\\\"{}\\\"\"", "[]", "\"None\"", "\"\\\"\\\"\"",
    ])
    func noArgumentsAreNone(arguments: String) async throws {
        let call = "[{\"id\":\"1\",\"function\":{\"name\":\"a\",\"arguments\":\(arguments)}}]"
        #expect(try await names([call]) == ["a {}"])
        let reply = try await reply(to: whole("{\"tool_calls\":\(call)}"))
        #expect(reply.toolCalls.map(\.arguments) == ["{}"])
    }

    @Test(arguments: [
        #"{"q":1}"#, #""{\"q\":1}""#, #""\"{\\\"q\\\":1}\"""#, #""{}{\"q\":1}""#, #""```json\n{\"q\":1}\n```""#,
        #"[{"q":1}]"#, #""{\"q\":1}\n\u0000""#,
    ])
    func argumentsAreReadHoweverTheyAreWritten(arguments: String) async throws {
        let call = "[{\"id\":7,\"function\":{\"name\":\"a\",\"arguments\":\(arguments)}}]"
        #expect(try await names([call]) == [#"a {"q":1}"#])
        let reply = try await reply(to: whole("{\"tool_calls\":\(call)}"))
        #expect(reply.toolCalls == [ToolInvocation(id: "7", name: "a", arguments: #"{"q":1}"#)])
    }

    @Test(arguments: ["5", "true", #""text""#, #""{\"q\":""#, "[1,2]"])
    func whatIsNoObjectIsLeftAsItIs(arguments: String) throws {
        #expect(ToolArguments.object(arguments) == nil)
        #expect(ToolArguments.normalized(arguments) == arguments)
    }

    @Test func theOldFormOfACallIsRead() async throws {
        let call = #"{"function_call":{"name":"a","arguments":"{\"x\":1}"}}"#
        #expect(try await reply(to: whole(call, "\"function_call\"")).toolCalls.map(\.name) == ["a"])
        let pieces = [
            #"{"function_call":{"name":"a","arguments":"{\"x\""}}"#, #"{"function_call":{"arguments":":1}"}}"#,
        ]
        let streamed = try await answer(streaming: pieces.map { event($0) } + [done])
        #expect(streamed.reply.toolCalls.map(\.arguments) == [#"{"x":1}"#])
    }

    @Test func callsWithoutEndAreAnError() async throws {
        let calls = (0...ChatCompletion.maximumCalls).map {
            event("{\"tool_calls\":[{\"index\":\($0),\"function\":{\"name\":\"a\"}}]}")
        }
        await #expect(throws: AssistantError("the model asked for too many tool calls")) {
            try await answer(streaming: calls)
        }
    }
}
