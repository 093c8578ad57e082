import Foundation
import GatewayCore
import JSON
import MCP
import NIOCore

/// Times the parts of the hot path that read and write text, one by one.
///
/// `Microbenchmarks GATEWAY.JSON` prints a Markdown table. Allocations are counted when the process runs with
/// libMallocCount.so preloaded.
@main
enum Microbenchmarks {
    static func main() throws {
        guard CommandLine.arguments.count == 2 else {
            print("usage: Microbenchmarks GATEWAY.JSON")
            exit(EXIT_FAILURE)
        }
        let configuration = try GatewayConfigurationFile(path: CommandLine.arguments[1], environment: [:]).load()
        let map = TypeMap(configuration.chat, upstreams: configuration.upstreams)
        guard let type = map["search_any"] else {
            print("the configuration has no type search_any")
            exit(EXIT_FAILURE)
        }
        var rows = ["| part | bytes | ns | MB/s | allocations |", "|---|---|---|---|---|"]
        func measure(_ name: String, bytes: Int, _ body: () -> Bool) {
            let sample = Sample(body)
            let speed = sample.nanoseconds > 0 ? Double(bytes) * 1000 / sample.nanoseconds : 0
            let allocations = sample.allocations.map { String(format: "%.1f", $0) } ?? "–"
            rows.append(
                String(format: "| %@ | %d | %.0f | %.0f | %@ |", name, bytes, sample.nanoseconds, speed, allocations))
        }

        let payload = ByteBuffer(string: Texts.payload)
        let answer = ByteBuffer(string: Texts.answer)
        measure("scanner: the answer of a tool, validated", bytes: answer.readableBytes) {
            answer.withUnsafeReadableBytes { bytes in
                var scanner = JSONScanner(bytes)
                return (try? scanner.document()) != nil
            }
        }
        var translator = ChatTranslator(map)
        measure("translator: payload to arguments", bytes: payload.readableBytes) {
            if case .success = translator.translate(payload) { true } else { false }
        }
        let result = answer.withUnsafeReadableBytes { bytes -> JSONSlice? in
            var scanner = JSONScanner(bytes)
            guard let document = try? scanner.document() else { return nil }
            return JSONScanner.member("result", of: document, in: bytes)
        }
        if let result {
            measure("translator: result to reply", bytes: answer.readableBytes) {
                if case .success = ChatReply.make(type, message: answer, result: result) { true } else { false }
            }
        }
        let event = Array("event: message\nid: 7\ndata: \(Texts.answer)\n\n".utf8)
        var parser = SSEParser()
        measure("SSE parser: the answer as an event", bytes: event.count) {
            event.withUnsafeBytes { (try? parser.feed($0))?.count == 1 }
        }
        let progress = Array(String(repeating: "data: \(Texts.progress)\n\n", count: 100).utf8)
        measure("SSE parser: 100 progress notifications", bytes: progress.count) {
            progress.withUnsafeBytes { (try? parser.feed($0))?.count == 100 }
        }
        print(rows.joined(separator: "\n"))
    }
}

/// What one turn of a body costs: the fastest of several runs, since whatever else the machine does only adds.
private struct Sample {
    var nanoseconds = Double.infinity
    /// nil when nobody counts.
    var allocations: Double?

    init(_ body: () -> Bool) {
        precondition(body(), "the body does not do what is measured")
        let clock = ContinuousClock()
        var turns = 1
        while Self.time(clock, turns, body) < .milliseconds(20) { turns *= 2 }
        for _ in 0..<9 {
            let time = Self.time(clock, turns, body).components
            let total = Double(time.seconds) * 1e9 + Double(time.attoseconds) / 1e9
            nanoseconds = min(nanoseconds, total / Double(turns))
        }
        guard let count = Self.count else { return }
        let before = count()
        for _ in 0..<1000 { _ = body() }
        allocations = Double(count() - before) / 1000
    }

    private static func time(_ clock: ContinuousClock, _ turns: Int, _ body: () -> Bool) -> Duration {
        clock.measure { for _ in 0..<turns { _ = body() } }
    }

    private typealias Count = @convention(c) () -> UInt64
    private static let count: Count? = dlsym(nil, "malloc_count").map { unsafeBitCast($0, to: Count.self) }
}

private enum Texts {
    static let payload = #"{"type":"search_any","model":"projects","query":"urgent"}"#
    /// What the fixed upstream answers.
    static let answer =
        #"{"jsonrpc":"2.0","id":31,"result":{"content":[{"type":"text","text":"{\"results\":[{\"name\":\"Urgent Migration Q2\",\"url\":\"/psm/project/1/\"},{\"name\":\"Urgent Audit Q2\",\"url\":\"/psm/project/2/\"},{\"name\":\"Urgent Rollout Q2\",\"url\":\"/psm/project/3/\"},{\"name\":\"Urgent Portal Q2\",\"url\":\"/psm/project/4/\"},{\"name\":\"Urgent Forecast Q2\",\"url\":\"/psm/project/5/\"}]}"}],"structuredContent":{"results":[{"name":"Urgent Migration Q2","url":"/psm/project/1/"},{"name":"Urgent Audit Q2","url":"/psm/project/2/"},{"name":"Urgent Rollout Q2","url":"/psm/project/3/"},{"name":"Urgent Portal Q2","url":"/psm/project/4/"},{"name":"Urgent Forecast Q2","url":"/psm/project/5/"}]},"isError":false}}"#
    static let progress =
        #"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":31,"progress":4,"message":"and so on"}}"#
}
