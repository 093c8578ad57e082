package import JSON

/// A JSON-RPC request id: a string or an integer, never null; `31` is not `"31"`.
package enum RequestID: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral,
    ExpressibleByIntegerLiteral
{
    case string(String)
    case integer(Int64)

    /// Reads an id; nil for anything but a string or an integral number within 64 bits.
    package init?(_ value: JSONValue) {
        switch value {
        case .string(let string):
            self = .string(string)
        case .number(let number):
            guard let integer = number.int else { return nil }
            self = .integer(Int64(integer))
        default:
            return nil
        }
    }

    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }

    /// JSON form, of the type that the request had.
    package var json: JSONValue {
        switch self {
        case .string(let string): .string(string)
        case .integer(let integer): .number(JSONNumber(Int(integer)))
        }
    }

    package var description: String {
        switch self {
        case .string(let string): string
        case .integer(let integer): String(integer)
        }
    }
}

/// Token that links progress notifications to their request, of the same types as an id.
package typealias ProgressToken = RequestID
