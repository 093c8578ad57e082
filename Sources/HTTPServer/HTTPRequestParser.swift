import HTTPSyntax
import NIOCore
import NIOHTTP1

/// Framing of a request's body (RFC 9112 section 6).
enum HTTPBodyFraming: Hashable, Sendable {
    case none
    case length(Int)
    case chunked
}

/// A request's head with the data that the connection needs.
struct HTTPParsedRequest {
    let head: HTTPRequestHead
    let framing: HTTPBodyFraming
    /// True if the client wants to keep the connection: HTTP/1.1 without `close`, or HTTP/1.0 with `keep-alive`.
    let keepAlive: Bool
    let expectsContinue: Bool
}

enum HTTPBodyEvent: Equatable {
    case chunk(ByteBuffer)
    case end(trailers: HTTPHeaders?)
}

/// Incremental, strict HTTP/1 request parser over the connection's read buffer. It consumes only the bytes of its
/// results, so that pipelined requests stay in the buffer until they are wanted.
///
/// Requests that two implementations might read differently are refused: bare CR or LF, folded lines, white space
/// around names, more than one `Host` or `Content-Length`, `Content-Length` beside `Transfer-Encoding`, any transfer
/// coding but `chunked` alone (RFC 9112 sections 2.2, 5.1, 5.2, 6.1, 6.3).
struct HTTPRequestParser {
    private enum State {
        case head
        case fixed(remaining: Int)
        case chunkSize
        case chunkData(remaining: Int)
        case chunkEnd
        case trailers
    }

    let maximumHeaderBytes: Int
    let maximumHeaderCount: Int

    private var state = State.head
    private var scan = HTTPLineScan()
    // Number of bytes of chunk extensions in this body; they have no meaning here, so they share the header limit.
    private var extensionBytes = 0

    init(maximumHeaderBytes: Int, maximumHeaderCount: Int) {
        self.maximumHeaderBytes = maximumHeaderBytes
        self.maximumHeaderCount = maximumHeaderCount
    }

    /// Returns the next request's head; nil when more bytes are needed.
    mutating func nextHead(_ buffer: inout ByteBuffer) throws(HTTPError) -> HTTPParsedRequest? {
        guard let first = buffer.readableBytesView.first else { return nil }
        // A lone CR may be the first half of an empty line.
        if first == 0x0D, buffer.readableBytes == 1 { return nil }
        // Refuses at once what cannot be HTTP, such as a TLS greeting, instead of waiting for a line end.
        guard HTTPSyntax.isTokenByte(first) else { throw .malformed("invalid method") }
        guard let length = try scanLines(buffer) else { return nil }
        let request = try buffer.withUnsafeReadableBytes { bytes throws(HTTPError) in
            try HTTPHeadParser.parse(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
        }
        buffer.moveReaderIndex(forwardBy: length)
        switch request.framing {
        case .none: state = .head
        case .length(let count): state = .fixed(remaining: count)
        case .chunked:
            state = .chunkSize
            extensionBytes = 0
        }
        return request
    }

    /// Returns method and target of an invalid head, if its request line is complete.
    func partialHead(_ buffer: ByteBuffer) -> (method: HTTPMethod, uri: String)? {
        buffer.withUnsafeReadableBytes { bytes in
            guard let end = bytes.prefix(maximumHeaderBytes).firstIndex(of: UInt8(ascii: "\n")), end > 0 else {
                return nil
            }
            let line = UnsafeRawBufferPointer(rebasing: bytes[..<(end - 1)])
            guard let parsed = try? HTTPHeadParser.requestLine(line) else { return nil }
            return (parsed.method, parsed.target)
        }
    }

    /// Returns the next part of the body of the head that was returned last; nil when more bytes are needed.
    mutating func nextBodyEvent(_ buffer: inout ByteBuffer) throws(HTTPError) -> HTTPBodyEvent? {
        while true {
            switch state {
            case .head:
                return .end(trailers: nil)
            case .fixed(let remaining):
                guard remaining > 0 else {
                    state = .head
                    return .end(trailers: nil)
                }
                guard let chunk = buffer.readSlice(length: min(remaining, buffer.readableBytes)),
                    chunk.readableBytes > 0
                else { return nil }
                state = .fixed(remaining: remaining - chunk.readableBytes)
                return .chunk(chunk)
            case .chunkSize:
                guard let size = try chunkSize(&buffer) else { return nil }
                state = size == 0 ? .trailers : .chunkData(remaining: size)
            case .chunkData(let remaining):
                guard let chunk = buffer.readSlice(length: min(remaining, buffer.readableBytes)),
                    chunk.readableBytes > 0
                else { return nil }
                let left = remaining - chunk.readableBytes
                state = left == 0 ? .chunkEnd : .chunkData(remaining: left)
                return .chunk(chunk)
            case .chunkEnd:
                guard let end = buffer.getInteger(at: buffer.readerIndex, as: UInt16.self) else {
                    if buffer.readableBytesView.first ?? 0x0D != 0x0D { throw .malformed("chunk without its line end") }
                    return nil
                }
                guard end == 0x0D0A else { throw .malformed("chunk without its line end") }
                buffer.moveReaderIndex(forwardBy: 2)
                state = .chunkSize
            case .trailers:
                guard let length = try scanLines(buffer) else { return nil }
                let trailers = try buffer.withUnsafeReadableBytes { bytes throws(HTTPError) in
                    try HTTPHeadParser.trailers(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
                }
                buffer.moveReaderIndex(forwardBy: length)
                state = .head
                return .end(trailers: trailers.isEmpty ? nil : trailers)
            }
        }
    }

    /// Skips at most two empty lines before a request line (RFC 9112 section 2.2). They do not begin a request.
    func skipEmptyLines(_ buffer: inout ByteBuffer) {
        guard scan.position == 0 else { return }
        for _ in 0..<2 where buffer.getInteger(at: buffer.readerIndex, as: UInt16.self) == 0x0D0A {
            buffer.moveReaderIndex(forwardBy: 2)
        }
    }

    /// Searches for the empty line, remembering how far it came; returns the length up to and including it.
    private mutating func scanLines(_ buffer: ByteBuffer) throws(HTTPError) -> Int? {
        let found = buffer.withUnsafeReadableBytes { scan.advance($0) }
        switch found {
        case .bareLineFeed:
            scan = HTTPLineScan()
            throw .malformed("line feed without carriage return")
        case .end(let length):
            // The first line is the request line, the last one the empty line.
            let lines = scan.lines
            scan = HTTPLineScan()
            guard length <= maximumHeaderBytes, lines - 2 <= maximumHeaderCount else { throw .headersTooLarge }
            return length
        case .more:
            guard buffer.readableBytes <= maximumHeaderBytes, scan.lines - 1 <= maximumHeaderCount else {
                scan = HTTPLineScan()
                throw .headersTooLarge
            }
            return nil
        }
    }

    /// Parses `chunk-size [ chunk-ext ] CRLF` (RFC 9112 section 7.1).
    private mutating func chunkSize(_ buffer: inout ByteBuffer) throws(HTTPError) -> Int? {
        let limit = 1024
        let view = buffer.readableBytesView.prefix(limit)
        guard let lineFeed = view.firstIndex(of: UInt8(ascii: "\n")) else {
            guard view.count < limit else { throw .malformed("chunk extension too long") }
            // An invalid size is refused without waiting for its line end.
            if let first = view.first, !first.isHexDigit { throw .malformed("invalid chunk size") }
            return nil
        }
        let line = view[..<lineFeed]
        guard line.last == 0x0D else { throw .malformed("line feed without carriage return") }
        var size = 0
        var digits = 0
        var rest = line.dropLast()
        while let byte = rest.first, let digit = byte.hexDigitValue {
            digits += 1
            guard digits <= 15 else { throw .malformed("chunk too large") }
            size = size << 4 | digit
            rest = rest.dropFirst()
        }
        guard digits > 0 else { throw .malformed("invalid chunk size") }
        if !rest.isEmpty {
            guard rest.first == UInt8(ascii: ";"), !rest.contains(where: HTTPSyntax.isForbiddenInValue) else {
                throw .malformed("invalid chunk extension")
            }
            extensionBytes += rest.count
            guard extensionBytes <= maximumHeaderBytes else { throw .headersTooLarge }
        }
        buffer.moveReaderIndex(to: lineFeed + 1)
        return size
    }
}

/// Search for the empty line that ends a head or trailer section, which reads each byte once.
struct HTTPLineScan {
    enum Outcome {
        case more
        case end(length: Int)
        case bareLineFeed
    }

    private(set) var position = 0
    private(set) var lines = 0
    private var lineStart = 0

    mutating func advance(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        while position < bytes.count {
            guard let lineFeed = HTTPSyntax.firstLineFeed(in: bytes, from: position) else {
                position = bytes.count
                return .more
            }
            guard lineFeed > lineStart, bytes[lineFeed - 1] == 0x0D else { return .bareLineFeed }
            lines += 1
            position = lineFeed + 1
            if lineFeed - 1 == lineStart { return .end(length: position) }
            lineStart = position
        }
        return .more
    }
}

extension UInt8 {
    fileprivate var hexDigitValue: Int? {
        switch self {
        case 0x30...0x39: Int(self) - 0x30
        case 0x41...0x46: Int(self) - 0x41 + 10
        case 0x61...0x66: Int(self) - 0x61 + 10
        default: nil
        }
    }

    fileprivate var isHexDigit: Bool { hexDigitValue != nil }
}
