import Glibc
import HTTPSyntax
import NIOCore
import NIOHTTP1

/// Framing of a response's body.
enum HTTPResponseFraming: Equatable {
    /// For HEAD, 204 and 304: bytes that the handler writes are dropped.
    case none
    case length(remaining: Int)
    case chunked
    case untilClose
}

/// Writer of response heads directly into a buffer.
struct HTTPResponseHeadWriter {
    let status: HTTPResponseStatus
    let headers: HTTPHeaders

    /// Framing and connection headers of the handler, which are never copied.
    struct Control {
        var contentLength: Int?
        var asksToClose = false
        var hasDate = false
    }

    enum ContentLength {
        case omitted
        case value(Int)
        case chunked
    }

    func control() -> Control {
        var control = Control()
        for (name, value) in headers {
            switch Self.special(name) {
            case .contentLength:
                if let length = Int(value), length >= 0, value.utf8.first != UInt8(ascii: "+") {
                    control.contentLength = length
                }
            case .connection:
                if value.listElements.contains(where: { HTTPSyntax.name($0, is: "close") }) {
                    control.asksToClose = true
                }
            case .date: control.hasDate = true
            case .hopByHop, nil: break
            }
        }
        return control
    }

    /// - Parameter connection: Value of the `Connection` header: `close`, `keep-alive`, or nil for none.
    func write(
        to buffer: inout ByteBuffer, length: ContentLength, connection: StaticString?, date: HTTPDateLine?,
        reserving bodyBytes: Int
    ) {
        var size = 192 + status.reasonPhrase.utf8.count
        for (name, value) in headers { size += name.utf8.count + value.utf8.count + 4 }
        buffer.reserveCapacity(minimumWritableBytes: size + bodyBytes)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { pointer in
            var output = Output(pointer)
            if let line = Self.statusLine(status) {
                output.append(line)
            } else {
                output.append("HTTP/1.1 ")
                output.append(decimal: Int(clamping: status.code))
                output.append(" ")
                output.append(value: status.reasonPhrase)
                output.append("\r\n")
            }
            for (name, value) in headers where Self.special(name) == nil || Self.special(name) == .date {
                let start = output.count
                output.append(raw: name)
                guard HTTPSyntax.isToken(output.written(from: start)) else {
                    output.count = start
                    continue
                }
                output.append(": ")
                output.append(value: value)
                output.append("\r\n")
            }
            switch length {
            case .omitted: break
            case .value(let count):
                output.append("Content-Length: ")
                output.append(decimal: count)
                output.append("\r\n")
            case .chunked: output.append("Transfer-Encoding: chunked\r\n")
            }
            if let date { output.append(date) }
            if let connection {
                output.append("Connection: ")
                output.append(connection)
                output.append("\r\n")
            }
            output.append("\r\n")
            return output.count
        }
    }

    private enum Special {
        case contentLength, connection, date, hopByHop
    }

    private static func special(_ name: String) -> Special? {
        func matches(_ lowercase: StaticString) -> Bool { HTTPSyntax.name(name, is: lowercase) }
        switch name.utf8.count {
        case 4: return matches("date") ? .date : nil
        case 7: return matches("upgrade") ? .hopByHop : nil
        case 10: return matches("connection") ? .connection : matches("keep-alive") ? .hopByHop : nil
        case 14: return matches("content-length") ? .contentLength : nil
        case 16: return matches("proxy-connection") ? .hopByHop : nil
        case 17: return matches("transfer-encoding") ? .hopByHop : nil
        default: return nil
        }
    }

    private static func statusLine(_ status: HTTPResponseStatus) -> StaticString? {
        switch status {
        case .ok: "HTTP/1.1 200 OK\r\n"
        case .accepted: "HTTP/1.1 202 Accepted\r\n"
        case .noContent: "HTTP/1.1 204 No Content\r\n"
        case .badRequest: "HTTP/1.1 400 Bad Request\r\n"
        case .notFound: "HTTP/1.1 404 Not Found\r\n"
        case .badGateway: "HTTP/1.1 502 Bad Gateway\r\n"
        default: nil
        }
    }

    /// Unchecked output into space whose size `write` has computed before.
    private struct Output {
        let pointer: UnsafeMutableRawBufferPointer
        var count = 0

        init(_ pointer: UnsafeMutableRawBufferPointer) { self.pointer = pointer }

        func written(from start: Int) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: pointer[start..<count])
        }

        mutating func append(_ text: StaticString) {
            copy(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        }

        mutating func append(raw text: String) {
            var text = text
            text.withUTF8 { copy(UnsafeRawBufferPointer($0)) }
        }

        /// Appends a value. Control characters become spaces, so that a value cannot start another header or a body.
        mutating func append(value: String) {
            let start = count
            append(raw: value)
            for index in start..<count where HTTPSyntax.isForbiddenInValue(pointer[index]) { pointer[index] = 0x20 }
        }

        mutating func append(decimal value: Int) {
            if value >= 10 { append(decimal: value / 10) }
            pointer[count] = UInt8(truncatingIfNeeded: 0x30 + value % 10)
            count += 1
        }

        mutating func append(_ date: HTTPDateLine) {
            date.bytes.withUnsafeBytes { copy($0) }
        }

        private mutating func copy(_ bytes: UnsafeRawBufferPointer) {
            precondition(count + bytes.count <= pointer.count)
            UnsafeMutableRawBufferPointer(rebasing: pointer[count...]).copyMemory(from: bytes)
            count += bytes.count
        }
    }
}

/// The line `Date: …CRLF` (RFC 9110 section 5.6.7), rendered at most once a second.
struct HTTPDateLine {
    private(set) var bytes: [UInt8] = []
    private var second: time_t = -1

    mutating func update() {
        var now = time(nil)
        guard now != second else { return }
        second = now
        var parts = tm()
        gmtime_r(&now, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let text =
            "Date: \(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) "
            + "\(parts.tm_year + 1900) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT\r\n"
        bytes = Array(text.utf8)
    }
}
