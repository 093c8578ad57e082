/// One line of a stdio transport.
package enum InputLine: Hashable, Sendable {
    /// A line without its end; never empty.
    case text([UInt8])
    /// A line longer than the limit; its bytes were dropped while they were read.
    case tooLong
}

/// Splitter of bytes into lines, for the stdio transports of both sides. No I/O: the reading thread and the tests feed
/// it.
package struct LineSplitter: Sendable {
    private let limit: Int
    private var partial: [UInt8] = []
    private var isSkipping = false

    /// - Parameter limit: Largest line without its end, in bytes.
    package init(limit: Int) { self.limit = limit }

    /// Takes bytes and emits the lines that they complete.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer, _ emit: (InputLine) -> Void) {
        var rest = bytes[...]
        while let end = rest.firstIndex(of: 0x0A) {
            take(rest[..<end])
            finish(emit)
            rest = rest[(end + 1)...]
        }
        take(rest)
    }

    /// Returns the text after the last line end, which is a line too.
    package mutating func end(_ emit: (InputLine) -> Void) { finish(emit) }

    private mutating func take(_ bytes: Slice<UnsafeRawBufferPointer>) {
        guard !isSkipping else { return }
        guard partial.count + bytes.count <= limit + 1 else {
            isSkipping = true
            partial = []
            return
        }
        partial.append(contentsOf: bytes)
    }

    private mutating func finish(_ emit: (InputLine) -> Void) {
        defer {
            partial.removeAll(keepingCapacity: partial.capacity <= 64 * 1024)
            isSkipping = false
        }
        if partial.last == 0x0D { partial.removeLast() }
        if isSkipping || partial.count > limit { return emit(.tooLong) }
        if partial.contains(where: { $0 != 0x20 && $0 != 0x09 }) { emit(.text(partial)) }
    }
}
