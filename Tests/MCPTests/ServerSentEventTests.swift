import JSON
import Testing

@testable import MCP

@Suite("Event streams")
struct ServerSentEventTests {
    static func parse(_ bytes: [UInt8], limit: Int = 1 << 20) throws -> [ServerSentEvent] {
        var parser = SSEParser(maximumEventBytes: limit)
        return try parser.feed(bytes)
    }

    /// A stream with everything in it, lines ending with \n.
    static let stream =
        ": hello\n\nid: 1\nevent: message\ndata: {\"a\":1}\n\ndata: one\ndata:two\ndata\ndata:  three\n\nid: 2\nretry: 500\n\n"
        + "id: 3\ndata:\n\nevent: ping\n\nretry: x\nunknown: y\nid: bad\0id\ndata: é😀\n\nid\ndata: last\n\ndata: never ended\n"

    static let events = [
        ServerSentEvent(id: "1", data: #"{"a":1}"#),
        ServerSentEvent(data: "one\ntwo\n\n three"),
        ServerSentEvent(id: "2", data: "", hasData: false, retry: 500),
        ServerSentEvent(id: "3", data: ""),
        ServerSentEvent(data: "é😀"),
        ServerSentEvent(id: "", data: "last"),
    ]

    @Test("are parsed the same with each kind of line end, split at every point", arguments: ["\n", "\r", "\r\n"])
    func splits(lineEnd: String) throws {
        let bytes = Array(
            Self.stream.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: lineEnd).utf8)
        for split in 0...bytes.count {
            var parser = SSEParser()
            let events = try parser.feed(bytes[..<split]) + parser.feed(bytes[split...])
            #expect(events == Self.events, "split at \(split)")
            #expect(parser.lastEventID == "")
        }
    }

    @Test("are parsed the same byte by byte and in threes", arguments: [1, 3])
    func pieces(size: Int) throws {
        for lineEnd in ["\n", "\r", "\r\n"] {
            let text = Self.stream.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: lineEnd)
            let bytes = Array(text.utf8)
            var parser = SSEParser()
            var events: [ServerSentEvent] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                events += try parser.feed(bytes[start..<min(start + size, bytes.count)])
            }
            #expect(events == Self.events)
        }
    }

    @Test("a byte order mark is skipped at the start only, however split")
    func byteOrderMark() throws {
        let bytes: [UInt8] = [0xEF, 0xBB, 0xBF] + Array("data: a\n\n".utf8)
        for split in 0...bytes.count {
            var parser = SSEParser()
            #expect(try parser.feed(bytes[..<split]) + parser.feed(bytes[split...]) == [ServerSentEvent(data: "a")])
        }
        #expect(try Self.parse(Array("\n\u{FEFF}data: a\n\n".utf8)).isEmpty)
    }

    @Test("the last event id stays until another one comes")
    func lastEventID() throws {
        var parser = SSEParser()
        _ = try parser.feed(Array("id: 7\ndata: a\n\ndata: b\n\n".utf8))
        #expect(parser.lastEventID == "7")
        _ = try parser.feed(Array("id: 8\n".utf8))
        #expect(parser.lastEventID == "7", "not before the event ends")
        _ = try parser.feed(Array("\n".utf8))
        #expect(parser.lastEventID == "8")
    }

    @Test("events are bounded, however their bytes arrive")
    func bounds() throws {
        let data = "data: " + String(repeating: "x", count: 90)
        #expect(try Self.parse(Array((data + "\n\n").utf8), limit: 100).count == 1)
        #expect(throws: SSEError.eventTooLarge(limit: 90)) { try Self.parse(Array(data.utf8), limit: 90) }
        #expect(throws: SSEError.self) {
            try Self.parse(Array("data: \(String(repeating: "x", count: 60))\n".utf8) + Array(data.utf8), limit: 120)
        }
        var parser = SSEParser(maximumEventBytes: 50)
        #expect(throws: SSEError.self) {
            for _ in 0..<60 { _ = try parser.feed([0x78]) }
        }
        // Many small events are no large one.
        #expect(try Self.parse(Array(String(repeating: "data: 12345678\n\n", count: 100).utf8), limit: 50).count == 100)
    }

    @Test("invalid UTF-8 becomes replacement characters, as the standard wants")
    func invalidUTF8() throws {
        #expect(
            try Self.parse([0x64, 0x61, 0x74, 0x61, 0x3A, 0xFF, 0x0A, 0x0A]) == [ServerSentEvent(data: "\u{FFFD}")])
    }

    @Test("a retry beyond every integer is the largest one")
    func giantRetry() throws {
        #expect(
            try Self.parse(Array("retry: 99999999999999999999\ndata: a\n\n".utf8)) == [
                ServerSentEvent(data: "a", retry: .max)
            ])
    }

    @Test("an id too long to be sent back is none, a name is cut")
    func longFields() throws {
        let longest = String(repeating: "i", count: SSEParser.maximumIDBytes)
        var parser = SSEParser()
        _ = try parser.feed(Array("id: \(longest)\ndata: x\n\n".utf8))
        #expect(parser.lastEventID == longest)
        let events = try parser.feed(Array("id: \(longest)i\ndata: y\n\n".utf8))
        #expect(events == [ServerSentEvent(id: "", data: "y")])
        #expect(parser.lastEventID == "")
        let named = try Self.parse(Array("event: \(String(repeating: "e", count: 100_000))\ndata: z\n\n".utf8))
        #expect(named.first?.event.utf8.count == 1024)
    }

    @Test("a long line in small pieces is looked at once")
    func longLine() throws {
        var parser = SSEParser()
        let piece = [UInt8](repeating: 0x78, count: 64)
        _ = try parser.feed(Array("data: ".utf8))
        // Quadratic work over these would take minutes.
        var count = 0
        for _ in 0..<50_000 { count += try parser.feed(piece).count }
        #expect(count == 0)
        #expect(parser.heldBytes == 3_200_006)
        #expect(try parser.feed(Array("\n\n".utf8)).first?.data.utf8.count == 3_200_000)
        #expect(parser.heldBytes == 0)
    }

    @Test("what is written is parsed as it was meant")
    func writing() throws {
        let cases = [
            ServerSentEvent(data: #"{"jsonrpc":"2.0"}"#),
            ServerSentEvent(id: "5", event: "delta", data: "x", retry: 100),
            ServerSentEvent(id: "6", data: ""), ServerSentEvent(data: "a\nb\n\nc\n"), ServerSentEvent(data: "é"),
        ]
        for event in cases {
            let bytes = SSEWriter.event(
                data: event.data, event: event.event == "message" ? nil : event.event, id: event.id, retry: event.retry)
            #expect(try Self.parse(bytes) == [event])
        }
        #expect(try Self.parse(SSEWriter.event(data: "a\r\nb\rc")) == [ServerSentEvent(data: "a\nb\nc")])
        #expect(try Self.parse(SSEWriter.event(data: "x", id: "a\nb\r\0")) == [ServerSentEvent(id: "ab", data: "x")])
        #expect(try Self.parse(SSEWriter.comment("keep\nalive") + SSEWriter.comment()).isEmpty)
    }

    @Test("a message travels as one line of data")
    func message() throws {
        let message = JSONRPCMessage.notification(.init(method: "m", params: ["t": "a\nb"]))
        let bytes = SSEWriter.message(message, id: "1")
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "event: message\nid: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{\"t\":\"a\\nb\"}}\n\n"
        )
        let event = try #require(Self.parse(bytes).first)
        #expect(try JSONRPCMessage(JSONValue(parsing: event.data)) == message)
    }
}
