import TestSupport

/// Changes bytes in ways that break what reads them: the same ways for the same seed.
struct Mutator {
    private(set) var random: SplitMix

    init(seed: UInt64) { random = SplitMix(seed: seed) }

    /// Bytes that mean something to one of the parsers.
    private static let special: [UInt8] = [
        0, 9, 10, 13, 32, 34, 37, 44, 45, 58, 59, 91, 92, 93, 123, 125, 127, 128, 0xED, 255,
    ]

    /// Numbers beyond what a type, a clock or a length takes.
    private static let numbers = [
        "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615", "1e400", "-1e400",
        "-1", "0", "-0", "1e-400", "99999999999999999999999999", "4294967296", "2147483648", "0.1", "1E2", "NaN",
    ]

    private static let tokens = [
        "\r\n", "\r\n\r\n", "\n", "\r", "\0", "Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n",
        "Content-Length: 99999999999999999999\r\n", "Host: evil.example\r\n", "Expect: 100-continue\r\n",
        "Content-Encoding: gzip\r\n", "Cookie: sessionid=\"x\"; sessionid=\r\n", "Authorization: bEARER  x\r\n",
        "Last-Event-ID: 1-4294967295\r\n", "Connection: close, X\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "\\ud800",
        "\\u0000",
        "\u{FEFF}", "\u{202E}", "{\"$ref\":\"#\"}", "\"pattern\":\"((a*)*)*$\",",
        "\"pattern\":\"(((a{1000}){1000}){1000})\",",
        "null", "true", "[]", "{}", "\"\"", "id: x\n", "retry: 99999999999999999999\n", "data: {\n", ": \n", "data\n\n",
        "\"nextCursor\":\"\",", "\"_meta\":{\"progressToken\":[]},", "..%2f", "/../", "%00", "FFFFFFFFFFFFFFFF\r\n",
    ]

    mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(max(1, bound))) }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

    /// Returns the bytes with one to four changes.
    mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...below(4) { change(&bytes) }
        return bytes
    }

    private mutating func change(_ bytes: inout [UInt8]) {
        let place = below(bytes.count + 1)
        let length = min(bytes.count - place, 1 + below(32))
        switch below(9) {
        case 0: if length > 0 { bytes[place] ^= 1 << UInt8(below(8)) }
        case 1: if length > 0 { bytes[place] = pick(Self.special) }
        case 2: bytes.removeSubrange(place..<place + length)
        case 3:
            let part = Array(bytes[place..<place + length])
            for _ in 0..<(1 << below(8)) { bytes.insert(contentsOf: part, at: place) }
        case 4: bytes.insert(contentsOf: (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }, at: place)
        case 5: replaceNumber(&bytes, from: place)
        case 6: bytes.removeSubrange(place...)
        case 7: bytes.insert(contentsOf: Array(pick(Self.tokens).utf8), at: place)
        default:
            let nesting = 1 << below(14)
            bytes.insert(contentsOf: [UInt8](repeating: pick([0x5B, 0x7B, 0x28, 0x22]), count: nesting), at: place)
        }
    }

    private mutating func replaceNumber(_ bytes: inout [UInt8], from place: Int) {
        let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
        guard let start = bytes[place...].firstIndex(where: isDigit) ?? bytes.firstIndex(where: isDigit) else { return }
        let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.count
        bytes.replaceSubrange(start..<end, with: Array(pick(Self.numbers).utf8))
    }
}
