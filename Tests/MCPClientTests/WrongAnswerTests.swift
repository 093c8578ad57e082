import JSON
import MCP
import NIOCore
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

@testable import MCPClient

/// A server that answers each method with each of many wrong answers: calls end with the right failure after a bounded
/// number of requests, and nothing grows.
@Suite(.timeLimit(.minutes(3 * Sanitizer.slowness))) struct WrongAnswerTests {
    struct Wrong: Sendable, CustomTestStringConvertible {
        let name: String
        let response: @Sendable (JSONValue) -> ScriptedResponse
        /// What a call whose `tools/call` is answered like this fails with; nil: any failure, or none.
        var kinds: Set<MCPCallError.Kind> = [.invalid]
        var testDescription: String { name }
    }

    static func body(_ message: JSONValue, _ members: String) -> String {
        #"{"jsonrpc":"2.0","id":\#(message["id"]?.text ?? "null"),\#(members)}"#
    }

    private static func stream(_ text: String, staysOpen: Bool = false) -> ScriptedResponse {
        .produce(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
            try await writer.write(text)
            if staysOpen { try await Task.sleep(for: .seconds(3600)) }
        }
    }

    static let all: [Wrong] =
        [200, 202, 204, 302, 400, 401, 403, 404, 405, 406, 410, 418, 429, 500, 502, 503].map { status in
            Wrong(
                name: "an empty \(status)", response: { _ in .empty(status) },
                kinds: [
                    status < 400
                        ? .invalid
                        : status == 401
                            ? .unauthorized
                            : status == 403
                                ? .forbidden : status == 429 ? .rateLimited : status < 500 ? .rejected : .failed
                ])
        } + [
            Wrong(
                name: "HTML",
                response: { _ in
                    .whole(status: 200, headers: [("Content-Type", "text/html")], body: ByteBuffer(string: "<html>"))
                }),
            Wrong(name: "JSON that is no message", response: { _ in .json("[1,2]") }),
            Wrong(name: "half a document", response: { _ in .json(#"{"jsonrpc":"2.0""#) }),
            Wrong(name: "deep nesting", response: { _ in .json(String(repeating: "[", count: 5000)) }),
            Wrong(name: "another's answer", response: { _ in .json(#"{"jsonrpc":"2.0","id":77777777,"result":{}}"#) }),
            Wrong(name: "a result that is a number", response: { .json(body($0, #""result":7"#)) }),
            Wrong(name: "an error without a code", response: { .json(body($0, #""error":{}"#)) }),
            Wrong(
                name: "an error of the server",
                response: { .json(body($0, #""error":{"code":-32603,"message":"x"}"#)) }, kinds: [.rejected]),
            Wrong(name: "a huge code", response: { .json(body($0, #""error":{"code":1e400,"message":"x"}"#)) }),
            Wrong(name: "an empty stream", response: { _ in .events([]) }),
            Wrong(name: "a stream of comments", response: { _ in stream(": x\n\n: y\n\n") }),
            Wrong(name: "a stream with rubbish", response: { _ in stream("data: {\n\n") }),
            Wrong(name: "an open stream with rubbish", response: { _ in stream("data: {\n\n", staysOpen: true) }),
            Wrong(
                name: "an open stream with another's answer",
                response: { _ in stream("data: {\"id\":7,\"result\":{}}\n\n", staysOpen: true) },
                kinds: [.timeout, .invalid]),
            Wrong(
                name: "a silent open stream", response: { _ in stream(": x\n\n", staysOpen: true) },
                kinds: [.timeout, .invalid]),
            Wrong(name: "silence", response: { _ in .hang }, kinds: [.timeout, .unreachable]),
            Wrong(name: "a closed connection", response: { _ in .closeBeforeResponse }, kinds: [.unreachable]),
            Wrong(name: "half a body", response: { _ in .closeMidBody() }, kinds: [.unreachable]),
            Wrong(name: "no HTTP", response: { _ in .raw("220 mail\r\n\r\n", close: true) }),
            Wrong(name: "an odd status line", response: { _ in .raw("HTTP/1.1  200 OK\r\n\r\n", close: true) }),
            Wrong(
                name: "rubbish in gzip",
                response: { _ in
                    .whole(status: 200, headers: [("Content-Encoding", "gzip")], body: ByteBuffer(string: "no gzip"))
                }, kinds: [.invalid, .unreachable]),
            Wrong(name: "a redirect to itself", response: { _ in .empty(307, headers: [("Location", "/mcp")]) }),
            Wrong(
                name: "a redirect elsewhere",
                response: { _ in .empty(308, headers: [("Location", "http://127.0.0.1:1/x")]) }),
        ]

    static let methods = ["server/discover", "initialize", "notifications/initialized", "tools/list", "tools/call"]

    @Test(arguments: all, methods) func everyWrongAnswerEndsInABoundedNumberOfRequests(
        _ wrong: Wrong, _ method: String
    ) async throws {
        let rules = MCPCallerTests.rules { rules in
            rules.any = { _, message in message["method"]?.string == method ? wrong.response(message) : nil }
        }
        // Short enough for the silent ones; the others do not come near.
        let limit = TimeAmount.milliseconds(wrong.kinds.contains(.timeout) ? 400 : 20_000)
        try await MCPCallerTests().with(
            rules,
            change: { configuration in
                configuration.handshakeTimeout = wrong.kinds.contains(.timeout) ? .milliseconds(300) : .seconds(20)
                configuration.retryWindow = .milliseconds(50)
            }
        ) { server, harness in
            if method == "tools/list" {
                _ = try? await harness.refreshCatalog(within: limit)
            }
            let outcomes = try await [harness.call("write", timeout: limit), harness.call("write", timeout: limit)]
            // At the most the probe, each revision of `initialize`, the notification, and the call, each sent twice.
            #expect(server.http.requests.count <= 2 * 24, "\(server.methods)")
            #expect(server.executions.count <= 2, "a write never runs twice")
            if method == "tools/call" {
                for outcome in outcomes {
                    let failure = try outcome.problem
                    #expect(wrong.kinds.contains(failure.kind), "\(failure.kind): \(failure.detail)")
                }
            } else if method != "initialize", method != "server/discover" || !Self.isAboutTheCaller(wrong) {
                // The handshake and the list have ways around all of these.
                for outcome in outcomes { _ = try outcome.success }
            }
        }
    }

    private static func isAboutTheCaller(_ wrong: Wrong) -> Bool {
        ["401", "403", "429"].contains { wrong.name.hasSuffix($0) } || wrong.kinds.contains(.timeout)
    }
}
