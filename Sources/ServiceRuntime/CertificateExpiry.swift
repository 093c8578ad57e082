import Foundation

/// When the certificates of a PEM file end (RFC 5280 section 4.1.2.5).
package enum CertificateExpiry {
    /// A chain is short; a larger file is a mistake in the path.
    private static let maximumBytes = 1 << 20

    /// The first end of validity among the file's certificates, in seconds since the epoch: a chain is as good as its
    /// weakest link. Nil when the file cannot be read or holds no certificate.
    package static func earliest(in path: String) -> Double? {
        guard let data = FileManager.default.contents(atPath: path), data.count <= maximumBytes else { return nil }
        return earliest(inPEM: String(decoding: data, as: UTF8.self))
    }

    static func earliest(inPEM text: String) -> Double? {
        var rest = text[...]
        var earliest: Double?
        while let begin = rest.firstRange(of: "-----BEGIN CERTIFICATE-----") {
            rest = rest[begin.upperBound...]
            guard let end = rest.firstRange(of: "-----END CERTIFICATE-----"),
                let der = Data(base64Encoded: String(rest[..<end.lowerBound]), options: .ignoreUnknownCharacters),
                let time = notAfter(Array(der))
            else { return nil }
            earliest = min(earliest ?? time, time)
            rest = rest[end.upperBound...]
        }
        return earliest
    }

    /// `Certificate` → `tbsCertificate` → `validity` → `notAfter`.
    private static func notAfter(_ der: [UInt8]) -> Double? {
        var outer = DERReader(der[...])
        guard var certificate = outer.enter(0x30), var fields = certificate.enter(0x30) else { return nil }
        // The version is there from v2 on, under an explicit tag.
        if fields.peek == 0xA0, fields.next() == nil { return nil }
        // Serial number, signature algorithm, issuer.
        for tag: UInt8 in [0x02, 0x30, 0x30] {
            guard let field = fields.next(), field.tag == tag else { return nil }
        }
        guard var validity = fields.enter(0x30), validity.next() != nil, let end = validity.next() else { return nil }
        return time(end.tag, String(decoding: end.content, as: UTF8.self))
    }

    /// `UTCTime` (two digits of a year between 1950 and 2049) or `GeneralizedTime`, both to the second and in UTC.
    private static func time(_ tag: UInt8, _ text: String) -> Double? {
        let yearDigits = tag == 0x17 ? 2 : tag == 0x18 ? 4 : 0
        // Other digits than ASCII's may stand for any number: 兆 is a million millions.
        let digits = text.dropLast().compactMap { $0.isASCII ? $0.wholeNumberValue : nil }
        guard yearDigits > 0, text.hasSuffix("Z"), digits.count == yearDigits + 10, text.count == digits.count + 1
        else {
            return nil
        }
        var year = digits[..<yearDigits].reduce(0) { $0 * 10 + $1 }
        if yearDigits == 2 { year += year < 50 ? 2000 : 1900 }
        let pairs = stride(from: yearDigits, to: digits.count, by: 2).map { digits[$0] * 10 + digits[$0 + 1] }
        var parts = tm()
        parts.tm_year = Int32(year - 1900)
        parts.tm_mon = Int32(pairs[0] - 1)
        parts.tm_mday = Int32(pairs[1])
        parts.tm_hour = Int32(pairs[2])
        parts.tm_min = Int32(pairs[3])
        parts.tm_sec = Int32(pairs[4])
        return Double(timegm(&parts))
    }
}

/// Walks over the elements of DER (X.690) with definite lengths.
private struct DERReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    /// The tag of the next element.
    var peek: UInt8? { rest.first }

    /// The next element; nil when there is none or it is cut short.
    mutating func next() -> (tag: UInt8, content: ArraySlice<UInt8>)? {
        guard let tag = rest.popFirst(), let first = rest.popFirst() else { return nil }
        var length = Int(first)
        if first >= 0x80 {
            let count = Int(first & 0x7F)
            guard (1...4).contains(count), rest.count >= count else { return nil }
            length = rest.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(count)
        }
        guard rest.count >= length else { return nil }
        defer { rest = rest.dropFirst(length) }
        return (tag, rest.prefix(length))
    }

    /// The inside of the next element, if it has this tag.
    mutating func enter(_ tag: UInt8) -> DERReader? {
        guard peek == tag, let element = next() else { return nil }
        return DERReader(element.content)
    }
}
