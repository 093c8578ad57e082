import JSON

/// A step from a value to a part of it.
enum JSONPathComponent: Hashable, Sendable {
    case name(String)
    case index(Int)

    static func pointer(_ path: [JSONPathComponent]) -> String {
        path.map { component in
            switch component {
            case .name(let name): "/" + JSONPointer.escaped(JSONSchemaText.cut(name))
            case .index(let index): "/\(index)"
            }
        }.joined()
    }

    static func field(_ path: [JSONPathComponent]) -> String {
        var field = ""
        for component in path {
            switch component {
            case .name(let name): field += (field.isEmpty ? "" : ".") + JSONSchemaText.cut(name)
            case .index(let index): field += "[\(index)]"
            }
        }
        return field
    }
}
