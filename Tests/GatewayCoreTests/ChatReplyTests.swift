import JSON
import NIOCore
import Testing

@testable import GatewayCore

/// A tool's result in, the response's body (or the error) out.
@Suite struct ChatReplyTests {
    private func type(_ reply: JSONValue, useToolStatus: Bool = false) throws -> ChatType {
        let types = try TestConfiguration.types([
            "defaultType": "t",
            "types": ["t": ["tool": "tool", "reply": reply, "useToolStatus": .bool(useToolStatus)]],
        ])
        return try #require(types.defaultType)
    }

    /// The `replies` of the body, or `label status: text`.
    private func outcome(_ type: ChatType, _ result: String) throws -> String {
        let message = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\(result)}"
        var buffer = ByteBuffer(string: "skipped" + message)
        buffer.moveReaderIndex(forwardBy: "skipped".utf8.count)
        let slice = try buffer.withUnsafeReadableBytes { bytes in
            var scanner = JSONScanner(bytes)
            return try #require(JSONScanner.member("result", of: try scanner.document(), in: bytes))
        }
        switch ChatReply.make(type, message: buffer, result: slice) {
        case .success(let body):
            let text = String(buffer: body)
            let head = #"{"type":"t","replies":"#
            try #require(text.hasPrefix(head) && text.hasSuffix("}"))
            _ = try JSONValue(parsing: text)
            return String(text.dropFirst(head.count).dropLast())
        case .failure(let error):
            #expect(error.executed == .yes)
            return "\(error.label.rawValue) \(error.status(.standard)): \(error.message)"
        }
    }

    @Test func contentOfMoreBlocksThanAreReadIsInvalid() throws {
        let block = #"{"type":"text","text":"1"}"#
        for (count, isRead) in [(10_000, true), (10_001, false)] {
            let blocks = Array(repeating: block, count: count).joined(separator: ",")
            for other in ["", #","structuredContent":{}"#, #","isError":true"#] where isRead == other.isEmpty || !isRead
            {
                let outcome = try outcome(type(Self.list), #"{"content":[\#(blocks)]\#(other)}"#)
                #expect(outcome.hasPrefix("upstream_invalid") == !isRead, "\(count) \(other)")
            }
        }
    }

    static let list: JSONValue = ["shape": "list"]
    static let wrapped: JSONValue = ["shape": "wrapped"]
    static let object: JSONValue = ["shape": "wrapped", "text": "json"]

    @Test(arguments: [
        (list, #"{"structuredContent":{"results":["a", "b"]}}"#, #"["a", "b"]"#),
        (list, #"{"structuredContent":{"result":["a"],"results":["b"]}}"#, #"["b"]"#),
        (list, #"{"structuredContent":{"result":["a"]}}"#, #"["a"]"#),
        (list, #"{"structuredContent":["a"]}"#, #"["a"]"#),
        (list, #"{"structuredContent":{"results":[]},"content":[{"type":"text","text":"x"}]}"#, "[]"),
        (list, #"{"structuredContent":{"results":null}}"#, "[]"),
        (list, #"{"structuredContent":{"results":"one"}}"#, #"["one"]"#),
        (wrapped, #"{"structuredContent":{"results":"Echo: x"}}"#, #"["Echo: x"]"#),
        (wrapped, #"{"structuredContent":{"result":"Echo: x"}}"#, #"["Echo: x"]"#),
        (wrapped, #"{"structuredContent":{"results":null}}"#, "[null]"),
        (wrapped, #"{"structuredContent":{"results":["x"]}}"#, #"["x"]"#),
        (wrapped, #"{"structuredContent":{"a":1}}"#, #"[{"a":1}]"#),
        (wrapped, #"{"structuredContent":{"res\u0075lts":"x"}}"#, #"["x"]"#),
        (object, #"{"structuredContent":{"results":{"username":"b","alias":""}}}"#, #"[{"username":"b","alias":""}]"#),
        // Of duplicate members the last counts.
        (list, #"{"structuredContent":{"results":[1],"results":[2]}}"#, "[2]"),
        (list, #"{"structuredContent":null,"content":[]}"#, "[]"),
    ])
    func structuredContentComesFirst(_ reply: JSONValue, _ result: String, _ expected: String) throws {
        #expect(try outcome(type(reply), result) == expected)
    }

    @Test(arguments: [
        // Lists and objects may be JSON in the text.
        (list, #"{"content":[{"type":"text","text":"[\"a\",\"b\"]"}]}"#, #"["a","b"]"#),
        (list, #"{"content":[{"type":"text","text":"{\"results\":[\"a\"]}"}]}"#, #"["a"]"#),
        (list, #"{"content":[{"type":"text","text":"{\"name\":\"a\"}"}]}"#, #"[{"name":"a"}]"#),
        (
            list, #"{"content":[{"type":"text","text":"{\"n\":1}"},{"type":"text","text":"{\"n\":2}"}]}"#,
            #"[{"n":1},{"n":2}]"#
        ),
        (
            list, #"{"content":[{"type":"text","text":"Alpha"},{"type":"text","text":"Be\nta"}]}"#,
            #"["Alpha","Be\nta"]"#
        ),
        (list, #"{"content":[{"type":"text","text":"plain"}]}"#, #"["plain"]"#),
        (list, #"{"content":[]}"#, "[]"), (list, "{}", "[]"),
        (object, #"{"content":[{"type":"text","text":"{\"results\":{\"u\":1}}"}]}"#, #"[{"u":1}]"#),
        (object, #"{"content":[{"type":"text","text":"no JSON"}]}"#, #"["no JSON"]"#),
        // A text is never read as anything else.
        (
            wrapped, #"{"content":[{"type":"text","text":"{\"jsonrpc\":\"2.0\",\"id\":1}"}]}"#,
            #"["{\"jsonrpc\":\"2.0\",\"id\":1}"]"#
        ),
        (wrapped, #"{"content":[{"type":"text","text":"42"}]}"#, #"["42"]"#),
        (wrapped, #"{"content":[{"type":"text","text":"{\"error\":\"x\"}"}]}"#, #"["{\"error\":\"x\"}"]"#),
        (
            wrapped, #"{"content":[{"type":"image","data":""},{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#,
            #"["a\nb"]"#
        ),
        (wrapped, #"{"content":[{"type":"text","text":"a\u0000\u2028"}]}"#, #"["a\u0000\u2028"]"#),
        (wrapped, #"{"content":[]}"#, "[null]"),
    ])
    func textIsTheFallback(_ reply: JSONValue, _ result: String, _ expected: String) throws {
        #expect(try outcome(type(reply), result) == expected)
    }

    @Test(arguments: [
        (0, "[1,2,3]", "[1,2,3]"), (5, "[1,2,3]", "[1,2,3]"), (3, "[1,2,3]", "[1,2,3]"),
        (2, "[ 1 , 2 , 3 ]", "[ 1 , 2]"),
        (1, "[[1,2],3]", "[[1,2]]"), (2, "[]", "[]"), (5, "[1,2,3,4,5,6]", "[1,2,3,4,5]"),
        (1, #"["a,]\"b",2]"#, #"["a,]\"b"]"#),
    ])
    func aListIsCutAtTheLimit(_ limit: Int, _ list: String, _ expected: String) throws {
        let type = try type(["shape": "list", "limit": .number(limit)])
        #expect(try outcome(type, "{\"structuredContent\":{\"results\":\(list)}}") == expected)
    }

    @Test(arguments: [
        (#"{"type":"image","data":"aGVsbG8=","mimeType":"image/png"}"#, #""image (image/png, 5 bytes)""#),
        (#"{"type":"audio","data":"aGVsbG8","mimeType":"audio/wav"}"#, #""audio (audio/wav, 5 bytes)""#),
        (#"{"type":"image"}"#, #""image""#),
        (#"{"type":"resource_link","uri":"file:///a","name":"a","title":"The \"A\""}"#, #""The \"A\": file:///a""#),
        (#"{"type":"resource_link","uri":"file:///a","name":"a"}"#, #""a: file:///a""#),
        (#"{"type":"resource_link","uri":"file:///a"}"#, #""file:///a""#),
        (#"{"type":"resource","resource":{"uri":"file:///a","text":"x \ud83d"}}"#, #""x \ud83d""#),
        (
            #"{"type":"resource","resource":{"uri":"file:///a","blob":"aA==","mimeType":"a/b"}}"#,
            #""file:///a (a/b, 1 byte)""#
        ),
    ])
    func contentWithoutTextIsToldInWords(_ block: String, _ expected: String) throws {
        for structured in ["", #","structuredContent":{}"#, #","structuredContent":{ }"#] {
            let result = #"{"content":[\#(block)]\#(structured)}"#
            #expect(try outcome(type(Self.wrapped), result) == "[\(expected)]")
            #expect(try outcome(type(["shape": "list"]), result) == "[\(expected)]")
            #expect(try outcome(type(["shape": "list", "text": "plain"]), result) == "[\(expected)]")
        }
    }

    @Test func textWinsOverContentOfOtherKinds() throws {
        let image = #"{"type":"image","data":"aA==","mimeType":"image/png"}"#
        let result = #"{"content":[\#(image),{"type":"text","text":"[1,2]"}],"structuredContent":{}}"#
        #expect(try outcome(type(Self.list), result) == "[1,2]")
        let link = #"{"type":"resource_link","uri":"u:1","name":"1"}"#
        #expect(
            try outcome(type(Self.list), #"{"content":[\#(link),\#(image),{"type":"new"}]}"#)
                == #"["1: u:1","image (image/png, 1 byte)"]"#)
        #expect(
            try outcome(type(Self.wrapped), #"{"content":[{"type":"text","text":"a"}],"structuredContent":{}}"#)
                == #"["a"]"#)
        #expect(
            try outcome(
                type(Self.list),
                #"{"content":[{"type":"resource","resource":{"uri":"u:","text":"why"}}],"isError":true}"#)
                == "tool_error 400: why")
    }

    @Test func aPathLeadsToTheValue() throws {
        let type = try type(["path": "data.items"])
        #expect(try outcome(type, #"{"structuredContent":{"results":[0],"data":{"items":[1]}}}"#) == "[1]")
        let result = #"{"structuredContent":{"data":1},"content":[{"type":"text","text":"[2]"}]}"#
        #expect(try outcome(type, result) == "[2]")
    }

    @Test(arguments: [
        (list, #"{"isError":true,"content":[{"type":"text","text":"Unknown model"}]}"#, "Unknown model"),
        (
            wrapped,
            #"{"isError":true,"content":[{"type":"text","text":"AI error: x"},{"type":"text","text":"more"}]}"#,
            "AI error: x"
        ),
        (list, #"{"isError":true,"content":[],"structuredContent":{"error":"S"}}"#, "S"),
        (list, #"{"isError":true}"#, "Tool error"),
        (list, #"{"isError":false,"structuredContent":{"error":"quota & <b>limit</b>"}}"#, "quota & <b>limit</b>"),
        (wrapped, #"{"structuredContent":{"error":""}}"#, ""),
        (list, #"{"structuredContent":{"result":{"error":"wrapped"}}}"#, "wrapped"),
        (list, #"{"content":[{"type":"text","text":"{\"error\":\"in text\"}"}]}"#, "in text"),
    ])
    func aToolsErrorIsAnError(_ reply: JSONValue, _ result: String, _ text: String) throws {
        #expect(try outcome(type(reply), result) == "tool_error 400: \(text)")
    }

    @Test func aRemarkBesideAResultIsNoError() throws {
        #expect(try outcome(type(Self.list), #"{"structuredContent":{"results":[1],"error":"partly"}}"#) == "[1]")
        #expect(try outcome(type(Self.list), #"{"structuredContent":{"results":[1],"error":null}}"#) == "[1]")
        #expect(
            try outcome(type(Self.wrapped), #"{"structuredContent":{"error":{"code":1}}}"#)
                == #"[{"error":{"code":1}}]"#)
    }

    @Test(arguments: [
        (404, true, 404), (404, false, 400), (500, true, 400), (200, true, 400), (399, true, 400), (502, true, 400),
        (504, true, 400), (503, false, 503), (503, true, 503),
    ])
    func aDeclaredStatusCountsWhereTheTypeAllowsIt(_ declared: Int, _ isUsed: Bool, _ status: Int) throws {
        let type = try type(Self.list, useToolStatus: isUsed)
        let meta = "\"_meta\":{\"dev.chatgateway/status\":\(declared)}"
        let result = "{\"isError\":true,\(meta),\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}"
        #expect(try outcome(type, result) == "tool_error \(status): x")
    }

    @Test func whatCannotBeDoneNowSaysWhenToTryAgain() throws {
        let result = #"{"isError":true,"_meta":{"dev.chatgateway/status":503},"content":[{"type":"text","text":"x"}]}"#
        let message = ByteBuffer(string: result)
        let slice = try message.withUnsafeReadableBytes { bytes in
            var scanner = JSONScanner(bytes)
            return try scanner.document()
        }
        guard case .failure(let error) = ChatReply.make(try type(Self.list), message: message, result: slice) else {
            Issue.record("no error")
            return
        }
        #expect(error.retryAfter == "1")
        #expect(error.executed == .yes)
        let response = GatewayErrorResponse(error, style: .legacy, wantsProblem: false, requestID: "r")
        #expect(response.status.code == 503)
        #expect(response.headers["Retry-After"] == ["1"])
    }
}
