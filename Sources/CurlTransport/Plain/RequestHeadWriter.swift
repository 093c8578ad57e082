import Glibc
import NIOCore

/// Writer of request heads (RFC 9112 §3), into memory that is reused for the next request. Confined to the event loop.
struct RequestHeadWriter {
    /// Framing of the request's body.
    enum Framing {
        case none, length(Int), chunked
    }

    private var memory: UnsafeMutableRawBufferPointer
    private var count = 0

    init() { memory = .allocate(byteCount: 4096, alignment: 1) }

    func deallocate() { memory.deallocate() }

    /// Bytes that were written.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<count]) }

    /// Writes a head, and the body behind it where there is one.
    mutating func write(_ request: CurlRequest, _ target: PlainTarget, framing: Framing, body: ByteBuffer?) {
        let headers = request.headers
        // Each line grows by a byte at most; 128 bytes are enough for the lines that are added here.
        reserve(
            request.method.utf8.count + target.line.count + target.host.count + headers.bytes.count
                + headers.lines.count + 128 + (body?.readableBytes ?? 0))
        append(request.method)
        target.line.withUnsafeBytes { append($0) }
        if !headers.lines.contains(where: { Self.isHost($0, headers) }) { target.host.withUnsafeBytes { append($0) } }
        if !append(headers) { append("Accept-Encoding: identity\r\n") }
        switch framing {
        case .none: append("\r\n")
        case .length(let length):
            append("Content-Length: ")
            append(decimal: length)
            append("\r\n\r\n")
        case .chunked: append("Transfer-Encoding: chunked\r\n\r\n")
        }
        body?.withUnsafeReadableBytes { append($0) }
    }

    private static func isHost(_ line: CurlHeaders.Line, _ headers: CurlHeaders) -> Bool {
        line.nameEnd - line.start == 4 && headers.matches(line, "Host")
    }

    /// - Returns: True if the headers say which content codings are accepted; none is asked for otherwise.
    private mutating func append(_ headers: CurlHeaders) -> Bool {
        var hasAcceptEncoding = false
        headers.bytes.withUnsafeBytes { bytes in
            for line in headers.lines {
                switch line.nameEnd - line.start {
                case 6 where headers.matches(line, "Expect"), 14 where headers.matches(line, "Content-Length"),
                    17 where headers.matches(line, "Transfer-Encoding"):
                    continue
                case 15 where headers.matches(line, "Accept-Encoding"): hasAcceptEncoding = true
                default: break
                }
                append(UnsafeRawBufferPointer(rebasing: bytes[Int(line.start)..<Int(line.end)]))
                // A line without a value ends in a semicolon, as libcurl takes it.
                if line.valueStart == line.end { memory[count - 1] = UInt8(ascii: ":") }
                append("\r\n")
            }
        }
        return hasAcceptEncoding
    }

    private mutating func reserve(_ needed: Int) {
        count = 0
        if needed <= memory.count { return }
        memory.deallocate()
        memory = .allocate(byteCount: needed * 2, alignment: 1)
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, let target = memory.baseAddress else { return }
        memcpy(target + count, source, bytes.count)
        count += bytes.count
    }

    private mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    private mutating func append(decimal number: Int) {
        var digits = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        rest = number
        for place in stride(from: count + digits - 1, through: count, by: -1) {
            memory[place] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
            rest /= 10
        }
        count += digits
    }
}
