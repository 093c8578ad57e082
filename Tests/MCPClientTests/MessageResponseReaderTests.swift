import CurlTransport
import JSON
import MCP
import NIOCore
import ProcessMemory
import Testing

@testable import MCPClient

/// JSON and event streams, whole and at every split point.
@Suite struct MessageResponseReaderTests {
    static let answer = #"{"jsonrpc":"2.0","id":31,"result":{"content":[]}}"#

    static func read(
        _ body: String, status: Int = 200, type: String? = "application/json", id: Int64 = 31
    ) -> [MessageResponseReader.Incoming] {
        var reader = MessageResponseReader(id: id, limit: 1 << 20)
        let headers: CurlHeaders = type.map { [(name: "content-type", value: $0)] } ?? []
        return reader.whole(CurlResponse(status: status, headers: headers, body: ByteBuffer(string: body)))
    }

    /// What the answer holds, in one word.
    static func word(_ incoming: [MessageResponseReader.Incoming]) -> String {
        guard case .answer(let answer) = incoming.last else { return "none" }
        switch answer.content {
        case .result(let message, let slice):
            return message.withUnsafeReadableBytes {
                String(decoding: UnsafeRawBufferPointer(rebasing: $0[slice.range]), as: UTF8.self)
            }
        case .error(let error): return "error \(error.code)"
        case .nothing: return "nothing"
        case .malformed(let detail, _): return detail
        }
    }

    @Test func aResultIsASliceOfTheAnswersOwnBytes() {
        #expect(Self.word(Self.read(Self.answer)) == #"{"content":[]}"#)
        #expect(Self.word(Self.read(Self.answer, type: "Application/JSON; charset=utf-8")) == #"{"content":[]}"#)
        #expect(Self.word(Self.read(Self.answer, type: nil)) == #"{"content":[]}"#)
    }

    // MARK: Work is bounded

    private static let note = #"{"jsonrpc":"2.0","method":"notifications/message"}"#

    @Test(arguments: ["application/json", "text/event-stream"])
    func aBatchHasAtMostAThousandMessages(_ type: String) {
        for (count, word) in [(999, #"{"content":[]}"#), (1000, "a batch of more than 1000 messages")] {
            let batch = "[" + String(repeating: Self.note + ",", count: count) + Self.answer + "]"
            #expect(Self.word(Self.read(type.hasPrefix("text") ? "data: \(batch)\n\n" : batch, type: type)) == word)
        }
    }

    @Test func theMessagesOfAnEventShareTheMemoryThatTheyTake() {
        let budget = MemoryBudget(limit: 1 << 20)
        var reader = MessageResponseReader(id: 31, limit: 16 << 20, memory: budget)
        reader.head(status: 200, headers: [(name: "Content-Type", value: "text/event-stream")])
        let values = String(repeating: "[],", count: 2000)
        let message = #"{"jsonrpc":"2.0","method":"m","params":{"a":[\#(values)1]}}"#
        let event = { "data: [" + Array(repeating: message, count: $0).joined(separator: ",") + "]\n\n" }
        #expect(reader.chunk(ByteBuffer(string: event(2))).count == 2)
        #expect(!reader.isStarved && budget.statistics.used == 0)
        #expect(reader.chunk(ByteBuffer(string: event(8))).count < 8)
        #expect(reader.isStarved && budget.statistics.used == 0)
    }

    @Test func aMessageOfTheServerThatIsTooLargeIsRefused() {
        let values = String(repeating: "[],", count: 70_000)
        for id in ["", #""id":1,"#] {
            let message = #"{"jsonrpc":"2.0",\#(id)"method":"m","params":{"a":[\#(values)1]}}"#
            let incoming = Self.read("data: \(message)\n\n", type: "text/event-stream")
            #expect(Self.word(incoming) == "a message of the server is too large")
        }
    }

    @Test func ofAnErrorWithTooMuchDataCodeAndMessageCount() throws {
        let values = String(repeating: "[],", count: 70_000)
        let body = #"{"jsonrpc":"2.0","id":31,"error":{"code":-5,"message":"no","data":[\#(values)1]}}"#
        guard case .answer(let answer)? = Self.read(body).last, let error = answer.rpcError else {
            Issue.record("no error")
            return
        }
        #expect(error == JSONRPCError(code: -5, message: "no"))
    }

    @Test func aStreamThatIsNotAnnouncedHasAtMostAThousandEventsBeforeItsAnswer() {
        let answer = "data: \(Self.answer)\n\n"
        for (count, word) in [(900, #"{"content":[]}"#), (20_000, "not JSON: syntax")] {
            let body = String(repeating: "data:\n\n", count: count) + answer
            #expect(Self.word(Self.read(body)) == word)
            #expect(Self.word(Self.read(body, type: "text/event-stream")) == #"{"content":[]}"#)
        }
    }

    @Test(
        arguments: [
            (#"{"jsonrpc":"2.0","id":32,"result":{}}"#, "answer with the wrong id"),
            (#"{"jsonrpc":"2.0","id":"32","result":{}}"#, "answer with the wrong id"),
            (#"{"jsonrpc":"2.0","id":"","result":{}}"#, "answer with the wrong id"),
            (#"{"jsonrpc":"2.0","id":"31x","result":{}}"#, "answer with the wrong id"),
            (#"{"jsonrpc":"2.0","id":31.5,"result":{}}"#, "answer with the wrong id"),
            (#"{"jsonrpc":"2.0","id":-31,"result":{}}"#, "answer with the wrong id"),
            (#"{"jsonrpc":"2.0","id":true,"result":{}}"#, "answer with the wrong id"),
            (#"{"jsonrpc":"2.0","id":null,"result":{}}"#, "answer with the wrong id"),
            (#"{"jsonrpc":"2.0","result":{}}"#, "answer with the wrong id"),
            (#"{"jsonrpc":"2.0","id":31,"result":[]}"#, "result that is no object"),
            (#"{"jsonrpc":"2.0","id":31}"#, "neither result nor error"),
            (#"{"jsonrpc":"2.0","id":31,"error":{"message":"x"}}"#, "error without a code"),
            (#"{"jsonrpc":"2.0","method":"notifications/message"}"#, "no response in the answer"),
            ("[]", "no response in the answer"), ("7", "not a JSON-RPC message"), ("{", "not JSON: unexpectedEnd"),
            ("<html>", "not JSON: syntax"),
        ])
    func garbageIsToldApart(_ body: String, _ word: String) {
        #expect(Self.word(Self.read(body)) == word)
    }

    @Test(
        arguments: [
            (#"{"jsonrpc":"2.0","id":"31","result":{"a":1}}"#, "application/json"),
            (#"{"jsonrpc":"2.0","id":31.0,"result":{"a":1}}"#, "application/json"),
            (
                #"{"jsonrpc":"2.0","id":31,"method":null,"params":null,"error":null,"result":{"a":1}}"#,
                "application/json"
            ),
            ("\u{FEFF}" + #"{"jsonrpc":"2.0","id":31,"result":{"a":1}}"#, "application/json"),
            (#"{"jsonrpc":"2.0","id":31,"result":{"a":1}}"#, "application/json-rpc"),
            (#"{"jsonrpc":"2.0","id":31,"result":{"a":1}}"#, "text/json; charset=utf-8"),
            (#"{"jsonrpc":"2.0","id":31,"result":{"a":1}}"#, "text/plain"),
            (#"{"jsonrpc":"2.0","id":31,"result":{"a":1}}"#, "application/octet-stream"),
            (#" {"jsonrpc":"2.0","id":31,"result":{"a":1}}"#, "text/event-stream"),
            (
                "event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":31,\"result\":{\"a\":1}}\r\n\r\n",
                "application/json"
            ),
            ("data: {\"jsonrpc\":\"2.0\",\"id\":31,\"result\":{\"a\":1}}\n\n", "text/plain"),
        ])
    func anAnswerIsReadByWhatItHolds(_ body: String, _ type: String) {
        #expect(Self.word(Self.read(body, type: type)) == #"{"a":1}"#)
    }

    @Test func aQuestionIsHandedOutHoweverItIsSpelled() {
        for question in [
            #"{"id":7,"method":"ping"}"#, #"{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}"#,
            #"{"jsonrpc":2.0,"id":7,"method":"ping","params":null}"#,
        ] {
            let incoming = Self.read("data: \(question)\n\ndata: \(Self.answer)\n\n", type: "text/event-stream")
            guard case .message(.request(let request)) = incoming.first else {
                Issue.record("no request in \(question)")
                continue
            }
            #expect(request.id == 7)
            #expect(request.method == "ping")
        }
    }

    @Test func anErrorIsAcceptedWithOurIdWithNullAndWithoutOne() {
        for id in [#""id":31,"#, #""id":null,"#, ""] {
            #expect(
                Self.word(Self.read(#"{"jsonrpc":"2.0",\#(id)"error":{"code":-32602,"message":"m"}}"#))
                    == "error -32602")
        }
        #expect(Self.word(Self.read(#"{"id":30,"error":{"code":1,"message":"m"}}"#)) == "answer with the wrong id")
    }

    @Test func aBatchIsSearchedForTheAnswer() {
        let batch =
            #"[{"jsonrpc":"2.0","method":"notifications/message","params":{}},{"jsonrpc":"2.0","id":31,"result":{"a":1}}]"#
        #expect(Self.word(Self.read(batch)) == #"{"a":1}"#)
    }

    @Test func anErrorPageSaysNothingBeyondItsStatus() {
        #expect(Self.word(Self.read("<html>", status: 502, type: "text/html")) == "nothing")
        #expect(Self.word(Self.read("<html>", status: 404)) == "nothing")
        #expect(Self.word(Self.read("", status: 404, type: nil)) == "nothing")
        #expect(Self.word(Self.read("<html>", status: 200, type: "text/html")) == "unexpected content type")
        #expect(Self.word(Self.read("", status: 202, type: nil)) == "nothing")
    }

    static let stream = """
        : hello\r
        id: 1\r
        retry: 20\r
        data: \r
        \r
        event: message\r
        data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":31,"progress":1}}\r
        \r
        data: {"jsonrpc":"2.0","id":30,"result":{"wrong":true}}\r
        \r
        event: other\r
        data: {"jsonrpc":"2.0","id":31,"result":{"wrong":true}}\r
        \r
        event: message\r
        id: 2\r
        data: {"jsonrpc":"2.0",\r
        data: "id":31,"result":{"ok":true}}\r
        \r
        data: {"jsonrpc":"2.0","id":31,"result":{"late":true}}\r
        \r

        """

    @Test func aBufferedEventStreamIsReadToItsAnswer() {
        let incoming = Self.read(Self.stream, type: "text/event-stream")
        #expect(incoming.count == 2)
        guard case .message(.notification(let progress)) = incoming.first else {
            Issue.record("no notification")
            return
        }
        #expect(progress.method == MCPMethod.progress)
        #expect(Self.word(incoming) == #"{"ok":true}"#)
    }

    @Test func anEventStreamIsReadAtEverySplitPoint() {
        let bytes = Array(Self.stream.utf8)
        for split in 0...bytes.count {
            var reader = MessageResponseReader(id: 31, limit: 1 << 20)
            reader.head(status: 200, headers: [(name: "Content-Type", value: "text/event-stream; charset=utf-8")])
            var incoming = reader.chunk(ByteBuffer(bytes: bytes[..<split]))
            incoming += reader.chunk(ByteBuffer(bytes: bytes[split...]))
            incoming += reader.finish()
            #expect(incoming.count == 2)
            #expect(Self.word(incoming) == #"{"ok":true}"#)
            #expect(reader.lastEventID == "2")
            #expect(reader.retryMilliseconds == 20)
        }
    }

    @Test func aStreamWithoutAnAnswerSaysWhereItStopped() {
        var reader = MessageResponseReader(id: 31, limit: 1 << 20)
        reader.head(status: 200, headers: [(name: "Content-Type", value: "text/event-stream")])
        #expect(reader.chunk(ByteBuffer(string: "id: 7\nretry: 500\ndata:\n\n")).isEmpty)
        #expect(reader.finish().isEmpty)
        #expect(!reader.isAnswered)
        #expect(reader.lastEventID == "7")
        #expect(reader.retryMilliseconds == 500)
    }

    @Test func aStreamWithOnlyAForeignAnswerHasTheWrongId() {
        let incoming = Self.read("data: {\"id\":30,\"result\":{}}\n\n", type: "text/event-stream")
        #expect(Self.word(incoming) == "answer with the wrong id")
    }

    @Test func anEventBeyondTheLimitIsRefused() {
        var reader = MessageResponseReader(id: 31, limit: 64)
        reader.head(status: 200, headers: [(name: "Content-Type", value: "text/event-stream")])
        let incoming = reader.chunk(ByteBuffer(string: "data: " + String(repeating: "x", count: 200)))
        #expect(Self.word(incoming).hasPrefix("event stream"))
        #expect(reader.isAnswered)
    }

    @Test func aRequestOfTheServerIsHandedOut() {
        let incoming = Self.read(
            "data: {\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"ping\"}\n\ndata: \(Self.answer)\n\n",
            type: "text/event-stream")
        guard case .message(.request(let request)) = incoming.first else {
            Issue.record("no request")
            return
        }
        #expect(request.method == "ping")
        #expect(request.id == "q")
    }

    @Test func headersThatMatterAreKept() {
        var reader = MessageResponseReader(id: 31, limit: 1 << 20)
        let incoming = reader.whole(
            CurlResponse(
                status: 401,
                headers: [
                    (name: "SET-COOKIE", value: "a=1"), (name: "Set-Cookie", value: "b=2"),
                    (name: "WWW-Authenticate", value: "Bearer"), (name: "retry-after", value: "9"),
                    (name: "Mcp-Session-Id", value: "s"),
                ]))
        guard case .answer(let answer) = incoming.last else {
            Issue.record("no answer")
            return
        }
        #expect(answer.setCookies == ["a=1", "b=2"])
        #expect(answer.wwwAuthenticate == ["Bearer"])
        #expect(answer.retryAfter == "9")
        #expect(answer.sessionID == "s")
    }

    @Test func deepNestingInAResultIsAcceptedAndTooDeepRefused() {
        func nested(_ depth: Int) -> String {
            #"{"jsonrpc":"2.0","id":31,"result":{"a":"#
                + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "}}"
        }
        #expect(Self.word(Self.read(nested(100))).hasPrefix("{"))
        #expect(Self.word(Self.read(nested(1000))) == "not JSON: tooDeep")
    }
}
