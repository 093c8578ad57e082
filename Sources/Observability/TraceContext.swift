/// A position in a distributed trace, as W3C Trace Context writes it in `traceparent`.
package struct TraceContext: Hashable, Sendable {
    /// Upper half of the trace's identifier of 16 bytes, which is never all zero.
    package let traceHigh: UInt64
    /// Lower half of the trace's identifier.
    package let traceLow: UInt64
    /// Identifier of the span, 8 bytes, never zero.
    package let spanID: UInt64
    /// True if the caller records the trace.
    package let isSampled: Bool

    /// Describes a position in a trace.
    package init(traceHigh: UInt64, traceLow: UInt64, spanID: UInt64, isSampled: Bool) {
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        self.spanID = spanID
        self.isSampled = isSampled
    }

    /// Parses `00-<32 hex>-<16 hex>-<2 hex>`; nil when it is anything else (a later version may add more after a dash).
    package init?(traceparent: String) {
        let bytes = Array(traceparent.utf8)
        let dash = UInt8(ascii: "-")
        guard bytes.count >= 55, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = Self.hex(bytes[0..<2]), version != 0xFF,
            bytes.count == 55 || (version > 0 && bytes[55] == dash),
            let high = Self.hex(bytes[3..<19]), let low = Self.hex(bytes[19..<35]),
            let span = Self.hex(bytes[36..<52]), let flags = Self.hex(bytes[53..<55]),
            high != 0 || low != 0, span != 0
        else { return nil }
        self.init(traceHigh: high, traceLow: low, spanID: span, isSampled: flags & 1 == 1)
    }

    /// Returns the root of a new trace.
    package static func new(isSampled: Bool = false) -> TraceContext {
        TraceContext(
            traceHigh: .random(in: 0 ... .max), traceLow: .random(in: 1 ... .max), spanID: .random(in: 1 ... .max),
            isSampled: isSampled)
    }

    /// Returns a new span of the same trace.
    package func child() -> TraceContext {
        TraceContext(
            traceHigh: traceHigh, traceLow: traceLow, spanID: .random(in: 1 ... .max), isSampled: isSampled)
    }

    /// Identifier of the trace, 32 lower-case hexadecimal digits.
    package var traceID: String { Self.text(traceHigh) + Self.text(traceLow) }

    /// Identifier of the span, 16 lower-case hexadecimal digits.
    package var spanIDText: String { Self.text(spanID) }

    /// Header value (W3C Trace Context, section 3.2).
    package var traceparent: String { "00-\(traceID)-\(Self.text(spanID))-\(isSampled ? "01" : "00")" }

    /// Returns the text of a span's identifier, 16 lower-case hexadecimal digits.
    package static func text(ofSpanID spanID: UInt64) -> String { text(spanID) }

    private static func text(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// Parses lower-case digits; the specification allows no others.
    private static func hex(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }
}
