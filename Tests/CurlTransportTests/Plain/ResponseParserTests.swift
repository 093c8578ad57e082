import NIOCore
import Testing

@testable import CurlTransport

/// Parser of responses, fed whole and byte by byte: both must give the same.
@Suite struct ResponseParserTests {
    /// What a parser makes of a connection's bytes.
    struct Reading: Equatable {
        var statuses: [Int] = []
        var bodies: [String] = []
        var isPersistent = true
        var fault: CurlError.Kind?
    }

    private static func read(_ text: String, isHead: Bool = false, inPiecesOf size: Int) -> Reading {
        var parser = ResponseParser()
        parser.reset(isHead: isHead)
        var reading = Reading()
        var body = ""
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            let piece = Array(bytes[start..<min(start + size, bytes.count)])
            piece.withUnsafeBytes { bytes in
                var position = 0
                do throws(ResponseError) {
                    while reading.fault == nil, let event = try parser.next(bytes, &position, limit: 4096) {
                        switch event {
                        case .head: reading.statuses.append(parser.status)
                        case .body(let range): body += String(decoding: bytes[range], as: UTF8.self)
                        case .end:
                            reading.bodies.append(body)
                            reading.isPersistent = parser.isPersistent
                            body = ""
                            parser.reset(isHead: isHead)
                        }
                    }
                } catch {
                    reading.fault = error.kind
                }
            }
            if reading.fault != nil { return reading }
        }
        if parser.endOfInput() {
            reading.bodies.append(body)
            reading.isPersistent = parser.isPersistent
        }
        return reading
    }

    private func read(_ text: String, isHead: Bool = false) -> Reading {
        let whole = Self.read(text, isHead: isHead, inPiecesOf: max(1, text.utf8.count))
        #expect(Self.read(text, isHead: isHead, inPiecesOf: 1) == whole)
        #expect(Self.read(text, isHead: isHead, inPiecesOf: 3) == whole)
        return whole
    }

    @Test func bodiesEndAsTheirHeadSays() {
        let text =
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
            + "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: 1\r\n\r\n"
            + "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n"
            + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end"
        let reading = read(text)
        #expect(reading.statuses == [200, 200, 204, 304, 200, 200])
        #expect(reading.bodies == ["hello", "abc0123456789", "", "", "", "to the end"])
        #expect(reading.fault == nil)
    }

    @Test func aResponseToHEADHasNoBody() {
        let reading = read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", isHead: true)
        #expect(reading.bodies == [""])
        #expect(reading.isPersistent)
    }

    @Test(
        arguments: [
            ("HTTP/1.1 200 OK\r\nConnection: close", false), ("HTTP/1.1 200 OK\r\nConnection: x, Close", false),
            ("HTTP/1.1 200 OK", true), ("HTTP/1.0 200 OK", false),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive", true),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive, close", false), ("HTTP/2 200", false),
        ]) func aConnectionStaysWhereBothSidesSaySo(_ head: String, _ stays: Bool)
    {
        #expect(read(head + "\r\nContent-Length: 0\r\n\r\n").isPersistent == stays)
    }

    @Test func lengthAndChunksTogetherAreReadAsChunksAndEndTheConnection() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        let reading = read(text)
        #expect(reading.bodies == ["ok"])
        #expect(!reading.isPersistent)
        let old = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        #expect(!read(old).isPersistent)
    }

    @Test(
        arguments: [
            "Content-Length: 1\r\nContent-Length: 2", "Content-Length: 1, 2", "Content-Length: -1",
            "Content-Length: +1", "Content-Length: 0x1", "Content-Length: 1 1", "Content-Length:", "Content-Length: ,",
            "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\u{0B}", "Transfer-Encoding: xchunked", " folded: first", "X: a\rb", "X: a\0b",
        ]) func framingOfTwoMeaningsIsAFault(_ lines: String)
    {
        #expect(read("HTTP/1.1 200 OK\r\n\(lines)\r\n\r\n").fault == .invalidResponse)
    }

    @Test(
        arguments: [
            "", "g", "0x1", "-1", "+1", " 1", "1 1", "1\r", "1\u{0B}", ";x=y", "1\0",
        ]) func aSizeOfAChunkIsHexadecimalDigits(_ size: String)
    {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(size)\r\na\r\n0\r\n\r\n"
        #expect(read(text).fault == .invalidResponse)
    }

    @Test(arguments: ["X: a", "X: a\r\n ", "Content-Encoding: "])
    func aHeaderOfNonASCIIBytesAloneIsAFault(_ line: String) {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
        let marks = { String(repeating: "\u{301}", count: $0) }
        #expect(read("\(head)\(line)\(marks(257))\r\n\r\n").fault == .invalidResponse)
        #expect(read("\(head)X: a\(marks(200))\r\n\r\n").fault == nil)
    }

    @Test func whatFollowsAChunkIsAnEmptyLine() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n"
        #expect(read(text).fault == .invalidResponse)
    }

    @Test func numbersThatFitNowhereAreTooLarge() {
        let large = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"
        #expect(read(large).fault == .tooLarge)
        let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n"
        #expect(read(chunk).fault == .tooLarge)
    }

    @Test func headsTrailersAndInterimResponsesAreBounded() {
        let line = "X: " + String(repeating: "x", count: 997) + "\r\n"
        let lines = String(repeating: line, count: 66)
        #expect(read("HTTP/1.1 200 OK\r\n" + lines).fault == .tooLarge)
        #expect(read("HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 70_000)).fault == .tooLarge)
        let trailers = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + lines
        #expect(read(trailers).fault == .tooLarge)
        let interim = String(repeating: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", count: 2000)
        #expect(read(interim).fault == .tooLarge)
    }

    @Test func chunkExtensionsAreBounded() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        let long = head + "1;" + String(repeating: "x", count: 5000) + "\r\na\r\n"
        #expect(read(long).fault == .invalidResponse)
        let chunk = "1;" + String(repeating: "x", count: 1000) + "\r\na\r\n"
        #expect(read(head + String(repeating: chunk, count: 20)).fault == .invalidResponse)
        // Short ones may come for ever.
        let fair = head + String(repeating: "1;x=y\r\na\r\n", count: 5000) + "0\r\n\r\n"
        #expect(read(fair).bodies == [String(repeating: "a", count: 5000)])
    }

    @Test func whatIsNotHTTPIsAFaultAtItsFirstByte() {
        #expect(read("\0").fault == .invalidResponse)
        #expect(read("HTTX").fault == .invalidResponse)
        #expect(read("HTTP").fault == nil)
    }
}
