import JSON
import TestSupport
import Testing

/// An answer that no request should get: a status, a content type, a body, and what becomes of the stream.
struct WrongAnswer: Sendable {
    let name: String
    /// Label with which a tool call fails that is answered like this.
    let label: String
    /// Makes the answer to a request with that id.
    let response: @Sendable (_ id: String) -> ScriptedResponse

    private init(_ name: String, _ label: String, _ response: @escaping @Sendable (String) -> ScriptedResponse) {
        self.name = name
        self.label = label
        self.response = response
    }

    private static let invalid = "upstream_invalid"
    private static let unreachable = "upstream_unreachable"
    private static let rejected = "upstream_rejected"
    private static let failed = "upstream_failed"
    private static let timeout = "upstream_timeout"

    private static func result(_ id: String, _ result: String = #"{"content":[]}"#) -> String {
        #"{"jsonrpc":"2.0","id":\#(id),"result":\#(result)}"#
    }

    private static func raw(_ text: String) -> ScriptedResponse { .raw(text, close: true) }

    static let all: [WrongAnswer] = [
        WrongAnswer("an empty document", invalid) { _ in .json("") },
        WrongAnswer("half a document", invalid) { id in .json(#"{"jsonrpc":"2.0","id":"# + id) },
        WrongAnswer("an array", invalid) { _ in .json("[]") },
        WrongAnswer("null", invalid) { _ in .json("null") },
        WrongAnswer("another id", invalid) { _ in .json(result("99999999")) },
        WrongAnswer("no result", invalid) { id in .json(#"{"jsonrpc":"2.0","id":\#(id)}"#) },
        WrongAnswer("a result that is no object", invalid) { id in .json(result(id, "7")) },
        WrongAnswer("a result and an error", rejected) { id in
            .json(#"{"jsonrpc":"2.0","id":\#(id),"result":{},"error":{"code":1,"message":"x"}}"#)
        },
        WrongAnswer("an error with a number beyond all types", invalid) { id in
            .json(#"{"jsonrpc":"2.0","id":\#(id),"error":{"code":99999999999999999999,"message":null}}"#)
        },
        WrongAnswer("nesting without end", invalid) { id in
            .json(result(id, String(repeating: #"{"a":"#, count: 20_000) + "1" + String(repeating: "}", count: 20_000)))
        },
        WrongAnswer("a page", invalid) { _ in
            raw("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>Welcome</html>")
        },
        WrongAnswer("more than the limit", invalid) { id in
            .json(result(id, #"{"text":"\#(String(repeating: "x", count: 2 << 20))"}"#))
        },
        WrongAnswer("an empty event stream", invalid) { _ in .events([]) },
        WrongAnswer("an event stream with comments alone", invalid) { _ in
            .events([(.zero, String(repeating: ": x\n\n", count: 1000))])
        },
        WrongAnswer("an event stream with rubbish", invalid) { _ in .events([(.zero, "data: {\n\ndata: }\n\n")]) },
        WrongAnswer("an event stream with another's answer", invalid) { _ in
            .events([(.zero, "data: \(result("1"))\n\n")])
        },
        WrongAnswer("an event stream that stays open", timeout) { _ in
            .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
                try await writer.write("id: 1\nretry: 1\ndata:\n\n")
                try await Task.sleep(for: .seconds(30))
            }
        },
        WrongAnswer("an event that is cut off", unreachable) { _ in
            .raw(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ndata: ",
                close: true)
        },
        WrongAnswer("202 without a body", invalid) { _ in .empty(202) },
        WrongAnswer("204", invalid) { _ in .empty(204) },
        WrongAnswer("a redirect to itself", invalid) { _ in .empty(307, headers: [("Location", "/mcp")]) },
        WrongAnswer("a redirect to another host", invalid) { _ in
            .empty(308, headers: [("Location", "http://127.0.0.1:1/mcp")])
        },
        WrongAnswer("401 with a long challenge", "unauthorized") { _ in
            .empty(401, headers: [("WWW-Authenticate", "Bearer " + String(repeating: "x", count: 10_000))])
        },
        WrongAnswer("403", "forbidden") { _ in .text("no", status: 403) },
        WrongAnswer("404", rejected) { _ in .empty(404) },
        WrongAnswer("429 for ever", "upstream_rate_limited") { _ in
            .empty(429, headers: [("Retry-After", "99999999999999999999")])
        },
        WrongAnswer("500 with a page", failed) { _ in .text("<html>oops</html>", status: 500) },
        WrongAnswer("503", failed) { _ in .empty(503, headers: [("Retry-After", "-1")]) },
        WrongAnswer("a status of its own", invalid) { _ in
            raw("HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n")
        },
        WrongAnswer("no HTTP", invalid) { _ in raw("SSH-2.0-OpenSSH_9.2\r\n") },
        WrongAnswer("two lengths", invalid) { _ in
            raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")
        },
        WrongAnswer("a chunk beyond all sizes", invalid) { _ in
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n{}")
        },
        WrongAnswer("a coding that it is not in", invalid) { id in
            .json(result(id), headers: [("Content-Encoding", "gzip")])
        },
        WrongAnswer("half of what is announced", unreachable) { _ in .closeMidBody() },
        WrongAnswer("a closed connection", unreachable) { _ in .closeBeforeResponse },
        WrongAnswer("a reset connection", unreachable) { _ in .resetBeforeResponse },
        WrongAnswer("silence", timeout) { _ in .hang },
    ]
}
