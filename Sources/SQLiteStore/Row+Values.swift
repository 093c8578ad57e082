import Foundation
import GRDB

/// Columns of a row by position or name, whatever their type. GRDB ends the process when a column cannot be converted to
/// the requested type, and in SQLite any row may hold any type in any column.
extension Row {
    /// Returns the bytes of a text or blob column; empty for any other.
    func bytes(_ index: Int) -> Data { (self[index] as DatabaseValue).bytes }
    /// Returns the bytes of a text or blob column; empty for any other.
    func bytes(_ column: String) -> Data { (self[column] as DatabaseValue).bytes }

    /// Returns the text of a column, numbers in their written form; empty for NULL.
    func text(_ index: Int) -> String { (self[index] as DatabaseValue).text }
    /// Returns the text of a column, numbers in their written form; empty for NULL.
    func text(_ column: String) -> String { (self[column] as DatabaseValue).text }

    /// Returns the number of a column; 0 for any other value, or one that does not fit.
    func integer(_ index: Int) -> Int64 { (self[index] as DatabaseValue).integer }
    /// Returns the number of a column; 0 for any other value, or one that does not fit.
    func integer(_ column: String) -> Int64 { (self[column] as DatabaseValue).integer }

    /// Returns a size that the database counted, at least 0.
    func count(_ index: Int) -> Int { Int(clamping: Swift.max(0, integer(index))) }
    /// Returns a size that the database counted, at least 0.
    func count(_ column: String) -> Int { Int(clamping: Swift.max(0, integer(column))) }

    /// Returns whether a column holds a number other than 0, as Django reads a boolean.
    func flag(_ index: Int) -> Bool { (self[index] as DatabaseValue).flag }
    /// Returns whether a column holds a number other than 0, as Django reads a boolean.
    func flag(_ column: String) -> Bool { (self[column] as DatabaseValue).flag }

    /// Returns the instant of a column of milliseconds; nil for NULL.
    func instant(_ column: String) -> Date? {
        (self[column] as DatabaseValue).isNull ? nil : Date(milliseconds: integer(column))
    }
}

extension DatabaseValue {
    fileprivate var bytes: Data {
        switch storage {
        case .blob(let data): data
        case .string(let text): Data(text.utf8)
        case .null, .int64, .double: Data()
        }
    }

    fileprivate var text: String {
        switch storage {
        case .string(let text): text
        case .blob(let data): VerbatimText.read(data)
        case .int64(let number): String(number)
        case .double(let number): "\(number)"
        case .null: ""
        }
    }

    /// The number; 0 for any other value, or one that does not fit.
    var integer: Int64 {
        switch storage {
        case .int64(let number): number
        case .double(let number): Int64(exactly: number.rounded()) ?? 0
        case .string(let text): Int64(text) ?? 0
        case .blob, .null: 0
        }
    }

    /// The number with its fraction; 0 for any other value.
    var real: Double {
        switch storage {
        case .double(let number): number
        default: Double(integer)
        }
    }

    fileprivate var flag: Bool {
        switch storage {
        case .double(let number): number != 0
        default: integer != 0
        }
    }
}
