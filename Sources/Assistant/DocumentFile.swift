import Foundation

/// A file as a document: its title, and its text in paragraphs.
package struct DocumentFile: Sendable {
    /// Formats that can be read.
    package enum Format: String, CaseIterable, Sendable {
        case text, markdown, html

        /// Determines the format of a file by its name; nil for an unknown extension.
        package init?(fileName: String) {
            switch URL(filePath: fileName).pathExtension.lowercased() {
            case "txt", "text", "": self = .text
            case "md", "markdown": self = .markdown
            case "html", "htm", "xhtml": self = .html
            default: return nil
            }
        }
    }

    /// Reason why a file cannot be a document.
    package enum ReadError: Error, Hashable, CustomStringConvertible {
        case notUTF8, empty

        package var description: String {
            switch self {
            case .notUTF8: "not UTF-8 text"
            case .empty: "no text in it"
            }
        }
    }

    /// Largest length of a passage, in characters; a longer one is divided.
    static let maximumPassageLength = 1200

    /// Heading found in the file, else its name.
    package let title: String
    /// Paragraphs with blank lines between them, none longer than a passage.
    package let body: String

    /// Reads a document from a file's bytes.
    /// - Throws: ``ReadError`` naming the file and the reason.
    package init(name: String, format: Format, bytes: [UInt8]) throws(ReadError) {
        guard var text = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
        if text.hasPrefix("\u{FEFF}") { text.removeFirst() }
        let plain: (title: String?, text: String)
        switch format {
        case .text: plain = (nil, text)
        case .markdown: plain = MarkdownText.plain(text)
        case .html: plain = HTMLText.plain(text)
        }
        let passages = Self.passages(of: plain.text)
        guard !passages.isEmpty else { throw .empty }
        let stem = URL(filePath: name).deletingPathExtension().lastPathComponent
        title = plain.title.flatMap { $0.isEmpty ? nil : $0 } ?? stem
        body = passages.joined(separator: "\n\n")
    }

    /// Returns paragraphs; long ones are divided between sentences, or at least between words.
    package static func passages(of text: String) -> [String] {
        var passages: [String] = []
        var lines: [Substring] = []
        func finish() {
            divide(lines.joined(separator: "\n"), into: &passages)
            lines = []
        }
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            if line.allSatisfy(\.isWhitespace) { finish() } else { lines.append(line) }
        }
        finish()
        return passages
    }

    private static func divide(_ paragraph: String, into passages: inout [String]) {
        var rest = Substring(paragraph)
        while let limit = rest.index(rest.startIndex, offsetBy: maximumPassageLength, limitedBy: rest.endIndex),
            limit < rest.endIndex
        {
            let head = rest[..<limit]
            // Not in the first half: the rest would hardly become shorter.
            let half = head[head.index(head.startIndex, offsetBy: maximumPassageLength / 2)...]
            let sentence = half.lastIndex { ".!?\n。！？".contains($0) }
            let end = sentence ?? half.lastIndex(where: \.isWhitespace) ?? half.indices.last ?? head.startIndex
            add(rest[...end], to: &passages)
            rest = rest[rest.index(after: end)...]
        }
        add(rest, to: &passages)
    }

    private static func add(_ text: Substring, to passages: inout [String]) {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        if !trimmed.isEmpty { passages.append(trimmed) }
    }
}

/// Markdown without its formatting.
enum MarkdownText {
    static func plain(_ markdown: String) -> (title: String?, text: String) {
        var title: String?
        var lines: [String] = []
        var fence: Substring?
        for line in withoutFrontMatter(markdown) {
            let content = line.drop(while: { $0 == " " })
            if let mark = fence {
                if content.hasPrefix(mark) { fence = nil } else { lines.append(String(line)) }
            } else if content.hasPrefix("```") || content.hasPrefix("~~~") {
                fence = content.prefix(3)
            } else if let heading = heading(content) {
                if title == nil { title = heading }
                // A heading as a passage of its own would be found without the text below it.
                lines += ["", heading]
            } else if isUnderline(content), let above = lines.last, !above.isEmpty {
                if title == nil { title = above }
            } else {
                lines.append(inline(line))
            }
        }
        return (title, lines.joined(separator: "\n"))
    }

    private static func withoutFrontMatter(_ text: String) -> ArraySlice<Substring> {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        guard lines.first == "---", let end = lines.dropFirst().firstIndex(of: "---") else { return lines[...] }
        return lines[(end + 1)...]
    }

    private static func heading(_ line: Substring) -> String? {
        let marks = line.prefix { $0 == "#" }
        guard (1...6).contains(marks.count), line.dropFirst(marks.count).first == " " else { return nil }
        let text = line.dropFirst(marks.count).trimmingCharacters(in: CharacterSet(charactersIn: " #"))
        return inline(Substring(text))
    }

    private static func isUnderline(_ line: Substring) -> Bool {
        line.count >= 3 && (line.allSatisfy { $0 == "=" } || line.allSatisfy { $0 == "-" })
    }

    /// Returns links and images as their text, and emphasis without its marks.
    private static func inline(_ line: Substring) -> String {
        String(decoding: withoutLinks(Array(line.utf8)), as: UTF8.self)
            .replacing("**", with: "").replacing("__", with: "").replacing("`", with: "")
    }

    /// Replaces `[label](target)` and `![label](target)` by their labels, in one pass.
    private static func withoutLinks(_ line: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(line.count)
        var targets = LinkTargets(line)
        /// Offset in `text` of the bracket that opens a label.
        var opening: Int?
        var position = 0
        while position < line.count {
            let byte = line[position]
            if byte == UInt8(ascii: "["), opening == nil {
                opening = text.count
            } else if byte == UInt8(ascii: "]") {
                if let start = opening, let end = targets.end(after: position) {
                    let isImage = start > 0 && text[start - 1] == UInt8(ascii: "!")
                    text.removeSubrange((isImage ? start - 1 : start)...start)
                    opening = nil
                    position = end
                    continue
                }
                opening = nil
            }
            text.append(byte)
            position += 1
        }
        return text
    }
}

/// Finder of the targets of a line's links, from the left to the right; it looks at no byte twice for the same purpose.
private struct LinkTargets {
    private static let (longestTarget, longestTitle) = (2048, 1024)

    private let line: [UInt8]
    /// Offset before which, from the last bracket on, no target ends.
    private var clear = 0
    /// The end of the last target that has a title, and the end of the link there, if it is one.
    private var titled: (target: Int, link: Int?)?

    init(_ line: [UInt8]) { self.line = line }

    /// Returns the end of `(target)` or `(target "title")` after a closing bracket. Longer texts do not count as links.
    mutating func end(after bracket: Int) -> Int? {
        guard bracket + 1 < line.count, line[bracket + 1] == UInt8(ascii: "(") else { return nil }
        let limit = min(bracket + 2 + Self.longestTarget, line.count)
        let start = max(bracket + 2, clear)
        guard start < limit else { return nil }
        guard let end = line[start..<limit].firstIndex(where: { $0 == UInt8(ascii: ")") || Self.isBlank($0) }) else {
            clear = limit
            return nil
        }
        clear = end
        if line[end] == UInt8(ascii: ")") { return end + 1 }
        if titled?.target != end { titled = (end, linkEnd(afterTarget: end)) }
        return titled?.link
    }

    private func linkEnd(afterTarget end: Int) -> Int? {
        let title = line[end...].prefix(Self.longestTitle).drop(while: Self.isBlank)
        guard title.first == UInt8(ascii: "\""),
            let quote = title.dropFirst().firstIndex(of: UInt8(ascii: "\"")),
            quote + 1 < line.count, line[quote + 1] == UInt8(ascii: ")")
        else { return nil }
        return quote + 2
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}

/// Text of an HTML page as a reader sees it.
enum HTMLText {
    private static let hidden: Set<String> = ["script", "style", "noscript", "template", "svg", "nav", "iframe"]
    private static let inline: Set<String> = [
        "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "dfn", "em", "font", "i", "kbd", "mark", "q", "s",
        "samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr", "img",
    ]
    private static let entities: [Substring: String] = [
        "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": " ", "ndash": "–", "mdash": "—",
        "hellip": "…", "laquo": "«", "raquo": "»", "ldquo": "“", "rdquo": "”", "lsquo": "‘", "rsquo": "’",
        "bdquo": "„", "copy": "©", "reg": "®", "euro": "€", "auml": "ä", "ouml": "ö", "uuml": "ü", "Auml": "Ä",
        "Ouml": "Ö", "Uuml": "Ü", "szlig": "ß", "eacute": "é", "egrave": "è", "agrave": "à", "ccedil": "ç",
    ]

    static func plain(_ html: String) -> (title: String?, text: String) {
        var text = ""
        var titles: [String: String] = [:]
        var capturing: String?
        var rest = Substring(html)
        while let start = rest.firstIndex(of: "<") {
            let piece = unescaped(rest[..<start])
            rest = rest[start...]
            // The page's own title is not part of its text.
            if let capturing { titles[capturing, default: ""] += piece }
            if capturing != "title" { text += piece }
            guard let tag = Tag(rest) else {
                text += "<"
                rest = rest.dropFirst()
                continue
            }
            rest = rest[tag.end...]
            if !tag.isClosing, hidden.contains(tag.name) {
                rest = after(closing: tag.name, rest)
            } else if tag.name == "title" || tag.name == "h1" {
                if tag.isClosing { capturing = nil } else if titles[tag.name] == nil { capturing = tag.name }
            }
            if tag.name == "br" || tag.name == "tr" || tag.name == "li" {
                text += "\n"
            } else if tag.name == "td" || tag.name == "th" {
                text += " "
            } else if !tag.name.isEmpty, !inline.contains(tag.name) {
                text += "\u{2029}"
            }
        }
        text += unescaped(rest)
        let title = titles["title"].map(collapsed).flatMap { $0.isEmpty ? nil : $0 } ?? titles["h1"].map(collapsed)
        return (title, paragraphs(text))
    }

    /// Returns paragraphs. White space has no meaning in HTML except where an element ends a line or a paragraph.
    private static func paragraphs(_ text: String) -> String {
        text.split(separator: "\u{2029}").map { block in
            block.split(separator: "\n").map { collapsed(String($0)) }.filter { !$0.isEmpty }.joined(separator: "\n")
        }.filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    private static func collapsed(_ text: String) -> String {
        text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    private static func after(closing name: String, _ text: Substring) -> Substring {
        let mark = Array("</\(name)".utf8)
        let bytes = text.utf8
        var position = bytes.startIndex
        while let start = bytes[position...].firstIndex(of: mark[0]) {
            let candidate = bytes[start...].prefix(mark.count)
            // Names of elements are ASCII letters, whose case is this one bit.
            if candidate.elementsEqual(mark, by: { $0 == $1 || $0 | 0x20 == $1 && $1 >= 0x61 }) {
                return text[start...]
            }
            position = bytes.index(after: start)
        }
        return text[text.endIndex...]
    }

    /// Returns text with its character references decoded; line ends of the source become spaces.
    private static func unescaped(_ text: Substring) -> String {
        var result = ""
        var rest = text
        while let start = rest.firstIndex(of: "&") {
            result += rest[..<start].map { $0.isNewline ? " " : String($0) }.joined()
            rest = rest[rest.index(after: start)...]
            guard let end = rest.prefix(12).firstIndex(of: ";"), let character = character(rest[..<end]) else {
                result += "&"
                continue
            }
            result += character
            rest = rest[rest.index(after: end)...]
        }
        return result + rest.map { $0.isNewline ? " " : String($0) }.joined()
    }

    private static func character(_ name: Substring) -> String? {
        guard name.hasPrefix("#") else { return entities[name] }
        let digits = name.dropFirst()
        let isHexadecimal = digits.hasPrefix("x") || digits.hasPrefix("X")
        let value = isHexadecimal ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
        return value.flatMap(Unicode.Scalar.init).map { String(Character($0)) }
    }

    /// A tag, comment or declaration at the beginning of a text.
    private struct Tag {
        /// Name in lower case; empty for a tag that is not an element.
        let name: String
        let isClosing: Bool
        let end: Substring.Index

        init?(_ text: Substring) {
            if text.hasPrefix("<!--") {
                end = text.firstRange(of: "-->")?.upperBound ?? text.endIndex
                name = ""
                isClosing = false
                return
            }
            let inner = text.dropFirst()
            guard let first = inner.first, first.isLetter || "/!?".contains(first) else { return nil }
            isClosing = first == "/"
            name = inner.drop { "/!?".contains($0) }.prefix { $0.isLetter || $0.isNumber }.lowercased()
            var quote: Character?
            let close = inner.firstIndex { character in
                if let open = quote {
                    if character == open { quote = nil }
                    return false
                }
                if character == "\"" || character == "'" { quote = character }
                return character == ">"
            }
            end = close.map { text.index(after: $0) } ?? text.endIndex
        }
    }
}
