import CZlib

/// Decompresses zlib streams (RFC 1950) with a bound on what comes out.
enum Inflation {
    /// The decompressed bytes; nil when the input is no whole zlib stream or would exceed `limit` bytes.
    ///
    /// The bound holds while decompressing: a bomb costs `limit` bytes of memory, not its full size.
    static func inflate(_ input: [UInt8], limit: Int) -> [UInt8]? {
        // What is small stays cheap: few inputs shrink to less than an eighth.
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
