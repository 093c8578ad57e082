extension JSONValue {
    /// The canonical text (RFC 8785): no white space, members sorted by the UTF-16 code units of their names, numbers as
    /// ECMAScript writes them. Equal values have equal text, so that a hash of it can stand for the value.
    ///
    /// One deviation: RFC 8785 takes numbers for doubles. An integer that no double holds, and a number beyond their range,
    /// keep their own text here, so that two of them never become one.
    package var canonical: [UInt8] { sorted { JSONNumber($0.canonicalText) ?? $0 }.serialized }

    /// The same value with the members of all objects sorted as in ``canonical``: for people who compare two texts, and for
    /// digests of what clients may send in another order.
    package var sorted: JSONValue { sorted { $0 } }

    private func sorted(_ number: (JSONNumber) -> JSONNumber) -> JSONValue {
        switch self {
        case .number(let value): .number(number(value))
        case .array(let elements): .array(elements.map { $0.sorted(number) })
        case .object(let members):
            .object(JSONObject(members.sortedMembers.map { ($0.key, $0.value.sorted(number)) }))
        case .null, .bool, .string: self
        }
    }
}

extension JSONObject {
    fileprivate var sortedMembers: [(key: String, value: JSONValue)] {
        sorted { $0.key.utf16.lexicographicallyPrecedes($1.key.utf16) }
    }
}

extension JSONNumber {
    /// The number as ECMAScript's `Number::toString` writes it; its own text for an integer that no double holds, and beyond
    /// their range.
    var canonicalText: String {
        let double = double
        guard double.isFinite, !isInteger || JSONNumber(double) == self else { return text }
        if double == 0 { return "0" }
        let (digits, point) = Self.shortestDigits(of: double.magnitude)
        return (double < 0 ? "-" : "") + Self.text(of: digits, point: point)
    }

    /// The shortest digits that read back as a positive double, and the position of the decimal point among them.
    private static func shortestDigits(of double: Double) -> (digits: [UInt8], point: Int) {
        var digits: [UInt8] = []
        var point: Int?
        var exponent = 0
        let text = Array(double.description.utf8)
        let mantissa = text.prefix { $0 != UInt8(ascii: "e") }
        if mantissa.count < text.count {
            exponent = Int(String(decoding: text[(mantissa.count + 1)...], as: UTF8.self)) ?? 0
        }
        for byte in mantissa {
            if byte == UInt8(ascii: ".") { point = digits.count } else { digits.append(byte) }
        }
        var position = (point ?? digits.count) + exponent
        let zeros = digits.prefix { $0 == Byte.zero }.count
        digits.removeFirst(zeros)
        position -= zeros
        while digits.last == Byte.zero { digits.removeLast() }
        return (digits, position)
    }

    /// ECMA-262, Number::toString, steps 6 to 12.
    private static func text(of digits: [UInt8], point: Int) -> String {
        let count = digits.count
        let text = String(decoding: digits, as: UTF8.self)
        switch point {
        case count...21: return text + String(repeating: "0", count: point - count)
        case 1..<count where point <= 21: return text.prefix(point) + "." + text.dropFirst(point)
        case -5...0: return "0." + String(repeating: "0", count: -point) + text
        default:
            let exponent = point - 1
            let fraction = count == 1 ? "" : "." + text.dropFirst()
            return text.prefix(1) + fraction + "e" + (exponent < 0 ? "-" : "+") + String(abs(exponent))
        }
    }
}
