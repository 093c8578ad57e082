extension JSONValue {
    /// Compact UTF-8 text, members in their order.
    package var serialized: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    /// Text of `serialized`.
    package var text: String { String(decoding: serialized, as: UTF8.self) }

    /// Appends the compact text.
    package func append(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: (value ? "true" : "false").utf8)
        case .number(let value): bytes.append(contentsOf: value.text.utf8)
        case .string(let value): JSONText.appendQuoted(value, to: &bytes)
        case .array(let elements):
            bytes.append(Byte.openBracket)
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(Byte.comma) }
                element.append(to: &bytes)
            }
            bytes.append(Byte.closeBracket)
        case .object(let members):
            members.append(to: &bytes)
        }
    }

    /// Text for people, indented by two spaces.
    package var prettyText: String {
        var bytes: [UInt8] = []
        appendPretty(to: &bytes, indent: 0)
        return String(decoding: bytes, as: UTF8.self)
    }

    private func appendPretty(to bytes: inout [UInt8], indent: Int) {
        func newLine(_ indent: Int) {
            bytes.append(UInt8(ascii: "\n"))
            bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent))
        }
        switch self {
        case .array(let elements) where !elements.isEmpty:
            bytes.append(Byte.openBracket)
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(Byte.comma) }
                newLine(indent + 2)
                element.appendPretty(to: &bytes, indent: indent + 2)
            }
            newLine(indent)
            bytes.append(Byte.closeBracket)
        case .object(let members) where !members.isEmpty:
            bytes.append(Byte.openBrace)
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(Byte.comma) }
                newLine(indent + 2)
                JSONText.appendQuoted(member.key, to: &bytes)
                bytes.append(contentsOf: ": ".utf8)
                member.value.appendPretty(to: &bytes, indent: indent + 2)
            }
            newLine(indent)
            bytes.append(Byte.closeBrace)
        default:
            append(to: &bytes)
        }
    }
}

extension JSONObject {
    /// Compact UTF-8 text, members in their order.
    package var serialized: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    /// Appends the compact text.
    package func append(to bytes: inout [UInt8]) {
        bytes.append(Byte.openBrace)
        for (index, member) in enumerated() {
            if index > 0 { bytes.append(Byte.comma) }
            JSONText.appendQuoted(member.key, to: &bytes)
            bytes.append(Byte.colon)
            member.value.append(to: &bytes)
        }
        bytes.append(Byte.closeBrace)
    }
}
