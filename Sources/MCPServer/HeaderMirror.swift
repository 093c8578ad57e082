import HTTPSyntax
import JSON
import MCP

/// The parameters of one tool that a 2026-07-28 client mirrors into `Mcp-Param-*` headers (`x-mcp-header`).
struct HeaderMirror: Sendable {
    struct Parameter: Hashable, Sendable {
        /// Chain of `properties` keys from the schema's root.
        let path: [String]
        /// Full header name.
        let header: String
    }

    let parameters: [Parameter]

    /// Why a schema's annotations are invalid; a client would drop the tool.
    struct InvalidAnnotation: Error, CustomStringConvertible {
        let description: String
    }

    init(inputSchema: JSONValue) throws(InvalidAnnotation) {
        var parameters: [Parameter] = []
        try Self.collect(inputSchema, path: [], isReachable: true, &parameters)
        var names: Set<String> = []
        for parameter in parameters where !names.insert(parameter.header.lowercased()).inserted {
            throw InvalidAnnotation(description: "x-mcp-header \(parameter.header) is used twice")
        }
        self.parameters = parameters
    }

    private static func collect(
        _ schema: JSONValue, path: [String], isReachable: Bool, _ found: inout [Parameter]
    ) throws(InvalidAnnotation) {
        guard case .object(let object) = schema else {
            if case .array(let elements) = schema {
                for element in elements { try collect(element, path: path, isReachable: false, &found) }
            }
            return
        }
        if let annotation = object["x-mcp-header"] {
            let place = path.joined(separator: ".")
            guard let name = annotation.string, HTTPSyntax.isToken(name) else {
                throw InvalidAnnotation(description: "x-mcp-header of \(place) is not a header name")
            }
            guard isReachable, !path.isEmpty else {
                throw InvalidAnnotation(description: "x-mcp-header of \(place) is not reachable through properties")
            }
            guard let type = object["type"]?.string, ["string", "integer", "boolean"].contains(type) else {
                throw InvalidAnnotation(description: "x-mcp-header of \(place) is on no string, integer or boolean")
            }
            found.append(Parameter(path: path, header: MCPHeader.parameterPrefix + name))
        }
        for (key, value) in object {
            switch key {
            case "properties":
                guard case .object(let properties) = value else { continue }
                for (name, property) in properties {
                    try collect(property, path: path + [name], isReachable: isReachable, &found)
                }
            case "default", "const", "enum", "examples", "x-mcp-header":
                continue
            default:
                try collect(value, path: path, isReachable: false, &found)
            }
        }
    }

    /// Compares headers and arguments; returns what is wrong, for a -32020.
    func mismatch(headers: MCPHTTPHeaders, arguments: JSONObject) -> String? {
        for parameter in parameters {
            let value = Self.value(at: parameter.path, in: arguments)
            let received = headers.all(parameter.header)
            guard let value, !value.isNull else {
                if !received.isEmpty { return "\(parameter.header) is present but the argument is not" }
                continue
            }
            guard received.count == 1, let text = HeaderText.decoded(received[0]) else {
                return "\(parameter.header) is missing or malformed"
            }
            if !Self.matches(text, value) { return "\(parameter.header) does not match the argument" }
        }
        return nil
    }

    private static func value(at path: [String], in arguments: JSONObject) -> JSONValue? {
        var value: JSONValue = .object(arguments)
        for key in path {
            guard let next = value[key] else { return nil }
            value = next
        }
        return value
    }

    private static func matches(_ text: String, _ value: JSONValue) -> Bool {
        switch value {
        case .string(let string): return string == text
        case .bool(let bool): return text == (bool ? "true" : "false")
        case .number(let number):
            // The header's text must be a JSON number for `Double` alone accepts "inf" or "0x1p3".
            guard case .number(let sent)? = try? JSONValue(parsing: text) else { return false }
            return sent == number
        default: return false
        }
    }
}

/// Reads header values that may be wrapped in `=?base64?…?=`.
enum HeaderText {
    /// `nil`: bytes outside 0x20–0x7E and tab, or a wrapper around what is not Base64 of UTF-8.
    static func decoded(_ value: String) -> String? {
        guard value.utf8.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 0x09 }) else { return nil }
        return MCPHeader.decodeValue(value)
    }
}
