import NIOCore
import NIOHTTP1
import Testing

@testable import HTTPServer

struct HTTPRequestParserTests {
    private func parser() -> HTTPRequestParser {
        HTTPRequestParser(maximumHeaderBytes: 1024, maximumHeaderCount: 8)
    }

    private func head(_ text: String) throws -> HTTPParsedRequest? {
        var parser = parser()
        var buffer = ByteBuffer(string: text)
        return try parser.nextHead(&buffer)
    }

    /// The whole body as text, fed in pieces of `step` bytes.
    private func body(_ text: String, step: Int) throws -> (body: String, trailers: HTTPHeaders?, left: Int)? {
        var parser = parser()
        var buffer = ByteBuffer()
        var result = ""
        var isHeadRead = false
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: step) {
            buffer.writeBytes(bytes[start..<min(start + step, bytes.count)])
            if !isHeadRead {
                guard try parser.nextHead(&buffer) != nil else { continue }
                isHeadRead = true
            }
            while let event = try parser.nextBodyEvent(&buffer) {
                switch event {
                case .chunk(let chunk): result += String(buffer: chunk)
                case .end(let trailers):
                    return (result, trailers, buffer.readableBytes + bytes.count - min(start + step, bytes.count))
                }
            }
        }
        return nil
    }

    @Test func readsAPlainRequest() throws {
        let request = try #require(
            try head("POST /api/chat/?a=1 HTTP/1.1\r\nHost: x:80\r\nX-A:  b c\t \r\nContent-Length: 5\r\n\r\nhello"))
        #expect(request.head.method == .POST)
        #expect(request.head.uri == "/api/chat/?a=1")
        #expect(request.head.version == .http1_1)
        #expect(request.head.headers["x-a"] == ["b c"])
        #expect(request.framing == .length(5))
        #expect(request.keepAlive)
        #expect(!request.expectsContinue)
    }

    @Test func needsEveryByteOfTheHead() throws {
        let text = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        var parser = parser()
        var buffer = ByteBuffer()
        for byte in text.utf8.dropLast() {
            buffer.writeInteger(byte)
            #expect(try parser.nextHead(&buffer) == nil)
        }
        buffer.writeInteger(UInt8(ascii: "\n"))
        #expect(try parser.nextHead(&buffer)?.head.uri == "/")
        #expect(buffer.readableBytes == 0)
    }

    @Test func leavesThePipelinedRequestInTheBuffer() throws {
        var parser = parser()
        var buffer = ByteBuffer(string: "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(try parser.nextHead(&buffer)?.head.uri == "/1")
        #expect(try parser.nextBodyEvent(&buffer) == .end(trailers: nil))
        #expect(try parser.nextHead(&buffer)?.head.uri == "/2")
        #expect(buffer.readableBytes == 0)
    }

    @Test func skipsTwoEmptyLinesBeforeARequest() throws {
        let parser = parser()
        var buffer = ByteBuffer(string: "\r\n\r\n\r\nG")
        parser.skipEmptyLines(&buffer)
        #expect(String(buffer: buffer) == "\r\nG")
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: foo , CLOSE\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false),
    ])
    func knowsWhetherTheConnectionPersists(text: String, expected: Bool) throws {
        #expect(try head(text)?.keepAlive == expected)
    }

    /// Shapes that two parsers may read differently, and plain nonsense.
    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x,y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\u{7F}b\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n\n",
        "GET / HTTP/1.1\r\nHost: x\nX: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n: value\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX\u{B}: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX(y): a\r\n\r\n",
        // To compare such a value takes time that grows with the square of its length.
        "GET / HTTP/1.1\r\nHost: x\r\nX: a" + String(repeating: "\u{301}", count: 257) + "\r\n\r\n",
        "GET /a" + String(repeating: "\u{301}", count: 257) + " HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \u{B}chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        "GET / http/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.10\r\nHost: x\r\n\r\n",
        "GET /\r\nHost: x\r\n\r\n",
        "GET\r\n\r\n",
        "GET x HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://u@h/a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /#f HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\u{1} HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
        " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ])
    func refusesWhatIsAmbiguous(text: String) throws {
        let error = #expect(throws: HTTPError.self) { try head(text) }
        guard case .malformed = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func refusesATargetThatIsNoUTF8() throws {
        var parser = parser()
        var buffer = ByteBuffer(string: "GET /")
        buffer.writeInteger(UInt8(0xFF))
        buffer.writeString(" HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(throws: HTTPError.malformed("invalid request target")) { try parser.nextHead(&buffer) }
    }

    @Test func takesHostFromAnAbsoluteTarget() throws {
        let request = try #require(try head("GET http://a.example:81?q=1 HTTP/1.1\r\nHost: other\r\n\r\n"))
        #expect(request.head.uri == "/?q=1")
        #expect(request.head.headers["host"] == ["a.example:81"])
        #expect(try head("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")?.head.uri == "*")
    }

    @Test func letsUnknownMethodsThrough() throws {
        #expect(try head("brew / HTTP/1.1\r\nHost: x\r\n\r\n")?.head.method == .RAW(value: "brew"))
        #expect(try head("get / HTTP/1.1\r\nHost: x\r\n\r\n")?.head.method == .RAW(value: "get"))
        #expect(try head("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n")?.head.method == .DELETE)
    }

    @Test func limitsBytesAndFieldsOfTheHead() throws {
        let field = "X: " + String(repeating: "a", count: 1024)
        #expect(throws: HTTPError.headersTooLarge) { try head("GET / HTTP/1.1\r\nHost: x\r\n\(field)\r\n\r\n") }
        // Before its end is known, too.
        #expect(throws: HTTPError.headersTooLarge) { try head("GET / HTTP/1.1\r\nHost: x\r\n\(field)") }
        #expect(throws: HTTPError.headersTooLarge) { try head("GET /" + String(repeating: "a", count: 1024)) }
        let seven = String(repeating: "X: y\r\n", count: 7)
        #expect(try head("GET / HTTP/1.1\r\nHost: x\r\n\(seven)\r\n") != nil)
        #expect(throws: HTTPError.headersTooLarge) { try head("GET / HTTP/1.1\r\nHost: x\r\n\(seven)X: y\r\n\r\n") }
    }

    @Test func tellsWhatItCanOfARefusedHead() {
        let known = parser().partialHead(ByteBuffer(string: "POST /a?b HTTP/1.1\r\nHost : x\r\n"))
        #expect(known?.method == .POST)
        #expect(known?.uri == "/a?b")
        #expect(parser().partialHead(ByteBuffer(string: "POST /a?b HTT")) == nil)
    }

    @Test(arguments: [1, 2, 3, 7, 1000])
    func readsAChunkedBodySplitAnywhere(step: Int) throws {
        let text =
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
            + "5\r\nhello\r\n00A;name=\"v\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET"
        let result = try #require(try body(text, step: step))
        #expect(result.body == "hello0123456789")
        #expect(result.trailers?["x-sum"] == ["1"])
        #expect(result.left == 3)
    }

    @Test(arguments: [1, 4, 1000])
    func readsABodyOfKnownLength(step: Int) throws {
        let result = try #require(
            try body("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET", step: step))
        #expect(result.body == "hello")
        #expect(result.left == 3)
    }

    @Test(arguments: [
        "z\r\n", "-1\r\n", "0x5\r\n", " 5\r\nhello\r\n", "5 \r\nhello\r\n", "5\nhello\r\n", "5\r\nhelloX",
        "5\r\nhello\n",
        "5\r\nhello\rX", "5;a\u{1}\r\nhello\r\n", "FFFFFFFFFFFFFFFFF\r\n", "\r\n", ";a\r\n", "0\r\nX : y\r\n\r\n",
        "0\r\n x\r\n\r\n", "0\r\nX: y\n\r\n", "5;" + String(repeating: "a", count: 2000),
    ])
    func refusesBrokenChunks(chunks: String) {
        #expect(throws: HTTPError.self) {
            try body("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, step: 1000)
        }
    }

    @Test func limitsTrailersAndChunkExtensions() {
        let start = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        let extensions = String(repeating: "1;\(String(repeating: "e", count: 100))\r\na\r\n", count: 20)
        #expect(throws: HTTPError.headersTooLarge) { try body(start + extensions, step: 1000) }
        let trailers = String(repeating: "X: \(String(repeating: "y", count: 200))\r\n", count: 6)
        #expect(throws: HTTPError.headersTooLarge) { try body(start + "0\r\n" + trailers, step: 1000) }
    }
}
