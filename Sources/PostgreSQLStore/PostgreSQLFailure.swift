import CPostgres
import Store

/// What PostgreSQL or libpq answered instead of a result.
struct PostgreSQLFailure: Error, Hashable, CustomStringConvertible {
    /// SQLSTATE, five characters; empty when libpq itself failed.
    let code: String
    /// The server's primary message where it cannot hold a statement or a value, or libpq's own.
    let message: String
    /// The server's primary message, which may quote a statement or a value: for statements of the configuration only.
    let primary: String
    /// Whether the connection is of no more use.
    let isDisconnected: Bool

    /// The connection is gone or was never made.
    init(disconnected message: String) {
        code = ""
        self.message = message
        primary = message
        isDisconnected = true
    }

    init(result: OpaquePointer, connection: OpaquePointer) {
        let code = PQresultErrorField(result, PostgreSQLCodes.sqlState).map { String(cString: $0) } ?? ""
        primary =
            PQresultErrorField(result, PostgreSQLCodes.primary).map { String(cString: $0) } ?? "the connection was lost"
        self.code = code
        isDisconnected = PQstatus(connection) != CONNECTION_OK || code.hasPrefix("57P")
        if Self.tellsNothing(code) {
            message = primary
        } else {
            message = "error \(code)"
        }
    }

    var description: String { code.isEmpty || message.hasSuffix(code) ? message : "\(message) (\(code))" }

    /// Whether messages of that SQLSTATE speak of the server, of names or of limits, but quote neither values nor
    /// statements.
    private static func tellsNothing(_ code: String) -> Bool {
        if ["42501", "42P01", "42703", "3F000", "40001", "40P01", "55P03", "25006"].contains(code) { return true }
        return ["", "08", "28", "3D", "53", "57", "58", "XX"].contains(String(code.prefix(2)))
    }

    /// The kind of ``StoreError`` for the SQLSTATE.
    var kind: StoreError.Kind {
        switch code {
        case "23505": .duplicate
        case "57014": .timeout
        // Lock not available, deadlock, serialization: trying again helps.
        case "55P03", "40P01", "40001", "55006": .busy
        case "53100": .full
        case "53300", "53400": .busy
        case "25006": .readOnly
        case "42501": .readOnly
        case "": .unavailable
        default:
            switch code.prefix(2) {
            // 57P01 and its like: shutting down, starting up, killed by a crash beside it.
            case "08", "57", "53": .unavailable
            case "28", "3D": .cannotOpen
            case "XX": code == "XX001" || code == "XX002" ? .corrupt : .other
            case "58": .unavailable
            default: .other
            }
        }
    }

    /// The error that leaves the store.
    var storeError: StoreError { StoreError(kind, "database: \(description)") }
}

/// libpq's field names, which are characters there.
enum PostgreSQLCodes {
    static let sqlState = Int32(UInt8(ascii: "C"))
    static let primary = Int32(UInt8(ascii: "M"))
    static let textFormat: Int32 = 0
    static let binaryFormat: Int32 = 1
}
