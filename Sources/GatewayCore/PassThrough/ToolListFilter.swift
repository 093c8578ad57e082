import JSON
import MCPClient
import NIOCore
import ProcessMemory

/// Filter that removes hidden tools from the lists in an upstream's response: results of `tools/list`, alone or in a
/// batch, as a JSON document or as events of a stream. Everything else passes byte for byte, but for what begins like JSON
/// and cannot be read: some client may read it, and find a list in it.
struct ToolListFilter: Sendable {
    private let tools: PassThroughTools
    /// True if events are filtered one by one, false if the whole document is.
    let isEventStream: Bool
    private let limit: Int
    /// Bytes that are held back: the document, or the incomplete event.
    private var held: [UInt8] = []
    private var isLineEmpty = true
    private var isAfterCarriageReturn = false
    private var isFirstLine = true
    /// True once an event begins like JSON and cannot be read.
    private var isUnreadable = false
    private let memory: MemoryBudget
    private var reservation: MemoryReservation?

    /// Size of what is held back, in bytes.
    var heldBytes: Int { held.count }
    /// True if the budget had no room for what would have to be held back.
    private(set) var isStarved = false

    /// - Parameters:
    ///   - limit: Largest size of a document or an event, in bytes.
    ///   - memory: Budget from which it draws.
    init(_ tools: PassThroughTools, isEventStream: Bool, limit: Int, memory: MemoryBudget = .unlimited) {
        self.memory = memory
        self.tools = tools
        self.isEventStream = isEventStream
        self.limit = limit
    }

    /// Takes a piece of the response and returns the bytes that can be sent on; nil when more than the limit, or than
    /// there is memory for, would be held, or when an event cannot be read.
    mutating func feed(_ bytes: ByteBuffer) -> ByteBuffer? {
        var output = ByteBuffer()
        if isEventStream {
            for byte in bytes.readableBytesView { take(byte, &output) }
        } else {
            held.append(contentsOf: bytes.readableBytesView)
        }
        if held.isEmpty { reservation = nil }
        guard held.count <= limit, !isUnreadable else { return nil }
        guard memory.hold(held.count, in: &reservation) else {
            isStarved = true
            return nil
        }
        return output
    }

    /// Returns whether a piece may complete so long an event that it is filtered beside the event loop.
    func completesLongEvent(_ bytes: ByteBuffer) -> Bool {
        isEventStream && ParsingQueue.isLongEvent(held: held.count, completedBy: bytes)
    }

    /// Returns the rest of the answer; nil when it cannot be read.
    func rest() -> ByteBuffer? {
        // Most clients ignore an event without its blank line (HTML, section 9.2.6), but not all.
        guard isEventStream else {
            if case .unchanged = outcome(of: held), Self.hasEvents(held) { return asEvents() }
            return outcome(of: held).bytes(or: held).map { ByteBuffer(bytes: $0) }
        }
        return held.isEmpty ? ByteBuffer() : event(held).map { ByteBuffer(bytes: $0) }
    }

    /// Returns whether a document may be an event stream that was announced as something else.
    private static func hasEvents(_ document: [UInt8]) -> Bool {
        let lines = document.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        return lines.contains { $0.starts(with: "data:".utf8) || $0.starts(with: byteOrderMark + "data:".utf8) }
    }

    /// Returns the document, filtered as an event stream.
    private func asEvents() -> ByteBuffer? {
        var stream = ToolListFilter(tools, isEventStream: true, limit: limit, memory: memory)
        guard var output = stream.feed(ByteBuffer(bytes: held)), var rest = stream.rest() else { return nil }
        output.writeBuffer(&rest)
        return output
    }

    /// Takes a byte. A blank line ends an event; lines end with CR, LF or both.
    private mutating func take(_ byte: UInt8, _ output: inout ByteBuffer) {
        let isSecondHalf = byte == UInt8(ascii: "\n") && isAfterCarriageReturn
        isAfterCarriageReturn = byte == UInt8(ascii: "\r")
        if isSecondHalf {
            if held.isEmpty { output.writeInteger(byte) } else { held.append(byte) }
            return
        }
        held.append(byte)
        guard byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") else {
            isLineEmpty = false
            return
        }
        if isFirstLine {
            isFirstLine = false
            // A byte order mark at the start of a stream does not belong to its first line.
            if held.starts(with: Self.byteOrderMark) {
                held.removeFirst(Self.byteOrderMark.count)
                output.writeBytes(Self.byteOrderMark)
            }
            isLineEmpty = held.count <= 1
        }
        if isLineEmpty {
            if let event = event(held) { output.writeBytes(event) } else { isUnreadable = true }
            held.removeAll(keepingCapacity: held.count <= 4096)
        }
        isLineEmpty = true
    }

    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// Returns an event with its data filtered; nil when its data cannot be read.
    private func event(_ bytes: [UInt8]) -> [UInt8]? {
        var (fields, data): ([ArraySlice<UInt8>], [UInt8]) = ([], [])
        for line in bytes.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
            guard line.starts(with: "data:".utf8) else {
                fields.append(line)
                continue
            }
            if !data.isEmpty { data.append(UInt8(ascii: "\n")) }
            let value = line.dropFirst("data:".utf8.count)
            data += value.first == 0x20 ? value.dropFirst() : value
        }
        // A document that was announced as a stream has no fields.
        if data.isEmpty, bytes.withUnsafeBytes({ Self.beginsLikeJSON($0) }) {
            return outcome(of: bytes).bytes(or: bytes)
        }
        let filtered: [UInt8]
        switch outcome(of: data) {
        case .unchanged: return bytes
        case .unreadable: return nil
        case .changed(let changed): filtered = changed
        }
        fields.append(
            Array("data: ".utf8 + filtered.filter { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") })[...])
        return fields.flatMap { $0 + [UInt8(ascii: "\n")] } + [UInt8(ascii: "\n")]
    }

    /// A document after the filter.
    private enum Outcome {
        /// It has no hidden tools.
        case unchanged
        case changed([UInt8])
        case unreadable

        func bytes(or document: [UInt8]) -> [UInt8]? {
            switch self {
            case .unchanged: document
            case .changed(let bytes): bytes
            case .unreadable: nil
            }
        }
    }

    /// Returns whether bytes begin as JSON does, in UTF-8 or in another form of Unicode that a client may read.
    private static func beginsLikeJSON(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let isBlank = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        guard let first = bytes.first(where: { !isBlank($0) }) else { return false }
        return [UInt8(ascii: "{"), UInt8(ascii: "["), 0xEF, 0xFE, 0xFF, 0].contains(first)
    }

    /// Returns a document without the hidden tools.
    private func outcome(of document: [UInt8]) -> Outcome {
        document.withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes, maximumDepth: JSONScanner.largestMaximumDepth)
            guard let root = try? scanner.document() else {
                return Self.beginsLikeJSON(bytes) ? .unreadable : .unchanged
            }
            let lists = Self.lists(in: root, bytes)
            var output: [UInt8] = []
            var (end, differs) = (0, false)
            for list in lists {
                let all = Self.elements(of: list, bytes)
                let kept = all.compactMap { visible($0, bytes) }
                differs = differs || tools.pinning != nil || kept.count < all.count
                output += bytes[end..<list.lowerBound]
                output.append(UInt8(ascii: "["))
                output += kept.joined(separator: [UInt8(ascii: ",")])
                output.append(UInt8(ascii: "]"))
                end = list.upperBound
            }
            return differs ? .changed(output + bytes[end...]) : .unchanged
        }
    }

    /// Returns the lists of tools in a message or a batch, under each of duplicate keys, since readers differ in which one
    /// they take.
    private static func lists(in message: JSONSlice, _ bytes: UnsafeRawBufferPointer) -> [JSONSlice] {
        var lists: [JSONSlice] = []
        if message.kind == .array {
            JSONScanner.elements(of: message, in: bytes) { element in
                lists += Self.lists(in: element, bytes)
                return true
            }
        }
        JSONScanner.members(of: message, in: bytes) { member in
            guard JSONText.string(member.key, in: bytes) == "result" else { return true }
            JSONScanner.members(of: member.value, in: bytes) { field in
                if field.value.kind == .array, JSONText.string(field.key, in: bytes) == "tools" {
                    lists.append(field.value)
                }
                return true
            }
            return true
        }
        return lists
    }

    private static func elements(of list: JSONSlice, _ bytes: UnsafeRawBufferPointer) -> [JSONSlice] {
        var elements: [JSONSlice] = []
        JSONScanner.elements(of: list, in: bytes) { element in
            elements.append(element)
            return true
        }
        return elements
    }

    /// Returns a tool's definition as it goes on; nil for a hidden one. What was compared with a pinned definition goes on
    /// as it was read: of a member that comes twice, a client must not take the other one.
    private func visible(_ tool: JSONSlice, _ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        guard isVisible(tool, bytes) else { return nil }
        guard tools.pinning != nil else { return Array(bytes[tool.range]) }
        let definition = JSONValue(tool, in: bytes)
        return tools.allows(definition) ? definition.serialized : nil
    }

    private func isVisible(_ tool: JSONSlice, _ bytes: UnsafeRawBufferPointer) -> Bool {
        var isVisible = true
        JSONScanner.members(of: tool, in: bytes) { member in
            guard JSONText.string(member.key, in: bytes) == "name" else { return true }
            let name = member.value.kind == .string ? JSONText.string(member.value, in: bytes) : nil
            isVisible = name.map { tools.allowlist?.allows($0) != false } ?? false
            return isVisible
        }
        return isVisible
    }
}
