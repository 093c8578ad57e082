import NIOCore
import NIOHTTP1
import Testing

@testable import HTTPServer

struct HTTPResponseHeadWriterTests {
    private func text(
        _ status: HTTPResponseStatus, _ headers: HTTPHeaders, length: HTTPResponseHeadWriter.ContentLength = .value(0),
        connection: StaticString? = nil, date: HTTPDateLine? = nil
    ) -> String {
        var buffer = ByteBuffer()
        HTTPResponseHeadWriter(status: status, headers: headers)
            .write(to: &buffer, length: length, connection: connection, date: date, reserving: 0)
        return String(buffer: buffer)
    }

    @Test func writesStatusHeadersAndFraming() {
        #expect(
            text(.ok, ["X-A": "b", "Content-Type": "text/plain"], length: .value(120), connection: "close")
                == "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Type: text/plain\r\nContent-Length: 120\r\n"
                + "Connection: close\r\n\r\n")
        #expect(text(.conflict, [:], length: .chunked) == "HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(
            text(.custom(code: 499, reasonPhrase: "Gone\r\nX: y"), [:], length: .omitted)
                == "HTTP/1.1 499 Gone  X: y\r\n\r\n")
        // A number that no status has is written, not trapped on.
        #expect(
            text(.custom(code: .max, reasonPhrase: ""), [:], length: .omitted).hasPrefix("HTTP/1.1 \(Int.max) "))
    }

    /// RFC 9110 section 5.5: CR, LF and NUL in a value would otherwise start another header or the body.
    @Test(arguments: ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\0b", "a\r\n\r\n<html>", "\u{7F}"])
    func controlCharactersInValuesBecomeSpaces(value: String) {
        let written = text(.ok, ["X-A": value])
        #expect(written.components(separatedBy: "\r\n").count == 5)
        #expect(written.hasSuffix("\r\nContent-Length: 0\r\n\r\n"))
        #expect(!written.contains("\0") && !written.contains("\u{7F}"))
        #expect(!written.contains("\r\nX-Evil"))
    }

    @Test(arguments: ["X A", "X\r\nY", "X:", "", "Ä"])
    func headersWithImpossibleNamesAreLeftOut(name: String) {
        #expect(text(.ok, [name: "v", "B": "c"]) == "HTTP/1.1 200 OK\r\nB: c\r\nContent-Length: 0\r\n\r\n")
    }

    @Test func framingAndConnectionHeadersOfTheHandlerAreNotCopied() {
        let headers: HTTPHeaders = [
            "content-length": "99", "Transfer-Encoding": "gzip", "Connection": "Upgrade, Close", "Keep-Alive": "x",
            "Upgrade": "h2c", "Proxy-Connection": "x",
        ]
        #expect(text(.ok, headers, length: .value(1)) == "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
        let control = HTTPResponseHeadWriter(status: .ok, headers: headers).control()
        #expect(control.contentLength == 99)
        #expect(control.asksToClose)
        #expect(!control.hasDate)
    }

    @Test(arguments: ["-1", "+1", "1x", ""])
    func aLengthThatIsNoneIsIgnored(value: String) {
        #expect(HTTPResponseHeadWriter(status: .ok, headers: ["Content-Length": value]).control().contentLength == nil)
    }

    @Test func datesAreInternetMessageDates() throws {
        var date = HTTPDateLine()
        date.update()
        let written = text(.ok, [:], date: date)
        let line = try #require(written.components(separatedBy: "\r\n").first { $0.hasPrefix("Date: ") })
        #expect(line.wholeMatch(of: /Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/) != nil)
    }
}

extension String {
    fileprivate func components(separatedBy separator: String) -> [String] {
        var parts: [String] = []
        var rest = Substring(self)
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}
