/// Reads the keywords of one schema object with errors that name them.
struct JSONSchemaKeywords {
    let object: JSONObject
    let pointer: String

    func invalid(_ key: String, _ expected: String) -> JSONSchemaError {
        let found = object[key].map { $0.kind.description } ?? "nothing"
        return .invalid(at: "#\(pointer)/\(key)", reason: "expected \(expected), found \(found)")
    }

    func string(_ key: String) throws(JSONSchemaError) -> String? {
        guard let value = object[key] else { return nil }
        guard let string = value.string else { throw invalid(key, "a string") }
        return string
    }

    func array(_ key: String) throws(JSONSchemaError) -> [JSONValue]? {
        guard let value = object[key] else { return nil }
        guard let array = value.array else { throw invalid(key, "an array") }
        return array
    }

    func strings(_ key: String) throws(JSONSchemaError) -> [String]? {
        guard let array = try array(key) else { return nil }
        let strings = array.compactMap(\.string)
        guard strings.count == array.count else { throw invalid(key, "an array of strings") }
        return strings
    }

    /// A limit. Draft 4's boolean `exclusiveMinimum` is passed over.
    func number(_ key: String) throws(JSONSchemaError) -> JSONNumber? {
        guard let value = object[key], value.bool == nil else { return nil }
        guard let number = value.number else { throw invalid(key, "a number") }
        return number
    }

    func count(_ key: String) throws(JSONSchemaError) -> Int? {
        guard let value = object[key] else { return nil }
        guard let count = value.int, count >= 0 else { throw invalid(key, "an integer of at least 0") }
        return count
    }

    func types() throws(JSONSchemaError) -> JSONSchemaTypes? {
        guard let value = object["type"] else { return nil }
        var types: JSONSchemaTypes = []
        for name in value.array ?? [value] {
            guard let type = name.string.flatMap(JSONSchemaTypes.init(name:)) else {
                throw invalid("type", "the name of a type or an array of them")
            }
            types.insert(type)
        }
        return types
    }
}

/// RFC 6901.
enum JSONPointer {
    static func escaped(_ name: String) -> String {
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

    static func unescaped(_ token: Substring) -> String {
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

    static func value(at pointer: String, in root: JSONValue) -> JSONValue? {
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

/// Where the anchors and identifiers of a schema document are.
struct JSONSchemaDirectory {
    /// `pointer of the resource` + `#` + `name` → pointer.
    private var anchors: [String: String] = [:]
    /// Absolute or relative URI as written in `$id`, without fragment → pointer.
    private var identifiers: [String: String] = ["": ""]
    /// Pointers of the subschemas that have an `$id`: the bases of the references below them.
    private var bases: Set<String> = [""]

    init(_ root: JSONValue) {
        // An explicit stack: a document may be as deep as the parser allowed.
        var stack: [(value: JSONValue, pointer: String, base: String)] = [(root, "", "")]
        while let (value, pointer, parentBase) = stack.popLast() {
            switch value {
            case .array(let elements):
                for (index, element) in elements.enumerated() {
                    stack.append((element, "\(pointer)/\(index)", parentBase))
                }
            case .object(let object):
                var base = parentBase
                if let id = object["$id"]?.string, !id.isEmpty, !id.hasPrefix("#") {
                    base = pointer
                    bases.insert(pointer)
                    identifiers[String(id.prefix { $0 != "#" })] = pointer
                }
                for key in ["$anchor", "$dynamicAnchor"] {
                    if let name = object[key]?.string { anchors["\(base)#\(name)"] = pointer }
                }
                for (key, member) in object where !["const", "enum", "default", "examples"].contains(key) {
                    stack.append((member, "\(pointer)/\(JSONPointer.escaped(key))", base))
                }
            default:
                break
            }
        }
    }

    /// The pointer that `reference`, met at `location`, leads to.
    func resolve(_ reference: String, from location: String) throws(JSONSchemaError) -> String {
        let parts = reference.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        let document = String(parts.first ?? "")
        let fragment = parts.count > 1 ? Self.percentDecoded(parts[1]) : ""
        let base: String
        if document.isEmpty {
            base = self.base(of: location)
        } else if let known = identifiers[document] {
            base = known
        } else {
            throw .unsupportedReference(reference, at: "#" + location)
        }
        if fragment.isEmpty { return base }
        if fragment.hasPrefix("/") { return base + fragment }
        guard let pointer = anchors["\(base)#\(fragment)"] else {
            throw .unsupportedReference(reference, at: "#" + location)
        }
        return pointer
    }

    private func base(of location: String) -> String {
        var pointer = Substring(location)
        while !pointer.isEmpty {
            if bases.contains(String(pointer)) { return String(pointer) }
            pointer = pointer[..<(pointer.lastIndex(of: "/") ?? pointer.startIndex)]
        }
        return ""
    }

    private static func percentDecoded(_ text: Substring) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2).compactMap(Byte.hexadecimal)
            if byte == UInt8(ascii: "%"), digits.count == 2 {
                bytes.append(UInt8(digits[0] << 4 | digits[1]))
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
