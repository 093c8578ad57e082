import Crypto
import JSON
import MCP

/// Pages of `tools/list`, collected within limits on their number, their bytes and their tools.
struct CatalogPages: Sendable {
    /// The next step after a page.
    enum Step: Hashable, Sendable {
        /// Request the page with this cursor.
        case next(String)
        /// The list has ended, or is not read further.
        case end
        /// The page is malformed.
        case invalid
    }

    /// Limits of a whole list.
    struct Limits: Sendable {
        var pages = 200
        var tools: Int
        /// Largest size of all tools' definitions together, in bytes.
        var bytes: Int
        /// Largest length of a cursor, which is sent back and stored.
        var cursorBytes = 8_192
    }

    /// State after a page, from which the same page is not read again.
    private struct Record: Sendable {
        /// SHA-256 of the page's result.
        let digest: [UInt8]
        let step: Step
        let tools: Int
        let bytes: Int
        let footprint: Int
        let lifetime: Duration?
        let warnings: [ToolCatalog.Warning]
    }

    /// The list as it was read before.
    private final class Former: Sendable {
        let pages: CatalogPages
        init(_ pages: CatalogPages) { self.pages = pages }
    }

    private(set) var tools: [ToolDefinition] = []
    /// The tools word for word.
    private(set) var sources: [JSONValue] = []
    private(set) var lifetime: Duration?
    private(set) var warnings: [ToolCatalog.Warning] = []
    private let limits: Limits
    private var records: [Record] = []
    /// Nil without one, and once a page differs from it.
    private var former: Former?
    /// Number of pages that were read, beside those that are as they were.
    private(set) var pagesRead = 0
    private var pages: Int { records.count }
    /// Size of the tools' definitions so far.
    private var bytes = 0
    /// Memory that their values take.
    private(set) var footprint = 0
    private var cursors: Set<ExactString> = []

    /// - Parameter former: The list as it was read before. Its pages are not read again as long as they are the same.
    init(_ limits: Limits, former: CatalogPages? = nil) {
        self.limits = limits
        self.former = former.map { Former($0) }
    }

    /// True if every page is as it was.
    var isUnchanged: Bool { former.map { $0.pages.records.count == records.count } ?? false }

    /// The pages, without reference to how the list was before.
    var withoutFormer: CatalogPages {
        var pages = self
        pages.former = nil
        return pages
    }

    /// Adds the result of one `tools/list`.
    mutating func take(_ result: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Step {
        let digest = Array(SHA256.hash(data: UnsafeRawBufferPointer(rebasing: bytes[result.range])))
        if let step = takeUnchanged(digest) { return step }
        former = nil
        pagesRead += 1
        let step = read(result, in: bytes)
        if step != .invalid {
            records.append(
                Record(
                    digest: digest, step: step, tools: tools.count, bytes: self.bytes, footprint: footprint,
                    lifetime: lifetime, warnings: warnings))
        }
        return step
    }

    /// Adds a page that is as it was; nil when it is not.
    private mutating func takeUnchanged(_ digest: [UInt8]) -> Step? {
        guard let former = former?.pages, former.records.indices.contains(pages) else { return nil }
        let record = former.records[pages]
        guard record.digest == digest else { return nil }
        tools += former.tools[tools.count..<record.tools]
        sources += former.sources[sources.count..<record.tools]
        (bytes, footprint, lifetime, warnings) = (record.bytes, record.footprint, record.lifetime, record.warnings)
        if case .next(let cursor) = record.step { cursors.insert(ExactString(cursor)) }
        records.append(record)
        return record.step
    }

    private mutating func read(_ result: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Step {
        guard let list = JSONScanner.member("tools", of: result, in: bytes), list.kind == .array else {
            return .invalid
        }
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
        guard pages + 1 < limits.pages else { return cut("it has more than \(limits.pages) pages") }
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
                footprint += JSONValue.footprint(of: UnsafeRawBufferPointer(rebasing: buffer[element.range]))
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
