import Foundation
import GRDB

/// Columns of a row whatever they hold. GRDB ends the process when a column does not convert to the type that is asked
/// for, and in SQLite any row may hold any type in any column.
extension Row {
    /// The bytes of a text or blob column; empty for anything else.
    func bytes(_ index: Int) -> Data {
        switch (self[index] as DatabaseValue).storage {
        case .blob(let data): data
        case .string(let text): Data(text.utf8)
        case .null, .int64, .double: Data()
        }
    }

    /// The text of a column, numbers as they are written; empty for NULL.
    func text(_ index: Int) -> String {
        switch (self[index] as DatabaseValue).storage {
        case .string(let text): text
        case .blob(let data): VerbatimText.read(data)
        case .int64(let number): String(number)
        case .double(let number): "\(number)"
        case .null: ""
        }
    }

    /// The number of a column; 0 for anything that is none, or does not fit.
    func integer(_ index: Int) -> Int64 {
        switch (self[index] as DatabaseValue).storage {
        case .int64(let number): number
        case .double(let number): Int64(exactly: number.rounded()) ?? 0
        case .string(let text): Int64(text) ?? 0
        case .blob, .null: 0
        }
    }

    /// A size that the database counted, from 0 on.
    func count(_ index: Int) -> Int { Int(clamping: Swift.max(0, integer(index))) }

    /// Whether a column holds a number other than 0, as Django reads a boolean.
    func flag(_ index: Int) -> Bool {
        switch (self[index] as DatabaseValue).storage {
        case .double(let number): number != 0
        default: integer(index) != 0
        }
    }
}
