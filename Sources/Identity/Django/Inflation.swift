import CZlib

/// Decompression of zlib streams (RFC 1950) with a limit on the output.
enum Inflation {
    /// Returns the decompressed bytes; nil when the input is not a complete zlib stream or the output would exceed
    /// `limit` bytes.
    ///
    /// The limit holds while decompressing: a decompression bomb costs `limit` bytes of memory, not its full size.
    static func inflate(_ input: [UInt8], limit: Int) -> [UInt8]? {
        // Few inputs shrink to less than an eighth, so that a small buffer is tried first.
        let first = min(limit, max(1024, input.count * 8))
        for capacity in first < limit ? [first, limit] : [limit] {
            var output = [UInt8](repeating: 0, count: capacity)
            var length = uLongf(capacity)
            let status = output.withUnsafeMutableBufferPointer { target in
                input.withUnsafeBufferPointer { source in
                    uncompress(target.baseAddress, &length, source.baseAddress, uLong(source.count))
                }
            }
            if status == Z_BUF_ERROR { continue }
            guard status == Z_OK else { return nil }
            output.removeLast(capacity - Int(length))
            return output
        }
        return nil
    }
}
