import JSON
import MCP

/// Pages of `tools/list`, collected within limits on their number, their bytes and their tools.
struct CatalogPages {
    /// The next step after a page.
    enum Step: Hashable {
        /// Request the page with this cursor.
        case next(String)
        /// The list has ended, or is not read further.
        case end
        /// The page is malformed.
        case invalid
    }

    /// Limits of a whole list.
    struct Limits {
        var pages = 200
        var tools: Int
        /// Largest size of all tools' definitions together, in bytes.
        var bytes: Int
        /// Largest length of a cursor, which is sent back and stored.
        var cursorBytes = 8_192
    }

    private(set) var tools: [ToolDefinition] = []
    /// The tools word for word.
    private(set) var sources: [JSONValue] = []
    private(set) var lifetime: Duration?
    private(set) var warnings: [ToolCatalog.Warning] = []
    private let limits: Limits
    private var pages = 0
    private var bytes = 0
    private var cursors: Set<ExactString> = []

    init(_ limits: Limits) {
        self.limits = limits
    }

    /// Adds the result of one `tools/list`.
    mutating func take(_ result: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Step {
        guard let list = JSONScanner.member("tools", of: result, in: bytes), list.kind == .array else {
            return .invalid
        }
        pages += 1
        note(lifetime: JSONScanner.member("ttlMs", of: result, in: bytes).map { JSONValue($0, in: bytes) })
        guard add(list, in: bytes) else { return .end }
        // An empty cursor is a cursor like any other (2026-07-28); absent or null ends the list.
        guard let cursor = JSONScanner.member("nextCursor", of: result, in: bytes), cursor.kind == .string else {
            return .end
        }
        guard cursor.count <= limits.cursorBytes else {
            return cut("a cursor is longer than \(limits.cursorBytes) bytes")
        }
        let text = JSONText.string(cursor, in: bytes)
        guard cursors.insert(ExactString(text)).inserted else { return cut("the server sent a cursor again") }
        guard pages < limits.pages else { return cut("it has more than \(limits.pages) pages") }
        return .next(text)
    }

    /// Adds the tools of a page; false when there are too many or they are too large. Each is decoded on its own, so
    /// that unused ones are not.
    private mutating func add(_ list: JSONSlice, in buffer: UnsafeRawBufferPointer) -> Bool {
        var isWhole = true
        JSONScanner.elements(of: list, in: buffer) { element in
            bytes += element.count
            if tools.count >= limits.tools {
                _ = cut("it has more than \(limits.tools) tools")
                isWhole = false
            } else if bytes > limits.bytes {
                _ = cut("it is larger than \(limits.bytes) bytes")
                isWhole = false
            } else {
                let source = JSONValue(element, in: buffer)
                // One tool that makes no sense must not hide the others.
                guard let tool = try? ToolDefinition(json: source) else { return isWhole }
                tools.append(tool)
                sources.append(source)
            }
            return isWhole
        }
        return isWhole
    }

    private mutating func note(lifetime milliseconds: JSONValue?) {
        guard let value = milliseconds?.safeInteger, value >= .zero else { return }
        lifetime = min(lifetime ?? .seconds(86_400), .milliseconds(value.value))
    }

    private mutating func cut(_ reason: String) -> Step {
        warnings.append(ToolCatalog.Warning(.cut, reason: "\(reason); \(tools.count) tools are used"))
        return .end
    }
}
