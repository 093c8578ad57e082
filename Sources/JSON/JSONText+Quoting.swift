extension JSONText {
    /// Appends `text` as a JSON string, quotes included. Only `"`, `\` and control characters are escaped; `/` and
    /// everything beyond ASCII is not.
    package static func appendQuoted(_ text: String, to target: inout [UInt8]) {
        var text = text
        text.withUTF8 { appendQuoted(UnsafeRawBufferPointer($0), to: &target) }
    }

    /// Appends valid UTF-8 as a JSON string; the bytes are not validated here.
    package static func appendQuoted(_ utf8: UnsafeRawBufferPointer, to target: inout [UInt8]) {
        target.reserveCapacity(target.count + utf8.count + 2)
        target.append(Byte.quote)
        appendEscaped(utf8, to: &target)
        target.append(Byte.quote)
    }

    /// Appends `text` to other buffers; arrays have their own, faster way.
    package static func appendQuoted(_ text: String, to target: inout some RangeReplaceableCollection<UInt8>) {
        var quoted: [UInt8] = []
        appendQuoted(text, to: &quoted)
        target.append(contentsOf: quoted)
    }

    /// Returns `text` as a JSON string, quotes included.
    package static func quoted(_ text: String) -> [UInt8] {
        var quoted: [UInt8] = []
        appendQuoted(text, to: &quoted)
        return quoted
    }

    /// Returns valid UTF-8 as a JSON string, quotes included.
    package static func quoted(_ utf8: UnsafeRawBufferPointer) -> [UInt8] {
        var quoted: [UInt8] = []
        appendQuoted(utf8, to: &quoted)
        return quoted
    }

    /// Returns whether `utf8` can stand between quotes unchanged.
    package static func isPlain(_ utf8: UnsafeRawBufferPointer) -> Bool {
        firstEscapable(in: utf8, from: 0) == utf8.count
    }

    /// Appends valid UTF-8 as the content of a JSON string, without quotes.
    package static func appendEscaped(_ utf8: UnsafeRawBufferPointer, to target: inout [UInt8]) {
        var position = 0
        while true {
            let next = firstEscapable(in: utf8, from: position)
            target.append(contentsOf: UnsafeRawBufferPointer(rebasing: utf8[position..<next]))
            guard next < utf8.count else { return }
            appendEscape(utf8[next], to: &target)
            position = next + 1
        }
    }

    private static func firstEscapable(in utf8: UnsafeRawBufferPointer, from start: Int) -> Int {
        var position = start
        while position + 8 <= utf8.count {
            let distance = ByteWord(utf8, at: position).distanceToEscapable
            position += distance
            if distance < 8 { return position }
        }
        while position < utf8.count {
            let byte = utf8[position]
            if byte < 0x20 || byte == Byte.quote || byte == Byte.backslash { break }
            position += 1
        }
        return position
    }

    private static func appendEscape(_ byte: UInt8, to target: inout [UInt8]) {
        target.append(Byte.backslash)
        switch byte {
        case Byte.quote, Byte.backslash: target.append(byte)
        case 0x08: target.append(UInt8(ascii: "b"))
        case 0x09: target.append(UInt8(ascii: "t"))
        case 0x0A: target.append(UInt8(ascii: "n"))
        case 0x0C: target.append(UInt8(ascii: "f"))
        case 0x0D: target.append(UInt8(ascii: "r"))
        default:
            let digits: StaticString = "0123456789abcdef"
            target.append(contentsOf: [UInt8(ascii: "u"), Byte.zero, Byte.zero])
            target.append(digits.utf8Start[Int(byte >> 4)])
            target.append(digits.utf8Start[Int(byte & 15)])
        }
    }
}
