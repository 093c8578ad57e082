import HTTPSyntax
import NIOHTTP1

/// Parser of a complete head or trailer section: every line ends in CRLF, the last one is empty.
enum HTTPHeadParser {
    static func parse(_ bytes: UnsafeRawBufferPointer) throws(HTTPError) -> HTTPParsedRequest {
        var lines = Lines(bytes)
        guard let first = lines.next() else { throw .malformed("no request line") }
        var (method, target, minor) = try requestLine(first)

        var fields: [(String, String)] = []
        fields.reserveCapacity(16)
        var length: Int?
        var isChunked = false
        var hosts = 0
        var hostIndex = 0
        var asksToClose = false
        var asksToKeepAlive = false
        var expectsContinue = false

        while let line = lines.next() {
            let (name, value) = try field(line)
            // The few names that decide about framing and connection; distinguished by length first.
            switch name.count {
            case 4 where HTTPSyntax.equals(name, "host"):
                hosts += 1
                hostIndex = fields.count
                guard hosts == 1 else { throw .malformed("more than one Host") }
                guard HTTPSyntax.isHost(value) else { throw .malformed("invalid Host") }
            case 6 where HTTPSyntax.equals(name, "expect"):
                if HTTPSyntax.equals(value, "100-continue") { expectsContinue = true }
            case 10 where HTTPSyntax.equals(name, "connection"):
                HTTPSyntax.forEachElement(of: value) { option in
                    if HTTPSyntax.equals(option, "close") { asksToClose = true }
                    if HTTPSyntax.equals(option, "keep-alive") { asksToKeepAlive = true }
                }
            case 14 where HTTPSyntax.equals(name, "content-length"):
                guard length == nil else { throw .malformed("more than one Content-Length") }
                length = try contentLength(value)
            case 17 where HTTPSyntax.equals(name, "transfer-encoding"):
                guard !isChunked, HTTPSyntax.equals(value, "chunked") else {
                    throw .malformed("transfer coding other than chunked")
                }
                isChunked = true
            default: break
            }
            fields.append((string(name), string(value)))
        }

        if isChunked {
            guard length == nil else { throw .malformed("both Content-Length and Transfer-Encoding") }
            guard minor > 0 else { throw .malformed("Transfer-Encoding in HTTP/1.0") }
        }
        guard hosts == 1 || minor == 0 else { throw .malformed("no Host") }
        if target.utf8.first != UInt8(ascii: "/"), target != "*" {
            let authority = try makeOriginForm(&target)
            if hosts == 1 { fields[hostIndex].1 = authority } else { fields.append(("Host", authority)) }
        }

        let head = HTTPRequestHead(
            version: minor == 0 ? .http1_0 : .http1_1, method: method, uri: target, headers: HTTPHeaders(fields))
        let framing: HTTPBodyFraming =
            if isChunked { .chunked } else if let length, length > 0 { .length(length) } else { .none }
        return HTTPParsedRequest(
            head: head, framing: framing, keepAlive: !asksToClose && (minor > 0 || asksToKeepAlive),
            expectsContinue: expectsContinue && minor > 0 && framing != .none)
    }

    static func trailers(_ bytes: UnsafeRawBufferPointer) throws(HTTPError) -> HTTPHeaders {
        var lines = Lines(bytes)
        var headers = HTTPHeaders()
        while let line = lines.next() {
            let (name, value) = try field(line)
            headers.add(name: string(name), value: string(value))
        }
        return headers
    }

    /// Parses `method SP request-target SP HTTP-version` (RFC 9112 section 3), with one space each.
    static func requestLine(
        _ line: UnsafeRawBufferPointer
    ) throws(HTTPError) -> (method: HTTPMethod, target: String, minor: Int) {
        guard let space = line.firstIndex(of: UInt8(ascii: " ")),
            let second = line[(space + 1)...].firstIndex(of: UInt8(ascii: " "))
        else { throw .malformed("invalid request line") }
        let methodBytes = UnsafeRawBufferPointer(rebasing: line[..<space])
        let targetBytes = UnsafeRawBufferPointer(rebasing: line[(space + 1)..<second])
        let version = UnsafeRawBufferPointer(rebasing: line[(second + 1)...])

        guard HTTPSyntax.isToken(methodBytes) else { throw .malformed("invalid method") }
        guard version.count == 8, version[5] == UInt8(ascii: "1"), (0x30...0x39).contains(version[7]),
            version.prefix(7).elementsEqual("HTTP/1.".utf8)
        else { throw .malformed("HTTP version other than 1.0 or 1.1") }
        for byte in targetBytes where byte <= 0x20 || byte == 0x7F || byte == UInt8(ascii: "#") {
            throw .malformed("invalid request target")
        }
        guard !targetBytes.isEmpty, !HTTPSyntax.hasLongNonASCIIRun(targetBytes),
            let target = String(validating: targetBytes, as: UTF8.self)
        else {
            throw .malformed("invalid request target")
        }
        let method = method(methodBytes)
        guard target.utf8.first == UInt8(ascii: "/") || isAbsolute(target) || (target == "*" && method == .OPTIONS)
        else { throw .malformed("invalid request target") }
        return (method, target, version[7] == UInt8(ascii: "0") ? 0 : 1)
    }

    private static func method(_ bytes: UnsafeRawBufferPointer) -> HTTPMethod {
        // The two frequent ones, without a string; the others through NIO's own table. Methods are case-sensitive.
        if bytes.elementsEqual("POST".utf8) { return .POST }
        if bytes.elementsEqual("GET".utf8) { return .GET }
        return HTTPMethod(rawValue: string(bytes))
    }

    /// Parses `field-name ":" OWS field-value OWS`; no space before the colon, no folding, no control characters.
    private static func field(
        _ line: UnsafeRawBufferPointer
    ) throws(HTTPError) -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        if let first = line.first, HTTPSyntax.isSpaceOrTab(first) { throw .malformed("folded header line") }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw .malformed("header line without colon") }
        let name = UnsafeRawBufferPointer(rebasing: line[..<colon])
        guard HTTPSyntax.isToken(name) else { throw .malformed("invalid header name") }
        let value = HTTPSyntax.trimmed(UnsafeRawBufferPointer(rebasing: line[(colon + 1)...]))
        for byte in value where HTTPSyntax.isForbiddenInValue(byte) {
            throw .malformed("control character in a header value")
        }
        guard !HTTPSyntax.hasLongNonASCIIRun(value) else { throw .malformed("header value of non-ASCII bytes") }
        return (name, value)
    }

    private static func contentLength(_ value: UnsafeRawBufferPointer) throws(HTTPError) -> Int {
        guard (1...18).contains(value.count) else { throw .malformed("invalid Content-Length") }
        var result = 0
        for byte in value {
            guard (0x30...0x39).contains(byte) else { throw .malformed("invalid Content-Length") }
            result = result * 10 + Int(byte - 0x30)
        }
        return result
    }

    private static func isAbsolute(_ target: String) -> Bool {
        let prefix = target.prefix(8).lowercased()
        return prefix.hasPrefix("http://") || prefix.hasPrefix("https://")
    }

    /// Removes scheme and authority from an absolute-form target and returns the authority, which replaces `Host`.
    private static func makeOriginForm(_ target: inout String) throws(HTTPError) -> String {
        guard let slashes = target.utf8.firstIndex(of: UInt8(ascii: "/")) else {
            throw .malformed("invalid request target")
        }
        let rest = target.utf8[slashes...].dropFirst(2)
        let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        var authority = String(target[rest.startIndex..<end])
        let isValid = authority.withUTF8 { HTTPSyntax.isHost(UnsafeRawBufferPointer($0)) && !$0.isEmpty }
        guard isValid else { throw .malformed("invalid request target") }
        let path = target[end...]
        target = path.hasPrefix("/") ? String(path) : "/" + path
        return authority
    }

    @inline(__always)
    private static func string(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }

    private struct Lines {
        private let bytes: UnsafeRawBufferPointer
        private var position = 0

        init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

        /// Returns the next line without its CRLF; nil at the empty line.
        mutating func next() -> UnsafeRawBufferPointer? {
            guard let lineFeed = HTTPSyntax.firstLineFeed(in: bytes, from: position), lineFeed - 1 > position
            else { return nil }
            defer { position = lineFeed + 1 }
            return UnsafeRawBufferPointer(rebasing: bytes[position..<(lineFeed - 1)])
        }
    }
}
