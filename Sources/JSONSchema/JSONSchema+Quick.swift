package import JSON

/// Result of the check without a tree.
package enum JSONSchemaQuickResult: Hashable, Sendable {
    case valid
    case violation(JSONSchemaViolation)
}

extension JSONSchema {
    /// Checks an object's slices without building a tree, when the schema is a simple one: an object whose properties
    /// are scalars with `type`, `enum` of strings, `minLength`, `maxLength`, `minimum`, `maximum`, plus `required` and
    /// `additionalProperties` true or false.
    ///
    /// - Returns: Nil when the schema or the value is more complex (nested values under constraints, duplicate keys,
    ///   integers written with a fraction); `validate` decides then.
    package func quickValidate(object: JSONSlice, in bytes: UnsafeRawBufferPointer) -> JSONSchemaQuickResult? {
        guard object.kind == .object, let quickForm else { return nil }
        return quickForm.check(object, in: bytes)
    }

    /// Checks the JSON text of a value, without a tree where ``quickValidate(object:in:)`` decides.
    ///
    /// - Returns: nil when the text is not JSON.
    package func verdict(onText bytes: UnsafeRawBufferPointer) -> JSONSchemaResult? {
        var scanner = JSONScanner(bytes)
        guard let slice = try? scanner.document() else { return nil }
        return switch quickValidate(object: slice, in: bytes) {
        case .valid: .valid
        case .violation(let violation): .violations([violation])
        case nil: verdict(on: JSONValue(slice, in: bytes))
        }
    }
}

/// A schema of the simple form.
struct JSONSchemaQuickForm: Sendable {
    /// Largest number of properties; more are left to the tree: presence is one bit each.
    static let maximumProperties = 64
    /// Largest number of enumerated strings; more are left to the tree, which looks values up.
    static let maximumStrings = 256

    private struct Property: Sendable {
        let name: String
        var isRequired = false
        /// Rule of the property's schema; nil when it is not a simple one.
        var rule: Rule? = Rule()
    }

    /// A rule for one property; an object, so that looking one up costs a single reference.
    private final class Rule: Sendable {
        let types: JSONSchemaTypes?
        let strings: [[UInt8]]?
        let lengths: ClosedRange<Int>?
        let minimum: JSONNumber?
        let maximum: JSONNumber?

        init() {
            (types, strings, lengths, minimum, maximum) = (nil, nil, nil, nil, nil)
        }

        /// Creates a rule; nil when the keywords need more than a rule.
        init?(_ node: [JSONSchemaAssertion]) {
            var (types, strings): (JSONSchemaTypes?, [[UInt8]]?) = (nil, nil)
            var (minLength, maxLength): (Int?, Int?) = (nil, nil)
            var (minimum, maximum): (JSONNumber?, JSONNumber?) = (nil, nil)
            for assertion in node {
                switch assertion {
                case .types(let value): types = value
                case .enumeration(let enumeration):
                    let values = enumeration.values
                    guard values.count <= JSONSchemaQuickForm.maximumStrings else { return nil }
                    let texts = values.compactMap(\.string)
                    guard texts.count == values.count else { return nil }
                    strings = texts.map { Array($0.utf8) }
                case .minLength(let count): minLength = count
                case .maxLength(let count): maxLength = count
                case .minimum(let number): minimum = number
                case .maximum(let number): maximum = number
                default: return nil
                }
            }
            guard minLength ?? 0 <= maxLength ?? .max else { return nil }
            (self.types, self.strings, self.minimum, self.maximum) = (types, strings, minimum, maximum)
            lengths = minLength == nil && maxLength == nil ? nil : (minLength ?? 0)...(maxLength ?? .max)
        }
    }

    private var properties: [Property] = []
    /// Names of the properties in one array, searched for every member.
    private var names: [UInt8] = []
    private var ends: [Int] = []
    private var required: UInt64 = 0
    private var allowsAdditional = true

    /// Creates the form of a schema; nil when the schema is not a simple one.
    init?(_ nodes: [[JSONSchemaAssertion]]) {
        guard let root = nodes.first else { return nil }
        for assertion in root {
            switch assertion {
            case .types(let types):
                guard types.contains(.object) else { return nil }
            case .members(let members, let patterns, let additional):
                guard patterns.isEmpty else { return nil }
                switch additional {
                case .allowed: break
                case .forbidden: allowsAdditional = false
                case .schema: return nil
                }
                guard members.count <= Self.maximumProperties else { return nil }
                for (name, node) in members.sorted(by: { $0.key.text < $1.key.text }) {
                    guard let index = index(of: name.text) else { return nil }
                    properties[index].rule = Rule(nodes[node])
                }
            case .required(let names):
                for name in names {
                    guard let index = index(of: name) else { return nil }
                    properties[index].isRequired = true
                }
            default:
                return nil
            }
        }
        // A required name without a schema of its own counts as unknown for additionalProperties: false.
        for (index, property) in properties.enumerated() where property.isRequired {
            required |= 1 << UInt64(index)
            if !allowsAdditional, property.rule != nil, !Self.isDeclared(property.name, root) { return nil }
        }
    }

    private static func isDeclared(_ name: String, _ root: [JSONSchemaAssertion]) -> Bool {
        root.contains { assertion in
            if case .members(let members, _, _) = assertion { members[ExactString(name)] != nil } else { false }
        }
    }

    /// Returns the index of a property, new or known; nil when there are too many.
    private mutating func index(of name: String) -> Int? {
        if let index = properties.firstIndex(where: { ExactString($0.name) == ExactString(name) }) { return index }
        guard properties.count < Self.maximumProperties else { return nil }
        properties.append(Property(name: name))
        names.append(contentsOf: name.utf8)
        ends.append(names.count)
        return properties.count - 1
    }

    func check(_ object: JSONSlice, in bytes: UnsafeRawBufferPointer) -> JSONSchemaQuickResult? {
        var seen: UInt64 = 0
        var isBeyond = false
        var result = JSONSchemaQuickResult.valid
        JSONScanner.members(of: object, in: bytes) { member in
            guard let index = index(of: member.key, in: bytes) else {
                if !allowsAdditional, result == .valid {
                    let name = JSONSchemaText.cut(JSONText.string(member.key, in: bytes))
                    result = Self.violation("", "additionalProperties", "unknown property '\(name)'")
                }
                return true
            }
            let bit: UInt64 = 1 << UInt64(index)
            // A violation does not end the loop: a later duplicate would replace the member.
            guard seen & bit == 0, let rule = properties[index].rule,
                let verdict = Self.check(member.value, rule, properties[index].name, bytes)
            else {
                isBeyond = true
                return false
            }
            seen |= bit
            if result == .valid { result = verdict }
            return true
        }
        guard !isBeyond else { return nil }
        guard result == .valid else { return result }
        let missing = required & ~seen
        guard missing == 0 else {
            let name = JSONSchemaText.cut(properties[missing.trailingZeroBitCount].name)
            return Self.violation("", "required", "missing required property '\(name)'")
        }
        return .valid
    }

    private func index(of key: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Int? {
        names.withUnsafeBytes { names in
            var start = 0
            for index in ends.indices {
                let name = UnsafeRawBufferPointer(rebasing: names[start..<ends[index]])
                if JSONText.equals(key, name, in: bytes) { return index }
                start = ends[index]
            }
            return nil
        }
    }

    private static func check(
        _ value: JSONSlice, _ rule: Rule, _ name: String, _ bytes: UnsafeRawBufferPointer
    ) -> JSONSchemaQuickResult? {
        if let types = rule.types {
            switch allows(types, value, bytes) {
            case nil: return nil
            case true?: break
            case false?:
                let found =
                    types.contains(.integer) && value.kind == .number
                    ? JSONSchemaText.cut(JSONText.source(value, in: bytes)) : value.kind.description
                return violation(name, "type", "expected \(types.text), found \(found)")
            }
        }
        if let strings = rule.strings {
            // The tree reports it with the list of allowed values.
            let isListed = strings.contains { $0.withUnsafeBytes { JSONText.equals(value, $0, in: bytes) } }
            if !isListed { return nil }
        }
        switch value.kind {
        case .string:
            guard let lengths = rule.lengths else { return .valid }
            guard lengths.contains(JSONText.scalarCount(value, in: bytes)) else { return nil }
        case .number:
            guard rule.minimum != nil || rule.maximum != nil else { return .valid }
            let number = JSONNumber(value, in: bytes)
            if let minimum = rule.minimum, number < minimum { return nil }
            if let maximum = rule.maximum, maximum < number { return nil }
        default:
            break
        }
        return .valid
    }

    /// Returns whether a number is allowed; nil for one that may be integral in spite of its spelling.
    private static func allows(
        _ types: JSONSchemaTypes, _ value: JSONSlice, _ bytes: UnsafeRawBufferPointer
    ) -> Bool? {
        switch value.kind {
        case .null: return types.contains(.null)
        case .bool: return types.contains(.boolean)
        case .string: return types.contains(.string)
        case .array: return types.contains(.array)
        case .object: return types.contains(.object)
        case .number:
            if types.contains(.number) { return true }
            guard types.contains(.integer) else { return false }
            let isPlain = value.range.allSatisfy {
                bytes[$0] == UInt8(ascii: "-") || bytes[$0] &- UInt8(ascii: "0") < 10
            }
            return isPlain ? true : nil
        }
    }

    private static func violation(_ name: String, _ keyword: String, _ message: String) -> JSONSchemaQuickResult {
        let name = JSONSchemaText.cut(name)
        return .violation(
            JSONSchemaViolation(
                pointer: name.isEmpty ? "" : "/" + JSONPointer.escaped(name), field: name, keyword: keyword,
                message: name.isEmpty ? message : "\(name): \(message)"))
    }
}
