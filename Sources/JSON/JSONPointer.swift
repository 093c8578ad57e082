/// JSON pointers (RFC 6901).
package enum JSONPointer {
    /// Returns `name` as a token of a pointer: `~` as `~0`, `/` as `~1`.
    package static func escaped(_ name: String) -> String {
        guard name.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else { return name }
        return String(
            name.unicodeScalars.reduce(into: String.UnicodeScalarView()) { escaped, scalar in
                switch scalar {
                case "~": escaped.append(contentsOf: "~0".unicodeScalars)
                case "/": escaped.append(contentsOf: "~1".unicodeScalars)
                default: escaped.append(scalar)
                }
            })
    }

    /// Returns the name that a token of a pointer encodes.
    package static func unescaped(_ token: Substring) -> String {
        guard token.utf8.contains(UInt8(ascii: "~")) else { return String(token) }
        var result = ""
        var isEscape = false
        for scalar in token.unicodeScalars {
            if isEscape {
                result.unicodeScalars.append(scalar == "1" ? "/" : scalar == "0" ? "~" : scalar)
                isEscape = false
            } else if scalar == "~" {
                isEscape = true
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Returns the value at `pointer` below `root`; nil where there is none.
    package static func value(at pointer: String, in root: JSONValue) -> JSONValue? {
        var value = root
        for token in pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            let name = unescaped(token)
            switch value {
            case .object(let object):
                guard let member = object[name] else { return nil }
                value = member
            case .array(let elements):
                guard let index = Int(name), elements.indices.contains(index) else { return nil }
                value = elements[index]
            default:
                return nil
            }
        }
        return value
    }
}
