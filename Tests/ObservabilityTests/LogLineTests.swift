import Foundation
import JSON
import Logging
import TestSupport
import Testing

@testable import Observability

/// A line written by hand is the one that a logger writes of the same values.
@Suite struct LogLineTests {
    /// The lines of both, without their times.
    private func lines(
        redacting secrets: [String] = [], _ metadata: Logger.Metadata, _ fields: (inout LogLine) -> Void
    ) async throws -> (byHand: Substring, byLogger: Substring) {
        let pipe = try LogPipe()
        let output = LogOutput(fileDescriptor: pipe.writing)
        for secret in secrets { output.redact(secret) }
        AccessLog(label: "access", output: output).write(fields)
        output.logger("access").info("request", metadata: metadata)
        output.flush()
        pipe.closeWriting()
        let lines = await pipe.read().text.split(separator: "\n")
        try #require(lines.count == 2)
        let time = #"{"ts":"2026-07-28T09:30:00.123Z""#.count
        return (lines[0].dropFirst(time), lines[1].dropFirst(time))
    }

    private static let texts = [
        "", "plain", "with \"quotes\" and \\", "tab\tline\nfeed\u{0}", "\u{202E}gnp\u{9B}31m\u{7F}", "Grüße 😀 e\u{301}",
        "\u{FEFF}\u{2028}\u{E000}", String(repeating: "long", count: 500),
    ]

    @Test(arguments: texts) func text(_ text: String) async throws {
        let lines = try await lines(["a": "\(text)", "b": "\(text)"]) { line in
            line.add("a", text)
            line.add("b", text[...])
        }
        #expect(lines.byHand == lines.byLogger)
    }

    /// Bytes are looked at eight at a time, and those of short texts one by one.
    @Test func everyByteIsEscapedThatMustBeWhereverItStands() async throws {
        let pipe = try LogPipe()
        let output = LogOutput(fileDescriptor: pipe.writing, capacity: 4 << 20)
        let log = AccessLog(label: "access", output: output)
        var texts: [String] = []
        for length in [1, 7, 8, 9, 17] {
            for position in 0..<length {
                for code in UInt8(0)..<128 {
                    var bytes = [UInt8](repeating: UInt8(ascii: "a"), count: length)
                    bytes[position] = code
                    texts.append(String(decoding: bytes, as: UTF8.self))
                }
            }
        }
        let reading = pipe.read()
        for text in texts { log.write { $0.add("a", text) } }
        output.flush()
        pipe.closeWriting()
        let written = try await reading.lines.map { $0["a"]?.string }
        #expect(written == texts.map(\.escapedForLog))
    }

    @Test(arguments: [0, 7, 10, 99, 100, 1_234_567_890, .max, -1, .min]) func numbers(_ number: Int) async throws {
        let lines = try await lines(["a": .stringConvertible(number)]) { $0.add("a", number) }
        #expect(lines.byHand == lines.byLogger)
    }

    @Test(arguments: [0, 1, 10, 100, 120, 999, 1000, 1001, 1010, 1100, 59_000, 123_456, 9_007_199_254_740])
    func milliseconds(microseconds: Int) async throws {
        let number = Double(microseconds) / 1000
        let lines = try await lines(["a": .stringConvertible(number)]) {
            $0.add("a", milliseconds: .nanoseconds(microseconds * 1000 + 999))
        }
        #expect(lines.byHand == lines.byLogger)
    }

    @Test func otherValues() async throws {
        let trace = TraceContext(traceHigh: 0, traceLow: 0xAB, spanID: .max, isSampled: false)
        let lines = try await lines([
            "a": .stringConvertible(true), "b": .stringConvertible(false), "c": "\(trace.traceID)",
            "d": "\(trace.spanIDText)", "e": "192.0.2.255",
        ]) { line in
            line.add("a", true)
            line.add("b", false)
            line.add("c", hexadecimal: trace.traceHigh, trace.traceLow)
            line.add("d", hexadecimal: trace.spanID)
            line.add("e", octets: [192, 0, 2, 255])
        }
        #expect(lines.byHand == lines.byLogger)
    }

    @Test func whatARequestHasStandsInTheOrderOfTheKeys() async throws {
        let lines = try await lines([
            "http.status": .stringConvertible(200), "http.path": "/p", "http.method": "GET",
            "http.request_id": "id", "http.request_bytes": .stringConvertible(1),
            "http.response_bytes": .stringConvertible(2),
        ]) { $0.add(method: "GET", path: "/p", requestBytes: 1, requestID: "id", responseBytes: 2, status: 200) }
        #expect(lines.byHand == lines.byLogger)
    }

    /// However much a client sends, and whatever becomes of it by escaping.
    @Test(arguments: ["x", "\u{202E}", "e\u{301}\u{301}", "\u{10FFFF}", "\""]) func aLineIsBounded(_ piece: String)
        async throws
    {
        let text = String(repeating: piece, count: 10_000)
        let lines = try await lines(["http.path": "x"]) {
            $0.add(method: text, path: text[...], requestBytes: 1, requestID: "id", responseBytes: 2, status: 200)
        }
        #expect(lines.byHand.utf8.count < 4096)
        let shown = try #require(JSONValue(parsing: Array("{\"a\":0\(lines.byHand)".utf8))["http.path"]?.string)
        #expect(shown == String(text.unicodeScalars.prefix(256)).escapedForLog)
    }

    @Test func secretsAreReplacedTheLongestFirstAndBeforeTheCut() async throws {
        let path = String(repeating: "/", count: 250) + "s3cret-key-of-another"
        let lines = try await lines(
            redacting: ["s3cret-key", "s3cret-key-of-another", "short"],
            ["a": "s3cret-key", "b": "\(path)", "c": "short"]
        ) { line in
            line.add("a", "s3cret-key")
            line.add("b", path, limit: 256)
            line.add("c", "short")
        }
        #expect(!lines.byLogger.contains("another"))
        #expect(lines.byHand.contains(#","a":"<redacted>","b":"//"#))
        #expect(lines.byHand.contains(#"/<redac","c":"short"}"#))
    }

    @Test func secretsAreComparedByteByByte() {
        var redaction = Redaction()
        redaction.add("secr\u{E9}t-key")
        #expect(redaction.redacted("a secr\u{E9}t-key!") == "a <redacted>!")
        #expect(redaction.redacted("secre\u{301}t-key").utf8.elementsEqual("secre\u{301}t-key".utf8))
        // A combining mark makes one character of it and the secret's last: the secret is there all the same.
        #expect(redaction.redacted("secr\u{E9}t-key\u{301}").utf8.elementsEqual("<redacted>\u{301}".utf8))
        redaction.add("aabaab")
        #expect(redaction.redacted("aabaabaabaab aabaa") == "<redacted><redacted> aabaa")
    }

    @Test func aLevelThatIsNotWantedIsNotWritten() async throws {
        let pipe = try LogPipe()
        let output = LogOutput(fileDescriptor: pipe.writing, level: .warning)
        let log = AccessLog(label: "access", output: output)
        log.write { _ in Issue.record("is not written") }
        output.level = .debug
        log.write(level: .debug) { $0.add("a", 1) }
        output.flush()
        pipe.closeWriting()
        #expect(try await pipe.read().lines.map { $0["level"]?.string } == ["debug"])
    }
}
