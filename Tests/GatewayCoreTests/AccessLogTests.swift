import CurlTransport
import Foundation
import JSON
import Observability
import TestSupport
import Testing

@testable import GatewayCore

/// The gateway's access log, from requests to lines.
@Suite struct AccessLogTests {
    /// The lines about requests that the body makes.
    private func lines(
        _ changes: JSONObject = [:], _ body: (TestGateway) async throws -> Void
    ) async throws -> [JSONValue] {
        let upstream = try await FakeToolServer { $0.tool == "ai_prompt" ? .error("no model") : .results("x") }
        defer { upstream.stop() }
        var changes = changes
        changes["accessLog"] = true
        let document = try TestConfiguration.document(upstream: upstream.url, changes)
        let pipe = try LogPipe()
        let output = LogOutput(fileDescriptor: pipe.writing)
        let test = try await TestGateway.start(logTo: output) { try TestConfiguration.read(document) }
        let reading = pipe.read()
        try await body(test)
        await test.stop()
        output.flush()
        pipe.closeWriting()
        return try await reading.lines.filter { $0["logger"] == "gateway.access" }
    }

    private func keys(_ line: JSONValue?) -> String { (line?.object?.keys.map { $0 } ?? []).joined(separator: " ") }

    private static let common = "ts level logger message"

    @Test func aCallsLineHasTheCallsPhases() async throws {
        let lines = try await lines { (test) async throws in
            let headers: CurlHeaders = [
                ("X-Request-Id", "mine"),
                ("traceparent", "00-\(String(repeating: "a", count: 32))-00f067aa0ba902b7-01"),
            ]
            #expect(try await test.chat(#"{"type":"chat","message":"x"}"#, headers: headers).status == 200)
        }
        let line = try #require(lines.first)
        #expect(lines.count == 1)
        #expect(
            keys(line) == """
                \(Self.common) client.address connect.ms duration_ms first_byte.ms http.method http.path \
                http.request_bytes http.request_id http.response_bytes http.status queue.ms route session.ms \
                session.reused tool trace.id type upstream upstream.era upstream.ms upstream.replays
                """)
        #expect(line["message"] == "request")
        #expect(line["level"] == "info")
        #expect(line["client.address"] == "127.0.0.1")
        #expect(line["http.method"] == "POST")
        #expect(line["http.path"] == "/api/chat/")
        #expect(line["http.request_id"] == "mine")
        #expect(line["http.status"]?.int == 200)
        #expect(line["route"] == "chat")
        #expect(line["session.reused"] == false)
        #expect(line["tool"] == "chat")
        #expect(line["trace.id"]?.string == String(repeating: "a", count: 32))
        #expect(line["type"] == "chat")
        #expect(line["upstream"] == "tools")
        #expect(line["upstream.era"] == "legacy")
        #expect(line["upstream.replays"]?.int == 0)
        for key in ["connect.ms", "duration_ms", "first_byte.ms", "session.ms", "upstream.ms"] {
            #expect(line[key]?.double.map { $0 >= 0 } == true, "\(key)")
        }
    }

    @Test func anErrorsLineHasItsLabel() async throws {
        let lines = try await lines { (test) async throws in
            #expect(try await test.chat(#"{"type":"ai_prompt","message":"x"}"#).status == 400)
            #expect(try await test.chat("{").status == 400)
            #expect(try await test.send("GET", "/none?query").status == 404)
        }
        #expect(lines.map { $0["error.label"]?.string } == ["tool_error", "invalid_json", "not_found"])
        #expect(
            keys(lines.last) == """
                \(Self.common) client.address duration_ms error.label http.method http.path http.request_bytes \
                http.request_id http.response_bytes http.status route
                """)
        #expect(lines.last?["http.path"] == "/none")
    }

    @Test func aHostilePathStaysInItsLine() async throws {
        let lines = try await lines { (test) async throws in
            let client = try RawSocketClient(port: test.port)
            await client.send("GET /\"\\\u{202E}\u{9B} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            _ = await client.receiveAll()
            #expect(try await test.send("GET", "/" + String(repeating: "x", count: 3000)).status == 404)
        }
        #expect(lines.allSatisfy { !$0.text.contains("\u{202E}") && !$0.text.contains("\u{9B}") })
        #expect(lines.last?["http.path"]?.string == "/" + String(repeating: "x", count: 255))
    }

    /// Under load, with a full pipe: every request is answered, and the lines that are missing are counted.
    @Test func aLogThatNobodyReadsHoldsNoRequestUp() async throws {
        let upstream = try await FakeToolServer { _ in .results("x") }
        defer { upstream.stop() }
        let document = try TestConfiguration.document(upstream: upstream.url, ["accessLog": true])
        let pipe = try LogPipe()
        let output = LogOutput(fileDescriptor: pipe.writing, capacity: 16 << 10)
        let test = try await TestGateway.start(logTo: output) { try TestConfiguration.read(document) }
        // Some 400 bytes each; the pipe takes 64 KiB, and the process keeps twice 16.
        let total = 600
        let answered = try await withThrowingTaskGroup(of: Int.self) { group in
            for client in 0..<6 {
                group.addTask {
                    var answered = 0
                    for _ in 0..<total / 6 {
                        let response =
                            client % 2 == 0
                            ? try await test.chat(#"{"message":"x"}"#)
                            : try await test.send("GET", "/none")
                        if [200, 404].contains(response.status) { answered += 1 }
                    }
                    return answered
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(answered == total)
        let metric = try await test.admin("/metrics").text.split(separator: "\n")
            .first { $0.hasPrefix("gateway_log_lines_dropped_total ") }
        #expect(metric?.split(separator: " ").last.flatMap { Int($0) }.map { $0 > 0 } == true)
        let reading = pipe.read()
        await test.stop()
        #expect(output.flush())
        pipe.closeWriting()
        let all = try await reading.lines
        let told = all.filter { $0["message"] == "log lines dropped" }.compactMap { $0["lines"]?.int }
        #expect(told.reduce(0, +) == output.droppedLines)
        let written = all.filter { $0["logger"] == "gateway.access" }.count
        #expect(written < total)
    }
}
