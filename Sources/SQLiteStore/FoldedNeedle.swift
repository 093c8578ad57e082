import Foundation
import GRDB
import GRDBSQLite
import Store

/// A folded text to be searched for in many others, without an allocation for each.
///
/// Not thread-safe: each is used by one statement on one connection.
final class FoldedNeedle {
    private let needle: [UInt8]
    private let isASCII: Bool
    /// A folded haystack.
    private var buffer: [UInt8] = []

    /// - Parameter folded: Result of `CaseFolding.fold` for the text.
    init(folded: [UInt8]) {
        needle = folded
        isASCII = folded.allSatisfy { $0 < 0x80 }
    }

    /// Returns the same as `CaseFolding.contains`.
    func isContained(in haystack: UnsafeRawBufferPointer) -> Bool {
        if needle.isEmpty { return true }
        if Self.isASCII(haystack) { return isASCII && isContained(inASCII: haystack) }
        // A folded scalar is at most half as long again as its original.
        if needle.count > haystack.count * 3 / 2 { return false }
        buffer.removeAll(keepingCapacity: true)
        FoldingTable.fold(utf8: haystack, into: &buffer)
        return buffer.withUnsafeBytes { haystack in needle.withUnsafeBytes { CaseFolding.find($0, in: haystack) } }
    }

    private func isContained(inASCII haystack: UnsafeRawBufferPointer) -> Bool {
        let last = haystack.count - needle.count
        guard last >= 0 else { return false }
        return needle.withUnsafeBytes { needle in
            let (first, count) = (needle[0], needle.count)
            for start in 0...last where Self.lowercase(haystack[start]) == first {
                var offset = 1
                while offset < count, Self.lowercase(haystack[start + offset]) == needle[offset] { offset += 1 }
                if offset == count { return true }
            }
            return false
        }
    }

    @inline(__always)
    private static func lowercase(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    private static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index + 8 <= bytes.count {
            if bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { return false }
            index += 8
        }
        while index < bytes.count {
            if bytes[index] >= 0x80 { return false }
            index += 1
        }
        return true
    }
}

/// Lookup tables for `CaseFolding.fold`, for scanning.
enum FoldingTable {
    /// Upper bound of the scalars that fold.
    private static let bound = 0x20000

    private static let folded: [UInt32] = (0..<UInt32(bound)).map { value in
        Unicode.Scalar(value).map { CaseFolding.fold($0).value } ?? value
    }

    /// Appends the folded UTF-8; bytes that are not UTF-8 become U+FFFD.
    static func fold(utf8 bytes: UnsafeRawBufferPointer, into result: inout [UInt8]) {
        let start = result.count
        let isWellFormed = folded.withUnsafeBufferPointer { table in
            var index = 0
            while index < bytes.count {
                let lead = bytes[index]
                if lead < 0x80 {
                    result.append(UInt8(truncatingIfNeeded: table[Int(lead)]))
                    index += 1
                    continue
                }
                guard let (scalar, length) = decode(bytes, index, lead) else { return false }
                append(Int(scalar) < bound ? table[Int(scalar)] : scalar, to: &result)
                index += length
            }
            return true
        }
        guard !isWellFormed else { return }
        result.removeSubrange(start...)
        result += CaseFolding.fold(utf8: bytes)
    }

    /// Decodes a scalar of several bytes; nil where the bytes are not UTF-8.
    @inline(__always)
    private static func decode(_ bytes: UnsafeRawBufferPointer, _ index: Int, _ lead: UInt8) -> (UInt32, Int)? {
        let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2
        guard lead >= 0xC2, lead < 0xF5, index + length <= bytes.count else { return nil }
        var scalar = UInt32(lead) & (0x7F >> UInt32(length))
        for offset in 1..<length {
            let byte = bytes[index + offset]
            guard byte & 0xC0 == 0x80 else { return nil }
            scalar = scalar << 6 | UInt32(byte & 0x3F)
        }
        let isOverlong = (length == 3 && scalar < 0x800) || (length == 4 && scalar < 0x10000)
        guard !isOverlong, scalar < 0x110000, !(0xD800..<0xE000).contains(scalar) else { return nil }
        return (scalar, length)
    }

    @inline(__always)
    private static func append(_ scalar: UInt32, to result: inout [UInt8]) {
        func tail(_ shift: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: scalar >> shift & 0x3F | 0x80) }
        switch scalar {
        case ..<0x80: result.append(UInt8(scalar))
        case ..<0x800:
            result.append(UInt8(truncatingIfNeeded: scalar >> 6 | 0xC0))
            result.append(tail(0))
        case ..<0x10000:
            result.append(UInt8(truncatingIfNeeded: scalar >> 12 | 0xE0))
            result.append(tail(6))
            result.append(tail(0))
        default:
            result.append(UInt8(truncatingIfNeeded: scalar >> 18 | 0xF0))
            result.append(tail(12))
            result.append(tail(6))
            result.append(tail(0))
        }
    }
}

extension FoldedNeedle {
    /// Registers `contains_folded(haystack, needle)` on a connection. The needle is folded already; NULL contains
    /// nothing.
    ///
    /// Not with GRDB's functions: they copy their arguments, and cut them at a NUL.
    static func register(in db: Database) throws {
        let code = sqlite3_create_function_v2(
            db.sqliteConnection, "contains_folded", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, nil,
            { context, _, arguments in
                guard let arguments, let haystack = arguments[0], let needle = arguments[1] else { return }
                guard sqlite3_value_type(haystack) != SQLITE_NULL, sqlite3_value_type(needle) != SQLITE_NULL else {
                    sqlite3_result_int(context, 0)
                    return
                }
                // The needle is constant in the statement, so that SQLite keeps the prepared object for the following
                // rows.
                let prepared: FoldedNeedle
                if let kept = sqlite3_get_auxdata(context, 1) {
                    prepared = Unmanaged<FoldedNeedle>.fromOpaque(kept).takeUnretainedValue()
                } else {
                    prepared = FoldedNeedle(folded: Array(FoldedNeedle.bytes(of: needle)))
                    sqlite3_set_auxdata(context, 1, Unmanaged.passRetained(prepared).toOpaque()) { kept in
                        if let kept { Unmanaged<FoldedNeedle>.fromOpaque(kept).release() }
                    }
                }
                sqlite3_result_int(context, prepared.isContained(in: FoldedNeedle.bytes(of: haystack)) ? 1 : 0)
            }, nil, nil, nil)
        guard code == SQLITE_OK else { throw DatabaseError(resultCode: ResultCode(rawValue: code)) }
    }

    /// Returns the bytes of a value, valid until the function returns. The blob is requested first: the length is that
    /// of the form requested last.
    private static func bytes(of value: OpaquePointer) -> UnsafeRawBufferPointer {
        let start = sqlite3_value_blob(value)
        return UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(sqlite3_value_bytes(value)))
    }
}
