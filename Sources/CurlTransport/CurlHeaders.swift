import HTTPSyntax

/// One header line.
package typealias CurlHeader = (name: String, value: String)

/// Header lines in order, duplicates included; names are compared without case (RFC 9110 §5.1).
///
/// The lines are stored in one byte array, in the form that libcurl takes (`Name: value`, `Name;` for an empty value,
/// each ended by NUL), so that a request's headers cost two allocations however many there are, and a response's
/// headers become `String`s only when they are read.
///
/// A name that is not a token or a value with CR, LF or NUL sets `invalidLine`; a request with such a line is refused
/// before anything is sent.
package struct CurlHeaders: Sendable, Equatable {
    struct Line: Equatable {
        /// Offset into `bytes`, as are the others; the value starts at `valueStart`, and one NUL follows `end`.
        var start: Int32
        var nameEnd: Int32
        var valueStart: Int32
        var end: Int32
    }

    private(set) var bytes: [UInt8] = []
    private(set) var lines: [Line] = []
    /// Name of the first line that cannot be sent.
    package private(set) var invalidLine: String?

    /// Makes an empty list.
    package init() {}

    /// Copies headers in their order.
    package init(_ headers: some Sequence<(name: String, value: String)>) {
        for (name, value) in headers { append(name: name, value: value) }
    }

    /// Copies headers in their order.
    package init(_ headers: some Sequence<(String, String)>) {
        for (name, value) in headers { append(name: name, value: value) }
    }

    /// Reserves memory for the lines, instead of growing line by line.
    mutating func reserveCapacity(lines count: Int, bytes size: Int) {
        lines.reserveCapacity(count)
        bytes.reserveCapacity(size)
    }

    /// Appends a line; leading and trailing spaces and tabs of the value are dropped, as by any recipient.
    package mutating func append(name: String, value: String) {
        var name = name
        var value = value
        name.withUTF8 { name in
            value.withUTF8 { append(name: UnsafeRawBufferPointer(name), value: UnsafeRawBufferPointer($0)) }
        }
    }

    /// Appends a header.
    package mutating func append(_ header: CurlHeader) { append(name: header.name, value: header.value) }

    /// Appends headers in their order.
    package mutating func append(contentsOf headers: CurlHeaders) {
        if lines.isEmpty {
            self = headers
            return
        }
        let base = Int32(bytes.count)
        bytes.append(contentsOf: headers.bytes)
        for line in headers.lines {
            lines.append(
                Line(
                    start: line.start + base, nameEnd: line.nameEnd + base, valueStart: line.valueStart + base,
                    end: line.end + base))
        }
        invalidLine = invalidLine ?? headers.invalidLine
    }

    mutating func append(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        if lines.isEmpty {
            bytes.reserveCapacity(256)
            lines.reserveCapacity(8)
        }
        let value = HTTPSyntax.trimmed(value)
        let start = Int32(bytes.count)
        bytes.append(contentsOf: name)
        let nameEnd = Int32(bytes.count)
        if value.isEmpty {
            bytes.append(UInt8(ascii: ";"))
            let end = Int32(bytes.count)
            lines.append(Line(start: start, nameEnd: nameEnd, valueStart: end, end: end))
        } else {
            bytes.append(UInt8(ascii: ":"))
            bytes.append(0x20)
            bytes.append(contentsOf: value)
            lines.append(Line(start: start, nameEnd: nameEnd, valueStart: nameEnd + 2, end: Int32(bytes.count)))
        }
        bytes.append(0)
        if invalidLine == nil, !HTTPSyntax.isToken(name) || value.contains(where: isForbiddenInValue) {
            invalidLine = String(decoding: name, as: UTF8.self)
        }
    }

    /// Appends a line of a response, whose name was found to be a token, and which has neither CR, LF nor NUL.
    mutating func append(token name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        let value = HTTPSyntax.trimmed(value)
        let start = Int32(truncatingIfNeeded: bytes.count)
        let nameEnd = start + Int32(truncatingIfNeeded: name.count)
        bytes.append(contentsOf: name)
        if value.isEmpty {
            bytes.append(UInt8(ascii: ";"))
            lines.append(Line(start: start, nameEnd: nameEnd, valueStart: nameEnd + 1, end: nameEnd + 1))
        } else {
            bytes.append(UInt8(ascii: ":"))
            bytes.append(0x20)
            bytes.append(contentsOf: value)
            let end = nameEnd + 2 + Int32(truncatingIfNeeded: value.count)
            lines.append(Line(start: start, nameEnd: nameEnd, valueStart: nameEnd + 2, end: end))
        }
        bytes.append(0)
    }

    /// Continues the last line (obs-fold, RFC 9112 §5.2: the recipient replaces the fold by a space).
    mutating func continueLast(_ value: UnsafeRawBufferPointer) {
        let value = HTTPSyntax.trimmed(value)
        guard !value.isEmpty, var line = lines.popLast() else { return }
        // The last line's bytes are the last ones here: the continuation replaces its NUL.
        bytes.removeLast()
        if line.valueStart == line.end {
            bytes.removeLast()
            bytes.append(UInt8(ascii: ":"))
            line.valueStart = line.nameEnd + 2
        }
        bytes.append(0x20)
        bytes.append(contentsOf: value)
        line.end = Int32(bytes.count)
        bytes.append(0)
        lines.append(line)
        if invalidLine == nil, value.contains(where: isForbiddenInValue) { invalidLine = name(of: line) }
    }

    /// Returns the value of the first line with that name.
    package func first(name: String) -> String? {
        for line in lines where matches(line, name) { return value(of: line) }
        return nil
    }

    /// Returns the values of all lines with that name, in order.
    package func all(name: String) -> [String] { lines.filter { matches($0, name) }.map(value(of:)) }

    /// Returns whether there is a header of that name, in any case.
    package func contains(name: String) -> Bool { lines.contains { matches($0, name) } }

    /// Removes every line with that name.
    package mutating func remove(name: String) {
        guard contains(name: name) else { return }
        var kept = CurlHeaders()
        for line in lines where !matches(line, name) { kept.append(name: self.name(of: line), value: value(of: line)) }
        self = kept
    }

    /// Removes every line with that name, then appends this one.
    package mutating func set(name: String, value: String) {
        remove(name: name)
        append(name: name, value: value)
    }

    /// True for the content type `text/event-stream`, with or without parameters.
    package var announcesEventStream: Bool {
        for line in lines where matches(line, "Content-Type") {
            let type = bytes[Int(line.valueStart)..<Int(line.end)].prefix {
                $0 != UInt8(ascii: ";") && $0 != 0x20 && $0 != 0x09
            }
            return HTTPSyntax.equals(type, "text/event-stream".utf8)
        }
        return false
    }

    func matches(_ line: Line, _ name: String) -> Bool {
        let start = Int(line.start)
        let count = Int(line.nameEnd) - start
        guard count == name.utf8.count else { return false }
        return HTTPSyntax.equals(bytes[start..<start + count], name.utf8)
    }

    private func name(of line: Line) -> String {
        String(decoding: bytes[Int(line.start)..<Int(line.nameEnd)], as: UTF8.self)
    }

    private func value(of line: Line) -> String {
        String(decoding: bytes[Int(line.valueStart)..<Int(line.end)], as: UTF8.self)
    }
}

extension CurlHeaders: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { lines.count }
    package subscript(index: Int) -> CurlHeader { (name(of: lines[index]), value(of: lines[index])) }
}

extension CurlHeaders: ExpressibleByArrayLiteral {
    package init(arrayLiteral headers: CurlHeader...) { self.init(headers) }
}

/// Returns whether a byte is forbidden in a header's value (RFC 9110 §5.5).
func isForbiddenInValue(_ byte: UInt8) -> Bool { byte == 0 || byte == 0x0A || byte == 0x0D }
