import JSON
import NIOCore

/// Filter that removes hidden tools from the lists in an upstream's response: results of `tools/list`, alone or in a
/// batch, as a JSON document or as events of a stream. Everything else passes byte for byte.
struct ToolListFilter {
    private let tools: PassThroughTools
    private let isEventStream: Bool
    private let limit: Int
    /// Bytes that are held back: the document, or the incomplete event.
    private var held: [UInt8] = []
    private var isLineEmpty = true
    private var isAfterCarriageReturn = false

    /// - Parameter limit: Largest size of a document or an event, in bytes.
    init(_ tools: PassThroughTools, isEventStream: Bool, limit: Int) {
        self.tools = tools
        self.isEventStream = isEventStream
        self.limit = limit
    }

    /// Takes a piece of the response and returns the bytes that can be sent on; nil when more than the limit would be
    /// held.
    mutating func feed(_ bytes: ByteBuffer) -> ByteBuffer? {
        var output = ByteBuffer()
        if isEventStream {
            for byte in bytes.readableBytesView { take(byte, &output) }
        } else {
            held.append(contentsOf: bytes.readableBytesView)
        }
        return held.count <= limit ? output : nil
    }

    /// Returns the rest of the answer.
    mutating func finish() -> ByteBuffer {
        defer { held = [] }
        // Clients ignore an event without its blank line (HTML, section 9.2.6).
        return ByteBuffer(bytes: isEventStream ? held : filtered(held) ?? held)
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
        if isLineEmpty {
            output.writeBytes(event(held))
            held.removeAll(keepingCapacity: true)
        }
        isLineEmpty = true
    }

    /// Returns an event with its data filtered.
    private func event(_ bytes: [UInt8]) -> [UInt8] {
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
        guard let filtered = filtered(data) else { return bytes }
        fields.append(
            Array("data: ".utf8 + filtered.filter { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") })[...])
        return fields.flatMap { $0 + [UInt8(ascii: "\n")] } + [UInt8(ascii: "\n")]
    }

    /// Returns a document without the hidden tools; nil where it has none.
    func filtered(_ document: [UInt8]) -> [UInt8]? {
        document.withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            guard let root = try? scanner.document() else { return nil }
            var lists: [JSONSlice] = []
            if root.kind == .array {
                JSONScanner.elements(of: root, in: bytes) { element in
                    lists += Self.lists(in: element, bytes)
                    return true
                }
            } else {
                lists = Self.lists(in: root, bytes)
            }
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
            return differs ? output + bytes[end...] : nil
        }
    }

    /// Returns the lists of tools in a message, under each of duplicate keys, since readers differ in which one they
    /// take.
    private static func lists(in message: JSONSlice, _ bytes: UnsafeRawBufferPointer) -> [JSONSlice] {
        var lists: [JSONSlice] = []
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
