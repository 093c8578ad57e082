import JSON
import NIOPosix
import Observability
import TestSupport
import Testing
import ToolServerTestSupport

@testable import ToolServerCore

/// The tool-server's access log, from requests to lines.
@Suite struct AccessLogTests {
    /// Serves with a log that is read when the body is done.
    private func lines(
        _ output: LogOutput, _ pipe: LogPipe, _ body: (HTTPTestClient) async throws -> Void
    ) async throws -> [JSONValue] {
        let fixture = try await ToolFixture(provider: EchoProvider(), document: ["toolServer": ["port": 0]])
        let service = fixture.toolServer.httpService(group: MultiThreadedEventLoopGroup.singleton, log: output)
        let port = try #require(try await service.http.start().first?.port)
        try await body(HTTPTestClient("http://127.0.0.1:\(port)"))
        let reading = pipe.read()
        await service.drain()
        await fixture.toolServer.shutdown()
        #expect(output.flush())
        pipe.closeWriting()
        return try await reading.lines
    }

    @Test func aLineHasTheKeysOfTheGateways() async throws {
        let pipe = try LogPipe()
        let output = LogOutput(fileDescriptor: pipe.writing)
        let lines = try await lines(output, pipe) { client in
            let headers = [
                ("X-Request-Id", "mine"),
                ("traceparent", "00-\(String(repeating: "a", count: 32))-00f067aa0ba902b7-01"),
            ]
            #expect(try await client.post("/mcp/echo", #"{"message":"x"}"#, headers: headers).status == 200)
            #expect(try await client.get("/none", headers: [("Origin", "https://foreign.example")]).status == 403)
            let probe = #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#
            _ = try await client.post("/mcp/", probe, headers: [("Mcp-Method", "tools/list")])
        }
        let keys = lines.prefix(2).map { line in (line.object?.keys.map { $0 } ?? []).joined(separator: " ") }
        #expect(
            keys == [
                """
                ts level logger message client.address duration_ms http.method http.path http.request_bytes \
                http.request_id http.response_bytes http.status route trace.id
                """,
                """
                ts level logger message client.address duration_ms error.label http.method http.path \
                http.request_bytes http.request_id http.response_bytes http.status route
                """,
            ])
        let line = try #require(lines.first)
        #expect(line["logger"] == "tool-server")
        #expect(line["message"] == "request")
        #expect(line["client.address"] == "127.0.0.1")
        #expect(line["http.path"] == "/mcp/echo")
        #expect(line["http.request_id"] == "mine")
        #expect(line["http.status"]?.int == 200)
        #expect(line["trace.id"]?.string == String(repeating: "a", count: 32))
        #expect(lines[1]["error.label"] == "forbidden_origin")
        // A gateway's look at the tools is for debugging; one that was refused is not.
        #expect(lines.dropFirst(2).allSatisfy { $0["http.status"]?.int != 200 })
    }

    /// Under load, with a full pipe: every request is answered, and the lines that are missing are counted.
    @Test func aLogThatNobodyReadsHoldsNoRequestUp() async throws {
        let pipe = try LogPipe()
        let output = LogOutput(fileDescriptor: pipe.writing, capacity: 16 << 10)
        let total = 600
        let lines = try await lines(output, pipe) { client in
            let answered = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        var answered = 0
                        for _ in 0..<total / 6
                        where try await client.post("/mcp/echo", #"{"message":"x"}"#).status == 200 {
                            answered += 1
                        }
                        return answered
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(answered == total)
            #expect(output.droppedLines > 0)
        }
        let told = lines.filter { $0["message"] == "log lines dropped" }.compactMap { $0["lines"]?.int }
        #expect(told.reduce(0, +) == output.droppedLines)
    }
}
