import CPostgres
import Glibc
import Store

/// Error of PostgreSQL or libpq.
struct PostgreSQLError: Error, Hashable, CustomStringConvertible {
    /// SQLSTATE, five characters; empty for an error of libpq itself.
    let code: String
    /// Message that contains no part of a statement and no values: the server's primary message where that is certain,
    /// or libpq's own.
    let message: String
    /// The server's primary message, which may quote a statement or a value; only for configured statements.
    let primary: String
    /// True if the connection cannot be used any more.
    let isDisconnected: Bool

    /// Creates the error of a connection that was lost or never made.
    init(disconnected message: String) {
        code = ""
        self.message = message
        primary = message
        isDisconnected = true
    }

    init(result: OpaquePointer, connection: OpaquePointer) {
        let code = PQresultErrorField(result, PostgreSQLCodes.sqlState).map { String(cString: $0) } ?? ""
        primary =
            PQresultErrorField(result, PostgreSQLCodes.primary).map { PostgreSQLCodes.text($0) }
            ?? "the connection was lost"
        self.code = code
        isDisconnected = PQstatus(connection) != CONNECTION_OK || code.hasPrefix("57P")
        if Self.tellsNothing(code) {
            message = primary
        } else {
            message = "error \(code)"
        }
    }

    var description: String { code.isEmpty || message.hasSuffix(code) ? message : "\(message) (\(code))" }

    /// Returns whether messages of that SQLSTATE refer to the server, names or limits, and quote neither values nor
    /// statements.
    private static func tellsNothing(_ code: String) -> Bool {
        if ["42501", "42P01", "42703", "3F000", "40001", "40P01", "55P03", "25006"].contains(code) { return true }
        return ["", "08", "28", "3D", "53", "57", "58", "XX"].contains(String(code.prefix(2)))
    }

    /// Kind of ``StoreError`` for the SQLSTATE.
    var kind: StoreError.Kind {
        switch code {
        case "23505": .duplicate
        case "57014": .timeout
        // Lock not available, deadlock, serialization failure: a retry may succeed.
        case "55P03", "40P01", "40001", "55006": .busy
        case "53100": .full
        case "53300", "53400": .busy
        case "25006": .readOnly
        case "42501": .readOnly
        case "": .unavailable
        default:
            switch code.prefix(2) {
            // 57P01 and similar: the server is shutting down, starting up, or was ended by the crash of another
            // process.
            case "08", "57", "53": .unavailable
            case "28", "3D": .cannotOpen
            case "XX": code == "XX001" || code == "XX002" ? .corrupt : .other
            case "58": .unavailable
            default: .other
            }
        }
    }

    /// True if the transaction was undone because of another that ran at the same time: a serialization failure or a
    /// deadlock.
    var endsTransactionForAnother: Bool { code == "40001" || code == "40P01" }

    /// Error for the users of the store.
    var storeError: StoreError { StoreError(kind, "database: \(description)") }
}

/// libpq's field names, which are characters there.
enum PostgreSQLCodes {
    static let sqlState = Int32(UInt8(ascii: "C"))
    static let primary = Int32(UInt8(ascii: "M"))
    /// Largest length of a message that is read, in bytes; a server may send one of a gigabyte.
    private static let longestMessage = 2000

    /// Returns the beginning of a message of the server or of libpq.
    static func text(_ message: UnsafePointer<CChar>) -> String {
        let length = strnlen(message, longestMessage)
        return String(decoding: UnsafeRawBufferPointer(start: message, count: length), as: UTF8.self)
    }

    static let textFormat: Int32 = 0
    static let binaryFormat: Int32 = 1
}
