import JSON

/// Fields of `application/x-www-form-urlencoded`, in a query or a body.
struct FormFields: Sendable {
    private let values: [String: [String]]

    /// Largest number of fields; more are an error.
    private static let maximumFields = 64

    /// Parses fields; nil when there are too many, or an escape is malformed, or bytes are not UTF-8.
    init?(_ text: some Collection<UInt8>) {
        var values: [String: [String]] = [:]
        let pairs = text.split(separator: UInt8(ascii: "&"), maxSplits: Self.maximumFields)
        guard pairs.count <= Self.maximumFields else { return nil }
        for pair in pairs {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decode(parts[0]), let value = Self.decode(parts.count > 1 ? parts[1] : pair.prefix(0))
            else { return nil }
            values[name, default: []].append(value)
        }
        self.values = values
    }

    /// Value of a field; nil when it is absent, empty or repeated.
    subscript(_ name: String) -> String? {
        guard let all = values[name], all.count == 1, !all[0].isEmpty else { return nil }
        return all[0]
    }

    /// Name of a field that is repeated (RFC 6749, section 3.1); only `resource` may be.
    var repeated: String? { values.first { $0.value.count > 1 && $0.key != "resource" }?.key }

    /// Returns all values of a field.
    func all(_ name: String) -> [String] { values[name] ?? [] }

    private static func decode(_ bytes: some Collection<UInt8>) -> String? {
        var decoded: [UInt8] = []
        var iterator = bytes.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "+"): decoded.append(0x20)
            case UInt8(ascii: "%"):
                guard let high = iterator.next(), let low = iterator.next(), let value = hexadecimal(high, low) else {
                    return nil
                }
                decoded.append(value)
            default: decoded.append(byte)
            }
        }
        return String(validating: decoded, as: UTF8.self).map { CombiningMarks.bounded($0) }
    }

    private static func hexadecimal(_ high: UInt8, _ low: UInt8) -> UInt8? {
        func digit(_ byte: UInt8) -> UInt8? {
            switch byte {
            case 0x30...0x39: byte - 0x30
            case 0x41...0x46: byte - 0x37
            case 0x61...0x66: byte - 0x57
            default: nil
            }
        }
        guard let high = digit(high), let low = digit(low) else { return nil }
        return high << 4 | low
    }

    /// Encodes fields.
    static func encode(_ fields: [(String, String)]) -> String {
        fields.map { "\(escape($0))=\(escape($1))" }.joined(separator: "&")
    }

    /// Percent-encodes everything but RFC 3986's unreserved characters.
    static func escape(_ text: String) -> String {
        var escaped: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: escaped.append(byte)
            default: escaped += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: escaped, as: UTF8.self)
    }
}
