import JSON

/// Arguments of a tool call as models and servers write them: the text of a JSON object, or nearly.
enum ToolArguments {
    /// Largest number of nested encodings that are decoded.
    private static let maximumEncodings = 3

    /// Reads arguments. Nothing, `null` and an empty list mean none; text within text and a list of one object are
    /// decoded. Returns nil for anything else.
    static func object(_ text: String) -> JSONObject? {
        var text = unfenced(trimmed(text[...]))
        // Some servers begin with an empty object and send the arguments after it.
        if text.hasPrefix("{}"), text.dropFirst(2).contains("{") { text = trimmed(text.dropFirst(2)) }
        for _ in 0..<maximumEncodings {
            if text.isEmpty || ["null", "None", "undefined"].contains(text) { return [:] }
            switch try? JSONValue(parsing: String(text)) {
            case .object(let object): return object
            case .array(let list) where list.isEmpty: return [:]
            case .array(let list): return list.count == 1 ? list[0].object : nil
            case .string(let inner): text = unfenced(trimmed(inner[...]))
            default: return nil
            }
        }
        return nil
    }

    /// Returns the JSON text of arguments that can be read; others unchanged.
    static func normalized(_ text: String) -> String {
        object(text).map { JSONValue.object($0).text } ?? text
    }

    /// Returns the arguments as text, whether they come as text or as the object itself.
    static func text(of value: JSONValue?) -> String {
        guard let value, !value.isNull else { return "" }
        return value.string ?? value.text
    }

    /// Removes the marks of a code block.
    private static func unfenced(_ text: Substring) -> Substring {
        guard text.hasPrefix("```"), text.hasSuffix("```"), text.utf8.count >= 6 else { return text }
        let inner = text.dropFirst(3).dropLast(3)
        return trimmed(inner.hasPrefix("json") ? inner.dropFirst(4) : inner)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let isKept: (Unicode.Scalar) -> Bool = { !$0.properties.isWhitespace && $0 != "\0" && $0 != "\u{FEFF}" }
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: isKept), let last = scalars.lastIndex(where: isKept) else {
            return ""
        }
        return Substring(scalars[first...last])
    }
}

/// Balance of brackets in JSON text that comes in pieces: determines when an object or list is complete. Reads each
/// byte once.
struct JSONBalance: Sendable {
    private var depth = 0
    private var hasBegun = false
    private var isInString = false
    private var isEscaped = false

    /// True if everything that was opened is closed.
    var isComplete: Bool { hasBegun && depth == 0 }

    /// Takes the next piece.
    mutating func feed(_ text: String) {
        for byte in text.utf8 {
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                hasBegun = true
                depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth = max(0, depth - 1)
            default: break
            }
        }
    }
}
