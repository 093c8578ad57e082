import Foundation
import GRDB

/// Columns of a row, whatever their type. GRDB ends the process when a column cannot be converted to the requested
/// type, and in SQLite any row may hold any type in any column.
extension Row {
    /// Returns the bytes of a text or blob column; empty for any other.
    func bytes(_ index: Int) -> Data {
        switch (self[index] as DatabaseValue).storage {
        case .blob(let data): data
        case .string(let text): Data(text.utf8)
        case .null, .int64, .double: Data()
        }
    }

    /// Returns the text of a column, numbers in their written form; empty for NULL.
    func text(_ index: Int) -> String {
        switch (self[index] as DatabaseValue).storage {
        case .string(let text): text
        case .blob(let data): VerbatimText.read(data)
        case .int64(let number): String(number)
        case .double(let number): "\(number)"
        case .null: ""
        }
    }

    /// Returns the number of a column; 0 for any other value, or one that does not fit.
    func integer(_ index: Int) -> Int64 {
        switch (self[index] as DatabaseValue).storage {
        case .int64(let number): number
        case .double(let number): Int64(exactly: number.rounded()) ?? 0
        case .string(let text): Int64(text) ?? 0
        case .blob, .null: 0
        }
    }

    /// Returns a size that the database counted, at least 0.
    func count(_ index: Int) -> Int { Int(clamping: Swift.max(0, integer(index))) }

    /// Returns whether a column holds a number other than 0, as Django reads a boolean.
    func flag(_ index: Int) -> Bool {
        switch (self[index] as DatabaseValue).storage {
        case .double(let number): number != 0
        default: integer(index) != 0
        }
    }
}
