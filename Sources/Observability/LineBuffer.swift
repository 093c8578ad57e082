/// Bytes that are appended to, in memory that serves again for the next line.
///
/// `@unchecked Sendable`: it owns its memory alone and cannot be copied.
struct LineBuffer: ~Copyable, @unchecked Sendable {
    private var start: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private var count = 0

    /// - Parameter capacity: Number of bytes for which there is room at first.
    init(capacity: Int) {
        self.capacity = max(1, capacity)
        start = .allocate(capacity: self.capacity)
    }

    deinit { start.deallocate() }

    /// The bytes so far.
    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: start, count: count) }

    /// Removes all bytes and keeps the memory.
    mutating func removeAll() { count = 0 }

    mutating func append(_ byte: UInt8) {
        reserve(1)
        start[count] = byte
        count += 1
    }

    mutating func append(_ text: StaticString) {
        append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends a comma, the key in quotation marks, and a colon.
    mutating func append(key: StaticString) {
        let length = key.utf8CodeUnitCount
        reserve(length + 4)
        let end = start + count
        end[0] = UInt8(ascii: ",")
        end[1] = UInt8(ascii: "\"")
        (end + 2).update(from: key.utf8Start, count: length)
        end[length + 2] = UInt8(ascii: "\"")
        end[length + 3] = UInt8(ascii: ":")
        count += length + 4
    }

    /// Appends the bytes in quotation marks.
    mutating func append(quoted bytes: UnsafeBufferPointer<UInt8>) {
        reserve(bytes.count + 2)
        let end = start + count
        end[0] = UInt8(ascii: "\"")
        if let source = bytes.baseAddress { (end + 1).update(from: source, count: bytes.count) }
        end[bytes.count + 1] = UInt8(ascii: "\"")
        count += bytes.count + 2
    }

    mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)
        (start + count).update(from: source, count: bytes.count)
        count += bytes.count
    }

    mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBufferPointer { append($0) } }

    /// Appends a number in decimal.
    mutating func append(digits number: UInt64) {
        var length = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            length += 1
        }
        reserve(length)
        count += length
        var position = count
        rest = number
        for _ in 0..<length {
            position -= 1
            start[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    /// Makes room for more bytes.
    @inline(__always)
    private mutating func reserve(_ more: Int) {
        if capacity - count < more { grow(by: more) }
    }

    @inline(never)
    private mutating func grow(by more: Int) {
        capacity = max(2 * capacity, count + more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.moveInitialize(from: start, count: count)
        start.deallocate()
        start = larger
    }
}
