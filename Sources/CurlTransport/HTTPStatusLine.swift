/// First line of an HTTP/1 response (RFC 9112 §4).
enum HTTPStatusLine {
    /// Returns the status of `HTTP/1.1 200 OK`, the line's end included; nil for a line of another form.
    ///
    /// The reason may be absent, with its space or without. A status outside 100–599 is invalid (RFC 9110 §15).
    static func status(_ line: UnsafeRawBufferPointer) -> Int? {
        // "HTTP/", a digit, perhaps a dot and another digit, a space.
        guard line.count >= 10, line.starts(with: "HTTP/".utf8), isDigit(line[5]) else { return nil }
        var position = 6
        if line[position] == UInt8(ascii: ".") {
            guard isDigit(line[position + 1]) else { return nil }
            position += 2
        }
        guard line.count >= position + 4, line[position] == 0x20 else { return nil }
        var status = 0
        for byte in line[(position + 1)..<(position + 4)] {
            guard isDigit(byte) else { return nil }
            status = status * 10 + Int(byte - 0x30)
        }
        guard 100...599 ~= status else { return nil }
        if line.count > position + 4, ![0x20, 0x0D, 0x0A].contains(line[position + 4]) { return nil }
        return status
    }

    private static func isDigit(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte }
}

extension CurlHeaders {
    /// Makes the headers of the body's length agree with how libcurl reads the body.
    ///
    /// A transfer coding other than `chunked` is refused: libcurl would decode it, and no option turns that off.
    /// `Content-Length` beside it is dropped (RFC 9112 §6.3), and so are repetitions of the same length.
    /// - Returns: Reason why the response cannot be read; nil when it can.
    mutating func normalizeFraming() -> String? {
        let codings = all(name: "Transfer-Encoding")
        if !codings.isEmpty {
            guard codings.count == 1, ["chunked", "identity"].contains(codings[0].lowercased()) else {
                return "transfer coding other than chunked"
            }
            if codings[0].lowercased() == "chunked" { remove(name: "Content-Length") }
        }
        let lengths = all(name: "Content-Length")
        guard lengths.count > 1 || lengths.first?.utf8.contains(UInt8(ascii: ",")) == true else { return nil }
        let values = Set(lengths.flatMap { $0.split(separator: ",").map { $0.filter { $0 != " " && $0 != "\t" } } })
        guard values.count == 1, let value = values.first else { return "several lengths of one body" }
        set(name: "Content-Length", value: String(value))
        return nil
    }
}
