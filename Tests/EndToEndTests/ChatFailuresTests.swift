import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// The failure table: status, body and media type of each row that can be provoked from outside.
    @Suite struct ChatFailures {
        let stack: RunningStack
        let client: HTTPTestClient

        init() throws {
            stack = try RunningStack.current
            client = stack.gateway.client
        }

        struct TextFailure: Sendable, CustomTestStringConvertible {
            let body: String
            let text: String
            var testDescription: String { "\(body.prefix(60)) → \(text.prefix(40))" }
        }

        static let textFailures: [TextFailure] = [
            .init(body: "", text: "Invalid JSON"),
            .init(body: "{", text: "Invalid JSON"),
            .init(body: "[]", text: "Invalid JSON"),
            .init(body: "\"chat\"", text: "Invalid JSON"),
            .init(body: "\u{FEFF}{\"message\":\"x\"}", text: "Invalid JSON"),
            .init(body: #"{"message":"\ud80"}"#, text: "Invalid JSON"),
            .init(body: String(repeating: "[", count: 65) + String(repeating: "]", count: 65), text: "Invalid JSON"),
            .init(body: #"{"type":"echo","message":"x"}"#, text: "Unknown type: echo"),
            .init(body: #"{"type":"<b>"}"#, text: "Unknown type: <b>"),
            .init(body: #"{"type":null}"#, text: "Unknown type: null"),
            .init(body: #"{"type":7}"#, text: "Unknown type: 7"),
            .init(body: #"{"type":"search_projects"}"#, text: "Missing query"),
            .init(body: #"{"type":"search_projects","query":[]}"#, text: "Missing query"),
            .init(body: #"{"type":"search_any","query":"x"}"#, text: "Missing model or query"),
            .init(body: #"{"type":"search_any","model":"projects","query":0}"#, text: "Missing model or query"),
            .init(body: #"{"type":"ai_prompt","message":" \u00a0\n"}"#, text: "Empty prompt"),
            .init(body: #"{"type":"chat"}"#, text: "Empty message"),
            .init(body: "{}", text: "Empty message"),
            .init(body: #"{"type":"echo","type":"chat"}"#, text: "Empty message"),
        ]

        @Test(arguments: textFailures)
        func whatTheOldAPIAnsweredAsTextStaysText(_ failure: TextFailure) async throws {
            let answer = try await client.post("/api/chat/", failure.body)
            #expect(answer.status == 400)
            #expect(answer.text == failure.text)
            #expect(answer.mediaType == "text/plain")
            #expect(answer.header("X-Content-Type-Options") == "nosniff")
        }

        @Test func bytesThatAreNotUTF8AreInvalid() async throws {
            let body: [UInt8] = Array(#"{"message":""#.utf8) + [0xff] + Array(#""}"#.utf8)
            let answer = try await client.send("POST", "/api/chat/", body: body)
            #expect(answer.status == 400)
            #expect(answer.text == "Invalid JSON")
        }

        @Test func anUnknownTypeIsCutAndCleaned() async throws {
            let long = String(repeating: "x", count: 500)
            let answer = try await client.chat(["type": .string(long)])
            #expect(answer.text == "Unknown type: " + long.prefix(200))
            let control = try await client.chat(["type": "a\u{1}b\nc"])
            #expect(!control.text.unicodeScalars.contains { $0.value < 0x20 })
        }

        @Test func anArgumentOfTheWrongTypeIsNamedByThePayloadsField() async throws {
            let answer = try await client.chat(["type": "search_projects", "query": ["a": 1]])
            #expect(answer.status == 400)
            #expect(try #require(answer.errorText).contains("query"))
        }

        @Test(arguments: ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
        func otherMethodsAreNotAllowed(_ method: String) async throws {
            let answer = try await client.send(method, "/api/chat/")
            #expect(answer.status == 405)
            #expect(answer.header("Allow") == "POST")
            #expect(answer.body.isEmpty)
        }

        @Test func otherPathsAreNotFound() async throws {
            let answer = try await client.post("/api/nothing", "{}")
            #expect(answer.status == 404)
            #expect(answer.errorText != nil)
        }

        @Test func aBodyOverTheLimitIsRefusedWithOurOwnAnswer() async throws {
            let message = String(repeating: "x", count: 2_700_000)
            let answer = try await client.post("/api/chat/", #"{"type":"chat","message":"\#(message)"}"#)
            #expect(answer.status == 413)
            #expect(answer.errorText != nil)
        }

        @Test func aBodyUnderTheLimitIsRead() async throws {
            let padding = String(repeating: " ", count: 2_400_000)
            let answer = try await client.post("/api/chat/", #"{"type":"search_projects","query":"urgent"\#(padding)}"#)
            #expect(answer.status == 200)
        }

        @Test func headersOverTheLimitAreRefused() async throws {
            let answer = try await client.chat(
                ["message": "x"], headers: [("X-Large", String(repeating: "x", count: 40_000))])
            #expect(answer.status == 431)
            #expect(answer.errorText != nil)
        }

        @Test func malformedBytesAreRefusedAndTheConnectionCloses() async throws {
            let socket = try RawSocketClient(port: stack.gateway.port)
            await socket.send("POST /api/chat/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")
            let answer = await socket.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
        }

        @Test func aCookieFromAnotherOriginIsForbidden() async throws {
            let cookie = try await stack.session(of: "alice")
            let foreign = try await client.chat(
                ["type": "get_user_info"], cookie: cookie, headers: [("Origin", "https://elsewhere.example")])
            #expect(foreign.status == 403)
            #expect(foreign.errorText != nil)
            let own = try await client.chat(
                ["type": "get_user_info"], cookie: cookie, headers: [("Origin", stack.gateway.url)])
            #expect(own.status == 200)
        }

        @Test func aProblemDocumentSaysWhatHappened() async throws {
            let answer = try await client.chat(
                ["type": "search_any", "model": "planets", "query": "x"],
                headers: [("Accept", "application/problem+json")])
            #expect(answer.status == 400)
            #expect(answer.mediaType == "application/problem+json")
            let problem = try answer.json
            #expect(problem["label"] == "tool_error")
            #expect(problem["status"] == 400)
            #expect(problem["detail"] == "Unknown model")
            #expect(problem["executed"] == "yes")
            for member in ["type", "title", "instance"] { #expect(problem[member]?.string != nil, "\(member)") }

            let early = try await client.post("/api/chat/", "{", headers: [("Accept", "application/problem+json")])
            #expect(try early.json["label"] == "invalid_json")
            #expect(try early.json["executed"] == "no")
        }
    }
}
