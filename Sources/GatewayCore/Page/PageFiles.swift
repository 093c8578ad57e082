import CChatPage
import JSON
import NIOCore

/// Files embedded in the executable, by the paths under which they are served. `Sources/CChatPage/Assets` holds them.
struct PageFiles: Sendable {
    /// The gateway's page: `/` and `/assets/…`.
    let page: [String: PageFile]
    /// Operators' page on the admin listener: `/status` and `/status/…`.
    let status: [String: PageFile]

    /// The embedded files, made when first used: hashing and compressing take a few milliseconds.
    static let embedded = PageFiles(embeddedFiles())

    /// Text that stands for the version of a file in the sources.
    private static let placeholder = "?v=dev"

    /// - Parameter sources: A file comes after those that it refers to.
    init(_ sources: [(name: String, text: String)]) {
        var files: [PageFile] = []
        for (name, text) in sources {
            files.append(PageFile(name: name, bytes: Array(Self.resolved(text, files).utf8)))
        }
        var page: [String: PageFile] = [:]
        var status: [String: PageFile] = [:]
        for file in files {
            switch file.name {
            case "index.html": page["/"] = file
            case "status.html": status["/status"] = file
            case "status.js": status["/status/status.js"] = file
            default:
                page["/assets/\(file.name)"] = file
                if file.name == "page.css" || file.name == "icon.svg" { status["/status/\(file.name)"] = file }
            }
        }
        self.page = page
        self.status = status
    }

    /// Text of index.html that is replaced by the configured texts.
    private static let textsPlaceholder = "id=\"texts\">{}<"

    /// Returns the page's document with the configured texts.
    func document(with texts: JSONObject) -> PageFile? {
        guard !texts.isEmpty, let file = page["/"] else { return page["/"] }
        // Inside of a script element, text must not look like its end or like a comment.
        let json = JSONValue.object(texts).text.replacing("<", with: "\\u003c")
        let text = String(buffer: file.body).replacing(
            Self.textsPlaceholder, with: "id=\"texts\">\(json)<", maxReplacements: 1)
        return PageFile(name: file.name, bytes: Array(text.utf8))
    }

    /// Returns the text with the version of each file that it refers to, so that a browser may cache those files
    /// forever.
    private static func resolved(_ text: String, _ known: [PageFile]) -> String {
        var result = ""
        var rest = text[...]
        while let mark = rest.firstRange(of: placeholder) {
            let before = rest[..<mark.lowerBound]
            let file = known.first { before.hasSuffix("/" + $0.name) }
            result += before
            result += file.map { "?v=\($0.version)" } ?? placeholder
            rest = rest[mark.upperBound...]
        }
        return result + rest
    }

    private static func embeddedFiles() -> [(name: String, text: String)] {
        (0..<chat_page_file_count()).map { index in
            let file = chat_page_file_at(index)
            let bytes = UnsafeBufferPointer(start: file.bytes, count: file.count)
            let name = String(cString: file.name)
            let text = String(decoding: bytes, as: UTF8.self)
            return (name, name.hasSuffix(".js") || name.hasSuffix(".css") ? lean(text) : text)
        }
    }

    /// Returns a script or style sheet without indents, empty lines and comment lines, which are only for readers of
    /// the sources. Line ends stay, because they may end a statement.
    static func lean(_ text: String) -> String {
        text.split(separator: "\n").map { $0.drop { $0 == " " } }.filter { line in
            !line.isEmpty && !line.hasPrefix("//") && !(line.hasPrefix("/*") && line.hasSuffix("*/"))
        }.joined(separator: "\n") + "\n"
    }
}
