import CPostgres
import Foundation

/// Parameter of a statement. The server infers its type from the context, unless the value names one.
enum PostgreSQLValue: Hashable, Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByNilLiteral
{
    case null
    /// Text. PostgreSQL cannot store NUL: a statement with one fails.
    case text(String)
    case integer(Int64)
    case real(Double)
    case bool(Bool)
    /// `bytea`, in binary form.
    case bytes([UInt8])
    /// `text[]`.
    case texts([String])

    /// Returns milliseconds since 1970; NULL for nil.
    static func instant(_ date: Date?) -> PostgreSQLValue { date.map { .integer($0.milliseconds) } ?? .null }

    /// Returns a text; NULL for nil.
    static func optional(_ text: String?) -> PostgreSQLValue { text.map { .text($0) } ?? .null }

    init(stringLiteral value: String) { self = .text(value) }
    init(integerLiteral value: Int64) { self = .integer(value) }
    init(nilLiteral: ()) { self = .null }

    /// Value in the form in which it is sent; nil is NULL.
    var encoded: [UInt8]? {
        switch self {
        case .null: nil
        case .text(let text): Self.holdsNUL(text) ? Array(text.utf8) : Array(text.utf8) + [0]
        case .integer(let number): Array(String(number).utf8) + [0]
        case .real(let number): Array("\(number)".utf8) + [0]
        case .bool(let bool): [UInt8(ascii: bool ? "t" : "f"), 0]
        case .bytes(let bytes): bytes
        case .texts(let texts): Array(Self.array(texts).utf8) + [0]
        }
    }

    /// Format code: text with a NUL is sent in binary form, which the server refuses; in text form it would end at the
    /// NUL.
    var format: Int32 {
        switch self {
        case .bytes: PostgreSQLCodes.binaryFormat
        case .text(let text) where Self.holdsNUL(text): PostgreSQLCodes.binaryFormat
        default: PostgreSQLCodes.textFormat
        }
    }

    private static func holdsNUL(_ text: String) -> Bool { text.utf8.contains(0) }

    private static func array(_ texts: [String]) -> String {
        let quoted = texts.map { text in
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        return "{" + quoted.joined(separator: ",") + "}"
    }
}

/// A row of a result in text form, valid while its result is.
struct PostgreSQLRow {
    let result: OpaquePointer
    let row: Int32

    /// Returns the text of a column; nil for NULL. `bytea` is in the server's `\x…` form.
    subscript(_ column: Int32) -> String? {
        guard PQgetisnull(result, row, column) == 0, let value = PQgetvalue(result, row, column) else { return nil }
        let length = Int(clamping: PQgetlength(result, row, column))
        return value.withMemoryRebound(to: UInt8.self, capacity: length) {
            String(decoding: UnsafeBufferPointer(start: $0, count: length), as: UTF8.self)
        }
    }

    /// Returns the text of a column that is not NULL.
    func text(_ column: Int32) -> String { self[column] ?? "" }

    /// Returns the number in a column; 0 for NULL.
    func integer(_ column: Int32) -> Int64 { self[column].flatMap { Int64($0) } ?? 0 }

    /// Returns a size that the database counted, at least 0.
    func count(_ column: Int32) -> Int { Int(clamping: max(0, integer(column))) }

    /// Returns the instant of a column of milliseconds; nil for NULL.
    func instant(_ column: Int32) -> Date? {
        self[column].flatMap { Int64($0) }.map { Date(milliseconds: $0) }
    }

    /// Returns the type of a column, as the server's number.
    func type(_ column: Int32) -> UInt32 { PQftype(result, column) }

    /// Number of columns of the row.
    var count: Int32 { PQnfields(result) }

    func bool(_ column: Int32) -> Bool { self[column] == "t" }

    /// Returns the bytes of a `bytea` column; nil for NULL.
    func bytes(_ column: Int32) -> [UInt8]? {
        guard let text = self[column] else { return nil }
        let digits = text.utf8.dropFirst(2)
        guard text.hasPrefix("\\x"), digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        var iterator = digits.makeIterator()
        while let high = iterator.next(), let low = iterator.next() {
            guard let high = Self.nibble(high), let low = Self.nibble(low) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
