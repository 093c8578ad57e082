import JSON
import JSONConfiguration
import MCPServer

/// A fact of who is asking: `caller.id`, `caller.name`, `caller.scopes`, or `claim:` and a JSON pointer (RFC 6901) into the
/// claims of the caller's token. It comes from what proved the identity, never from what a call says.
enum CallerSource: Hashable, Sendable, CustomStringConvertible {
    /// ``Principal/id``, such as `local:3`, `django:7` or `jwt:SUBJECT`.
    case id
    /// ``Principal/name``.
    case name
    /// Scopes of the credential in alphabetical order. A credential that grants everything names none.
    case scopes
    /// Returns the value that a pointer leads to.
    case claim(String)

    /// Nil for a text that names none.
    init?(_ text: String) {
        switch text {
        case "caller.id": self = .id
        case "caller.name": self = .name
        case "caller.scopes": self = .scopes
        default:
            guard text.hasPrefix("claim:/"), Self.isPointer(text.dropFirst(6)) else { return nil }
            self = .claim(String(text.dropFirst(6)))
        }
    }

    var description: String {
        switch self {
        case .id: "caller.id"
        case .name: "caller.name"
        case .scopes: "caller.scopes"
        case .claim(let pointer): "claim:\(pointer)"
        }
    }

    /// Text of the expectation in an error.
    static let expectation = "caller.id, caller.name, caller.scopes or claim:/POINTER"

    /// Reads the key `from`. Errors are recorded in the reader.
    static func read(_ reader: ConfigurationReader) -> CallerSource? {
        let text = reader.optionalString(
            "from",
            "Fact about the caller that is bound instead of a value from the call: caller.id, caller.name, caller.scopes "
                + "(a list), or claim: and a JSON pointer into the claims of the caller's token, such as claim:/tenant. "
                + "The argument is not in the input schema, and anonymous callers are refused.",
            example: "caller.id")
        guard let text else { return nil }
        let source = CallerSource(text)
        if source == nil { reader.fail("from", expected: expectation, found: "\"\(text.printable)\"") }
        return source
    }

    /// The fact of a caller; nil where its credential says nothing of it.
    func value(of principal: Principal) -> JSONValue? {
        switch self {
        case .id: return .string(principal.id)
        case .name: return .string(principal.name)
        case .scopes: return .array(principal.scopes.sorted().map { .string($0) })
        case .claim(let pointer):
            guard let claim = JSONPointer.value(at: pointer, in: .object(principal.claims)), !claim.isNull else {
                return Optional.none
            }
            return claim
        }
    }

    /// The fact as the text of a session variable: scopes with a space between them, as OAuth writes them, and other lists
    /// and objects as JSON. Nil where there is none, or where PostgreSQL has no such text.
    func text(of principal: Principal) -> String? {
        guard let value = value(of: principal) else { return nil }
        let text: String
        switch value {
        case .string(let string): text = string
        case .array(let scopes) where self == .scopes: text = scopes.compactMap(\.string).joined(separator: " ")
        default: text = value.text
        }
        return text.utf8.contains(0) ? nil : text
    }

    /// A tilde stands only in front of 0 and 1.
    private static func isPointer(_ text: Substring) -> Bool {
        var rest = text.utf8[...]
        while let tilde = rest.firstIndex(of: UInt8(ascii: "~")) {
            rest = rest[rest.index(after: tilde)...]
            guard let next = rest.first, next == UInt8(ascii: "0") || next == UInt8(ascii: "1") else { return false }
        }
        return true
    }
}
