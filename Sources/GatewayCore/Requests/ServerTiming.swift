import Observability

/// The `Server-Timing` header: `session;dur=0.412, upstream;dur=3.201, total;dur=3.950`, in milliseconds; then `queue`
/// and `connect` where they are not zero.
enum ServerTiming {
    /// - Parameters:
    ///   - session: Waiting for a session; nil counts as zero.
    ///   - upstream: The upstream's answer; nil counts as zero.
    ///   - total: From the request's first byte to now, in nanoseconds.
    ///   - queue: Waiting for a place at the upstream, before everything else.
    ///   - connect: Opening a connection, a part of `upstream`.
    static func text(
        session: Duration?, upstream: Duration?, totalNanoseconds total: Int64, queue: Duration = .zero,
        connect: Duration = .zero
    ) -> String {
        let isUsual = queue == .zero && connect == .zero
        return String(unsafeUninitializedCapacity: isUsual ? 112 : 176) { buffer in
            var writer = Writer(buffer: buffer)
            writer.append("session;dur=", session?.nanoseconds ?? 0)
            writer.append(", upstream;dur=", upstream?.nanoseconds ?? 0)
            writer.append(", total;dur=", total)
            if queue > .zero { writer.append(", queue;dur=", queue.nanoseconds) }
            if connect > .zero { writer.append(", connect;dur=", connect.nanoseconds) }
            return writer.count
        }
    }

    private struct Writer {
        let buffer: UnsafeMutableBufferPointer<UInt8>
        var count = 0

        /// Appends a name and a time with three decimal places.
        mutating func append(_ name: StaticString, _ nanoseconds: Int64) {
            name.withUTF8Buffer { for byte in $0 { append(byte) } }
            // Ten digits of milliseconds are a hundred days; the buffer holds as many such numbers as there are names.
            let micros = UInt64(min(max(nanoseconds, 0) / 1000, 9_999_999_999_999))
            appendDigits(of: micros / 1000, atLeast: 1)
            append(UInt8(ascii: "."))
            appendDigits(of: micros % 1000, atLeast: 3)
        }

        /// Appends the digits, the last one first: dividing by a constant compiles to a multiplication, dividing by a
        /// power of ten found at run time does not.
        private mutating func appendDigits(of value: UInt64, atLeast width: Int) {
            let start = count
            var rest = value
            repeat {
                append(UInt8(ascii: "0") + UInt8(rest % 10))
                rest /= 10
            } while rest > 0 || count - start < width && count < buffer.count
            var digits = UnsafeMutableBufferPointer(rebasing: buffer[start..<count])
            digits.reverse()
        }

        private mutating func append(_ byte: UInt8) {
            guard count < buffer.count else { return }
            buffer[count] = byte
            count += 1
        }
    }
}
