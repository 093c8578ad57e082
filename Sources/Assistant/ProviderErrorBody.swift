import JSON

/// Error messages in the bodies of providers' responses, in all known forms.
enum ProviderErrorBody {
    /// Largest depth of nesting that is searched.
    private static let maximumDepth = 6
    /// Largest number of entries of a list that are shown.
    private static let maximumEntries = 4
    /// Largest number of bytes of a text that are read.
    private static let maximumLength = 64 << 10
    /// Members that hold a message, in order of preference.
    private static let members = [
        "message", "msg", "detail", "error", "errors", "error_message", "errorMessage", "error_msg",
        "error_description", "description", "reason", "Message", "fault", "faultstring", "details", "title",
    ]

    /// Returns the message in the body of a response with an error status: of JSON in any form, or plain text.
    static func message(in body: [UInt8]) -> String? {
        if let json = ChatCompletion.json(body) { return text(of: json) }
        guard body.count <= maximumLength, let plain = String(validating: body, as: UTF8.self) else { return nil }
        let trimmed = trimmed(plain)
        let isText = trimmed.unicodeScalars.allSatisfy { $0.value >= 0x20 || $0 == "\n" || $0 == "\r" || $0 == "\t" }
        guard !trimmed.isEmpty, isText, !"<{[".contains(trimmed.first ?? "<") else { return nil }
        return trimmed
    }

    /// Returns the message in a value; nil when there is none.
    static func text(of value: JSONValue) -> String? { text(of: value, depth: 0) }

    private static func text(of value: JSONValue, depth: Int) -> String? {
        guard depth < maximumDepth else { return nil }
        switch value {
        case .string(let string):
            let trimmed = trimmed(String(decoding: string.utf8.prefix(maximumLength), as: UTF8.self))
            // Proxies wrap the body of the provider behind them.
            if let first = trimmed.first, "{[".contains(first), let inner = try? JSONValue(parsing: trimmed) {
                return text(of: inner, depth: depth + 1) ?? trimmed
            }
            return trimmed.isEmpty ? nil : trimmed
        case .array(let entries):
            let texts = entries.prefix(maximumEntries).compactMap { text(of: $0, depth: depth + 1) }
            return texts.isEmpty ? nil : texts.joined(separator: "; ")
        case .object(let object):
            if let error = object["error"], error.object != nil || error.array != nil,
                let text = text(of: error, depth: depth + 1)
            {
                return text
            }
            for member in members {
                if let value = object[member], let text = text(of: value, depth: depth + 1) { return text }
            }
            return nil
        case .null, .bool, .number: return nil
        }
    }

    private static func trimmed(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace && $0 != "\u{FEFF}" }),
            let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
        else { return "" }
        return String(scalars[first...last])
    }
}
