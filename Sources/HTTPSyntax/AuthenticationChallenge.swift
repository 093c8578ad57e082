/// A challenge of `WWW-Authenticate`, RFC 9110 section 11.6.1: a scheme and its parameters.
package struct AuthenticationChallenge: Hashable, Sendable {
    /// The scheme in lower case.
    package let scheme: String
    /// Values by the parameters' names in lower case. Of a name that comes twice the first counts.
    package private(set) var parameters: [String: String]

    /// Largest number of challenges and of their parameters that are read; further ones are ignored.
    package static let limit = 32

    /// Reads the values of all `WWW-Authenticate` fields of a response. What does not follow the grammar is left out.
    package static func read(_ fields: [String]) -> [AuthenticationChallenge] {
        var challenges: [AuthenticationChallenge] = []
        for field in fields.prefix(limit) {
            // A parameter belongs to the last challenge of its own field.
            var current: Int?
            for element in field.listElements.prefix(limit) {
                var parameter = element
                if let (scheme, rest) = Self.scheme(of: element) {
                    guard challenges.count < limit else { return challenges }
                    challenges.append(AuthenticationChallenge(scheme: scheme.lowercased(), parameters: [:]))
                    current = challenges.count - 1
                    parameter = rest
                }
                guard let current, let (name, value) = Self.parameter(parameter) else { continue }
                if challenges[current].parameters[name] == nil { challenges[current].parameters[name] = value }
            }
        }
        return challenges
    }

    /// Divides an element that begins a challenge: a token alone, or a token and white space before anything but `=`.
    private static func scheme(of element: Substring) -> (Substring, rest: Substring)? {
        let token = element.prefix { $0.isASCII && HTTPSyntax.isToken(String($0)) }
        guard !token.isEmpty else { return nil }
        let tail = element[token.endIndex...]
        let rest = tail.trimmingWhiteSpace
        if rest.isEmpty { return (token, rest) }
        return tail.utf8.first.map(HTTPSyntax.isSpaceOrTab) == true && rest.utf8.first != UInt8(ascii: "=")
            ? (token, rest) : nil
    }

    /// Reads `name=token` or `name="quoted text"`.
    private static func parameter(_ text: Substring) -> (name: String, value: String)? {
        guard let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        let name = text[..<equals].trimmingWhiteSpace
        let value = text[text.utf8.index(after: equals)...].trimmingWhiteSpace
        guard HTTPSyntax.isToken(name) else { return nil }
        if HTTPSyntax.isToken(value) { return (name.lowercased(), String(value)) }
        guard value.utf8.count >= 2, value.utf8.first == UInt8(ascii: "\""), value.utf8.last == UInt8(ascii: "\"")
        else { return nil }
        var unquoted: [UInt8] = []
        var isEscaped = false
        for byte in value.utf8.dropFirst().dropLast() {
            switch byte {
            case UInt8(ascii: "\\") where !isEscaped: isEscaped = true
            case UInt8(ascii: "\"") where !isEscaped: return nil
            default:
                unquoted.append(byte)
                isEscaped = false
            }
        }
        return isEscaped ? nil : (name.lowercased(), String(decoding: unquoted, as: UTF8.self))
    }
}
