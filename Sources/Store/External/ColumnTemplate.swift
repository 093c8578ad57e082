/// Text with references to columns of a row: `/psm/project/{id}/`.
package struct ColumnTemplate: Hashable, Sendable {
    /// Text, or the name of a column.
    package enum Part: Hashable, Sendable {
        case text(String)
        case column(String)
    }

    /// Parts in the order of the template.
    package let parts: [Part]

    /// Columns in order of appearance, each once.
    package var columns: [String] {
        parts.reduce(into: []) { columns, part in
            if case .column(let name) = part, !columns.contains(name) { columns.append(name) }
        }
    }

    /// Parses a template; nil for an unmatched brace or an empty name.
    package init?(parsing text: String) {
        var parts: [Part] = []
        var rest = Substring(text)
        while let open = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
            guard rest[open] == "{", let close = rest[open...].firstIndex(of: "}") else { return nil }
            let name = rest[rest.index(after: open)..<close]
            guard !name.isEmpty, !name.contains("{") else { return nil }
            if open > rest.startIndex { parts.append(.text(String(rest[..<open]))) }
            parts.append(.column(String(name)))
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
        self.parts = parts
    }

    /// Creates the template that consists of one column.
    package init(column: String) {
        parts = [.column(column)]
    }

    /// Returns the text for a row.
    package func text(_ values: [String: String]) -> String {
        parts.reduce(into: "") { text, part in
            switch part {
            case .text(let piece): text += piece
            case .column(let name): text += values[name] ?? ""
            }
        }
    }

    /// Returns the URL for a row: each value is percent-encoded as one path segment, unless the template is a single
    /// column, which then holds a whole URL.
    package func url(_ values: [String: String]) -> String {
        guard parts.count > 1 else { return text(values) }
        return text(values.mapValues(Self.percentEncoded))
    }

    private static func percentEncoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += "%" + (digits.count < 2 ? "0" : "") + digits
            }
        }
        return encoded
    }
}
