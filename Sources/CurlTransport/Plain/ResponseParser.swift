import Glibc
import HTTPSyntax
import NIOCore

/// Fault in a response, for which its connection cannot be used any further.
struct ResponseError: Error {
    var kind = CurlError.Kind.invalidResponse
    let message: String
}

/// Parser of the responses of one HTTP/1 connection (RFC 9112), fed with what the socket gives.
///
/// Lines end in CRLF or LF; a CR anywhere else, and a NUL, is a fault, as is everything that two readers could take for
/// different lengths: several lengths that differ, a length that is not a number, a transfer coding other than `chunked`.
/// Heads, trailers and chunk extensions are bounded.
struct ResponseParser {
    /// Part of a response.
    enum Event: Equatable {
        /// The head of the final response is complete: `status` and `headers` are its own.
        case head
        /// Next bytes of the body, as a range of the bytes that were passed.
        case body(Range<Int>)
        /// The response is complete.
        case end
    }

    private enum State {
        case statusLine, header
        case length(Int), untilClose
        case chunkSize, chunk(Int), chunkEnd, trailer
        case end, over
    }

    /// Largest response head in bytes, interim responses and trailers included.
    static let maximumHeadBytes = 64 << 10
    /// Largest line before a chunk, in bytes.
    private static let maximumChunkLine = 4 << 10
    /// Largest number of bytes by which what stands around the chunks may exceed twice the bytes in them, and 16 for each.
    private static let maximumChunkExcess = 16 << 10

    /// Status of the head that was read last.
    private(set) var status = 0
    /// Header lines of that head, with the length of the body as it is read.
    private(set) var headers = CurlHeaders()
    /// True if the connection may carry another request after this response.
    private(set) var isPersistent = true
    /// Number of bytes that the body has by its own account; nil when the head does not tell.
    private(set) var announcedLength: Int?

    private var state = State.statusLine
    private var isHead = false
    /// Beginning of a line whose end was not read yet.
    private var partial: [UInt8] = []
    private var headBytes = 0
    private var chunkExcess = 0
    /// True if the last header line was stored, so that a folded line continues it.
    private var keptLastHeader = false
    private var hasHeaderLine = false
    private var minorVersionIsOne = true
    private var lengths = 0
    /// Value of the last `Content-Length`, where it is a number; nil leaves it to those who look at all of them.
    private var length: Int?
    private var codings = 0
    private var asksToClose = false
    private var asksToStay = false

    /// True while the body's bytes come.
    var isInBody: Bool {
        switch state {
        case .length, .untilClose, .chunk, .chunkSize, .chunkEnd: true
        default: false
        }
    }

    /// Prepares for the response to a request.
    mutating func reset(isHead: Bool) {
        state = .statusLine
        self.isHead = isHead
        isPersistent = true
        announcedLength = nil
        headBytes = 0
        chunkExcess = 0
        if !partial.isEmpty { partial = [] }
    }

    /// Takes the headers out, so that the parser holds no reference to them.
    mutating func takeHeaders() -> CurlHeaders {
        defer { headers = CurlHeaders() }
        return headers
    }

    /// Returns the next part of the response.
    /// - Parameters:
    ///   - bytes: Bytes that were read; the same ones until all of them are used.
    ///   - position: Number of them that are used already.
    ///   - limit: Largest number of bytes of a `body` event.
    /// - Returns: Nil when more must be read.
    /// - Throws: `ResponseError`.
    mutating func next(
        _ bytes: UnsafeRawBufferPointer, _ position: inout Int, limit: Int
    ) throws(ResponseError) -> Event? {
        while true {
            switch state {
            case .length(let rest):
                let count = min(rest, bytes.count - position, limit)
                guard count > 0 else { return nil }
                state = count == rest ? .end : .length(rest - count)
                defer { position += count }
                return .body(position..<position + count)
            case .untilClose:
                let count = min(bytes.count - position, limit)
                guard count > 0 else { return nil }
                defer { position += count }
                return .body(position..<position + count)
            case .chunk(let rest):
                let count = min(rest, bytes.count - position, limit)
                guard count > 0 else { return nil }
                state = count == rest ? .chunkEnd : .chunk(rest - count)
                defer { position += count }
                return .body(position..<position + count)
            case .end:
                state = .over
                return .end
            case .over:
                return nil
            case .statusLine, .header, .chunkSize, .chunkEnd, .trailer:
                guard position < bytes.count else { return nil }
                guard let lineFeed = HTTPSyntax.firstLineFeed(in: bytes, from: position) else {
                    try keep(bytes[position...])
                    position = bytes.count
                    return nil
                }
                let part = UnsafeRawBufferPointer(rebasing: bytes[position..<lineFeed])
                position = lineFeed + 1
                if try take(part) { return .head }
            }
        }
    }

    /// Handles the end of the connection.
    /// - Returns: True if it is the end of the response too.
    mutating func endOfInput() -> Bool {
        guard case .untilClose = state else { return false }
        state = .over
        return true
    }

    // MARK: Lines

    /// Keeps the beginning of a line.
    private mutating func keep(_ bytes: UnsafeRawBufferPointer.SubSequence) throws(ResponseError) {
        partial.append(contentsOf: bytes)
        switch state {
        case .statusLine:
            if !zip(partial, "HTTP/".utf8).allSatisfy({ $0 == $1 }) { throw Self.notHTTP }
            fallthrough
        case .header, .trailer:
            if headBytes + partial.count > Self.maximumHeadBytes { throw Self.tooLongHead }
        default:
            if partial.count > Self.maximumChunkLine { throw Self.tooLongChunkLine }
        }
    }

    /// - Parameter end: The line, or its end when it began in bytes before.
    /// - Returns: True when it ends the final response's head.
    private mutating func take(_ end: UnsafeRawBufferPointer) throws(ResponseError) -> Bool {
        if partial.isEmpty { return try takeLine(end) }
        try keep(end[...])
        let line = partial
        partial = []
        return try line.withUnsafeBufferPointer { (bytes) throws(ResponseError) in
            try takeLine(UnsafeRawBufferPointer(bytes))
        }
    }

    private mutating func takeLine(_ bytes: UnsafeRawBufferPointer) throws(ResponseError) -> Bool {
        let line = bytes.last == 0x0D ? UnsafeRawBufferPointer(rebasing: bytes.dropLast()) : bytes
        for byte in line where byte <= 0x0D && isForbiddenInValue(byte) {
            throw ResponseError(message: "a line of the response contains CR or NUL")
        }
        switch state {
        case .statusLine:
            try countHead(bytes)
            try takeStatusLine(line)
        case .header:
            try countHead(bytes)
            if line.isEmpty { return try completeHead() }
            try takeHeader(line)
        case .trailer:
            // Trailers are ignored.
            try countHead(bytes)
            if line.isEmpty { state = .end }
        case .chunkSize:
            guard bytes.count <= Self.maximumChunkLine else { throw Self.tooLongChunkLine }
            try takeChunkSize(line)
        case .chunkEnd:
            guard line.isEmpty else { throw ResponseError(message: "a chunk is longer than its size") }
            state = .chunkSize
        default: break
        }
        return false
    }

    private mutating func countHead(_ line: UnsafeRawBufferPointer) throws(ResponseError) {
        headBytes += line.count + 1
        if headBytes > Self.maximumHeadBytes { throw Self.tooLongHead }
    }

    // MARK: Head

    private mutating func takeStatusLine(_ line: UnsafeRawBufferPointer) throws(ResponseError) {
        guard let status = HTTPStatusLine.status(line) else { throw Self.notHTTP }
        self.status = status
        minorVersionIsOne = line.starts(with: "HTTP/1.1".utf8)
        headers = CurlHeaders()
        headers.reserveCapacity(lines: 12, bytes: 384)
        keptLastHeader = false
        hasHeaderLine = false
        lengths = 0
        length = nil
        codings = 0
        asksToClose = false
        asksToStay = false
        state = .header
    }

    private mutating func takeHeader(_ line: UnsafeRawBufferPointer) throws(ResponseError) {
        if HTTPSyntax.isSpaceOrTab(line[0]) {
            guard hasHeaderLine else { throw ResponseError(message: "a folded line stands before any header") }
            guard !HTTPSyntax.hasLongNonASCIIRun(line) else { throw Self.nonASCIIHeader }
            if keptLastHeader { headers.continueLast(line) }
            length = nil
            return
        }
        hasHeaderLine = true
        // One whose name is not a token is dropped, as if the server had not sent it.
        keptLastHeader = false
        guard let base = line.baseAddress, let found = memchr(base, 0x3A, line.count) else { return }
        let colon = UnsafeRawPointer(found) - base
        let name = UnsafeRawBufferPointer(rebasing: line[..<colon])
        guard HTTPSyntax.isToken(name) else { return }
        keptLastHeader = true
        let value = UnsafeRawBufferPointer(rebasing: line[(colon + 1)...])
        guard !HTTPSyntax.hasLongNonASCIIRun(value) else { throw Self.nonASCIIHeader }
        headers.append(token: name, value: value)
        switch name.count {
        case 10 where HTTPSyntax.equals(name, "connection"):
            var (close, stay) = (false, false)
            HTTPSyntax.forEachElement(of: value) { option in
                if HTTPSyntax.equals(option, "close") { close = true }
                if HTTPSyntax.equals(option, "keep-alive") { stay = true }
            }
            asksToClose = asksToClose || close
            asksToStay = asksToStay || stay
        case 14 where HTTPSyntax.equals(name, "content-length"):
            lengths += 1
            length = Self.number(HTTPSyntax.trimmed(value))
        case 17 where HTTPSyntax.equals(name, "transfer-encoding"): codings += 1
        default: break
        }
    }

    /// - Returns: False for an interim response.
    private mutating func completeHead() throws(ResponseError) -> Bool {
        if status < 200 {
            // The client never requests another protocol.
            if status == 101 { throw ResponseError(message: "the server switches protocols") }
            state = .statusLine
            return false
        }
        isPersistent = !asksToClose && (minorVersionIsOne || asksToStay)
        // A server that sends both, or chunks under HTTP/1.0, may not be what it is taken for (RFC 9112 §6.1).
        if codings > 0, lengths > 0 || !minorVersionIsOne { isPersistent = false }
        if codings > 0 || lengths > 1 || lengths == 1 && length == nil, let problem = headers.normalizeFraming() {
            throw ResponseError(message: problem)
        }
        let isChunked = codings > 0 && headers.first(name: "Transfer-Encoding")?.lowercased() == "chunked"
        if isHead || status == 204 || status == 304 {
            state = .end
        } else if isChunked {
            state = .chunkSize
        } else if lengths > 0 {
            let length: Int
            if lengths == 1, let number = self.length { length = number } else { length = try contentLength() }
            announcedLength = length
            state = length == 0 ? .end : .length(length)
        } else {
            isPersistent = false
            state = .untilClose
        }
        return true
    }

    /// Returns the number that at most 18 digits make up.
    private static func number(_ digits: UnsafeRawBufferPointer) -> Int? {
        guard 1...18 ~= digits.count else { return nil }
        var number = 0
        for byte in digits {
            guard 0x30...0x39 ~= byte else { return nil }
            number = number * 10 + Int(byte & 0x0F)
        }
        return number
    }

    private func contentLength() throws(ResponseError) -> Int {
        let text = headers.first(name: "Content-Length") ?? ""
        guard !text.isEmpty, text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else {
            throw ResponseError(message: "Content-Length is not a number")
        }
        guard let length = Int(text) else {
            throw ResponseError(kind: .tooLarge, message: "Content-Length is too large")
        }
        return length
    }

    // MARK: Chunks

    private mutating func takeChunkSize(_ line: UnsafeRawBufferPointer) throws(ResponseError) {
        var size = 0
        var digits = 0
        for byte in line {
            guard let digit = Self.hexDigit(byte) else { break }
            digits += 1
            guard digits <= 15 else {
                throw ResponseError(kind: .tooLarge, message: "the size of a chunk is too large")
            }
            size = size << 4 | digit
        }
        let rest = HTTPSyntax.trimmed(UnsafeRawBufferPointer(rebasing: line[digits...]))
        guard digits > 0, rest.isEmpty || rest[0] == UInt8(ascii: ";") else {
            throw ResponseError(message: "the size of a chunk is not a number")
        }
        // Extensions, and chunks of a byte each, cost work without bringing anything.
        chunkExcess = max(0, chunkExcess + line.count - 16 - 2 * min(size, Self.maximumChunkExcess))
        if chunkExcess > Self.maximumChunkExcess { throw ResponseError(message: "the chunks consist of extensions") }
        state = size == 0 ? .trailer : .chunk(size)
    }

    private static func hexDigit(_ byte: UInt8) -> Int? {
        switch byte {
        case 0x30...0x39: Int(byte & 0x0F)
        case 0x41...0x46, 0x61...0x66: Int(byte & 0x0F) + 9
        default: nil
        }
    }

    private static let notHTTP = ResponseError(message: "the status line is not HTTP/1's")
    private static let nonASCIIHeader = ResponseError(message: "a header of the response consists of non-ASCII bytes")
    private static let tooLongChunkLine = ResponseError(message: "the line of a chunk is too long")
    private static let tooLongHead = ResponseError(
        kind: .tooLarge, message: "response head is longer than \(maximumHeadBytes) bytes")
}
