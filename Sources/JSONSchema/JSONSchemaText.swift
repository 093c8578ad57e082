import JSON

/// Short forms of names and values for messages. A name or value may be megabytes long; a message must not be.
enum JSONSchemaText {
    static let maximumLength = 100

    /// Returns the text, or its first 100 scalars and an ellipsis. Reads no more than these.
    static func cut(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard
            let end = scalars.index(scalars.startIndex, offsetBy: maximumLength, limitedBy: scalars.endIndex),
            end != scalars.endIndex
        else { return text }
        return String(scalars[..<end]) + "…"
    }

    /// Returns the JSON text of a value, cut like `cut`. Writes no more of it than that.
    static func brief(_ value: JSONValue) -> String {
        var bytes: [UInt8] = []
        append(value, to: &bytes)
        return cut(String(decoding: bytes, as: UTF8.self))
    }

    private static func append(_ value: JSONValue, to bytes: inout [UInt8]) {
        // At most four bytes a scalar: anything beyond this would be cut off again.
        guard bytes.count <= 4 * maximumLength else { return }
        switch value {
        case .null, .bool: value.append(to: &bytes)
        case .number(let number): bytes.append(contentsOf: cut(number.text).utf8)
        case .string(let string): JSONText.appendQuoted(cutForQuoting(string), to: &bytes)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.prefix(maximumLength).enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                append(element, to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.prefix(maximumLength).enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                JSONText.appendQuoted(cutForQuoting(member.key), to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                append(member.value, to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    /// Returns at least as much of the text as `cut` keeps, without an ellipsis.
    private static func cutForQuoting(_ text: String) -> String {
        String(text.unicodeScalars.prefix(maximumLength + 1))
    }
}
