/// Incremental parser of `text/event-stream`: takes bytes in pieces of any size, returns events.
///
/// Lines end with CR, LF or CRLF; a leading byte order mark is skipped; comments and unknown fields are ignored; an
/// incomplete event at the end of the stream is dropped. An `id` over ``maximumIDBytes`` counts as none: it could not be
/// sent back.
package struct SSEParser: Sendable {
    /// Default of the largest event: 16 MiB, the default limit of an upstream response.
    package static let defaultMaximumEventBytes = 16 << 20

    /// Largest `id`, in bytes; it is kept and sent in a header.
    package static let maximumIDBytes = 4096
    /// Largest event name, in bytes; the rest is cut off.
    private static let maximumNameBytes = 1024

    /// Last `id` seen, for `Last-Event-ID`; empty when there was none.
    package private(set) var lastEventID = ""

    private let limit: Int
    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var event = ""
    private var id: String?
    private var retry: Int?
    private var hasData = false
    /// True if the last byte was a CR: an LF that follows belongs to it.
    private var afterCarriageReturn = false
    private var isFirstLine = true

    /// Number of bytes that are kept of an event that has not ended yet.
    package var heldBytes: Int { line.count + data.count }

    /// - Parameter maximumEventBytes: Largest size of the lines of one event, beyond which parsing fails.
    package init(maximumEventBytes: Int = SSEParser.defaultMaximumEventBytes) {
        limit = maximumEventBytes
    }

    /// Takes bytes and returns the events that they complete.
    ///
    /// - Throws: `SSEError.eventTooLarge`; the parser cannot be used afterwards.
    package mutating func feed(_ bytes: some Collection<UInt8>) throws(SSEError) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        let fed = bytes.withContiguousStorageIfAvailable { buffer in
            consume(UnsafeRawBufferPointer(buffer), &events)
        }
        let withinLimit = fed ?? Array(bytes).withUnsafeBytes { consume($0, &events) }
        guard withinLimit else { throw .eventTooLarge(limit: limit) }
        return events
    }

    /// Takes raw bytes, likewise.
    /// - Throws: `SSEError.eventTooLarge`; the parser cannot be used afterwards.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(SSEError) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        guard consume(bytes, &events) else { throw .eventTooLarge(limit: limit) }
        return events
    }

    /// Parses bytes; false when the limit is exceeded.
    private mutating func consume(_ bytes: UnsafeRawBufferPointer, _ events: inout [ServerSentEvent]) -> Bool {
        var position = 0
        if afterCarriageReturn, let first = bytes.first {
            afterCarriageReturn = false
            if first == UInt8(ascii: "\n") { position = 1 }
        }
        while position < bytes.count {
            var end = position
            while end < bytes.count, bytes[end] != UInt8(ascii: "\n"), bytes[end] != UInt8(ascii: "\r") { end += 1 }
            let piece = UnsafeRawBufferPointer(rebasing: bytes[position..<end])
            guard line.count + piece.count + data.count <= limit else { return false }
            guard end < bytes.count else {
                line.append(contentsOf: piece)
                return true
            }
            if line.isEmpty {
                endLine(piece, &events)
            } else {
                line.append(contentsOf: piece)
                let whole = line
                line.removeAll(keepingCapacity: whole.count <= 4096)
                whole.withUnsafeBytes { endLine($0, &events) }
            }
            position = end + 1
            if bytes[end] == UInt8(ascii: "\r") {
                if position == bytes.count {
                    afterCarriageReturn = true
                } else if bytes[position] == UInt8(ascii: "\n") {
                    position += 1
                }
            }
        }
        return true
    }

    private mutating func endLine(_ line: UnsafeRawBufferPointer, _ events: inout [ServerSentEvent]) {
        var line = line
        if isFirstLine {
            isFirstLine = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line = UnsafeRawBufferPointer(rebasing: line[3...]) }
        }
        guard !line.isEmpty else { return dispatch(&events) }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
            return field(line, UnsafeRawBufferPointer(start: nil, count: 0))
        }
        guard colon > 0 else { return }  // A comment.
        var start = colon + 1
        if start < line.count, line[start] == UInt8(ascii: " ") { start += 1 }
        field(UnsafeRawBufferPointer(rebasing: line[..<colon]), UnsafeRawBufferPointer(rebasing: line[start...]))
    }

    private mutating func field(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        if name.elementsEqual("data".utf8) {
            if hasData { data.append(UInt8(ascii: "\n")) }
            hasData = true
            data.append(contentsOf: value)
        } else if name.elementsEqual("event".utf8) {
            event = String(decoding: value.prefix(Self.maximumNameBytes), as: UTF8.self)
        } else if name.elementsEqual("id".utf8) {
            // From an empty id nothing can be resumed, so that no event is fetched twice from an earlier one.
            if value.count > Self.maximumIDBytes {
                id = ""
            } else if !value.contains(0) {
                id = String(decoding: value, as: UTF8.self)
            }
        } else if name.elementsEqual("retry".utf8) {
            if !value.isEmpty, value.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
                // A number with more digits than fit means a very long pause; callers limit it.
                retry = Int(String(decoding: value, as: UTF8.self)) ?? .max
            }
        }
    }

    private mutating func dispatch(_ events: inout [ServerSentEvent]) {
        if let id { lastEventID = id }
        if hasData || id != nil || retry != nil {
            events.append(
                ServerSentEvent(
                    id: id, event: event.isEmpty ? "message" : event, data: String(decoding: data, as: UTF8.self),
                    hasData: hasData, retry: retry))
        }
        data.removeAll(keepingCapacity: data.count <= 4096)
        event = ""
        id = nil
        retry = nil
        hasData = false
    }
}
