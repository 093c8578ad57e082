/// One validation: walks the value and the compiled schema together and collects violations.
struct JSONSchemaEvaluation {
    static let maximumDepth = 256
    static let maximumSteps = 1_000_000
    static let maximumViolations = 20

    let nodes: [[JSONSchemaAssertion]]
    private var violations: [JSONSchemaViolation] = []
    /// Violations after which there is no point in going on: one where only validity is asked.
    private var limit: Int
    private var path: [JSONPathComponent] = []
    private var depth = 0
    private var steps = 0
    /// Set when a bound is hit: then nothing is valid, not even under `not`, and this is the only violation.
    private var reasonForGivingUp: JSONSchemaViolation?
    /// Types that the value at hand would have to have, per violation of `type`: merged by `anyOf`.
    private var expectedTypes: [Int: JSONSchemaTypes] = [:]

    init(nodes: [[JSONSchemaAssertion]], limit: Int = JSONSchemaEvaluation.maximumViolations) {
        self.nodes = nodes
        self.limit = limit
    }

    /// What is wrong with `value` by the schema of `node`.
    mutating func result(_ node: Int, _ value: JSONValue) -> [JSONSchemaViolation] {
        check(node, value)
        return reasonForGivingUp.map { [$0] } ?? violations
    }

    private mutating func check(_ node: Int, _ value: JSONValue) {
        guard !isDone else { return }
        steps += 1
        guard steps <= Self.maximumSteps else { return giveUp("the value is too large to be validated") }
        guard depth < Self.maximumDepth else { return giveUp("the schema recurses too deeply") }
        depth += 1
        defer { depth -= 1 }
        for assertion in nodes[node] {
            guard !isDone else { return }
            check(assertion, value)
        }
    }

    private var gaveUp: Bool { reasonForGivingUp != nil }
    private var isDone: Bool { gaveUp || violations.count >= limit }

    private mutating func giveUp(_ reason: String) {
        reasonForGivingUp = violation("$schema", reason)
    }

    private mutating func fail(_ keyword: String, _ message: String) {
        violations.append(violation(keyword, message))
    }

    private func violation(_ keyword: String, _ message: String) -> JSONSchemaViolation {
        let field = JSONPathComponent.field(path)
        return JSONSchemaViolation(
            pointer: JSONPathComponent.pointer(path), field: field, keyword: keyword,
            message: field.isEmpty ? message : "\(field): \(message)")
    }

    private mutating func check(_ assertion: JSONSchemaAssertion, _ value: JSONValue) {
        switch assertion {
        case .never:
            fail("false", "no value is allowed here")
        case .types(let types):
            guard !types.allows(value) else { return }
            expectedTypes[violations.count] = types
            fail("type", "expected \(types.text), found \(found(value, types))")
        case .constant(let constant):
            if value != constant { fail("const", "expected \(brief(constant)), found \(brief(value))") }
        case .enumeration(let values):
            guard !values.contains(value) else { return }
            let list = values.prefix(20).map(brief).joined(separator: ", ")
            fail("enum", "expected one of \(list)\(values.count > 20 ? ", …" : ""), found \(brief(value))")
        case .allOf(let nodes):
            for node in nodes { check(node, value) }
        case .anyOf(let nodes):
            checkAny(nodes, value)
        case .oneOf(let nodes):
            checkOne(nodes, value)
        case .not(let node):
            if isValid(node, value), !gaveUp { fail("not", "this value is not allowed") }
        case .condition(let condition, let then, let otherwise):
            if let branch = isValid(condition, value) ? then : otherwise { check(branch, value) }
        case .reference(let node):
            check(node, value)
        default:
            switch value {
            case .number(let number): checkNumber(assertion, number)
            case .string(let string): checkString(assertion, string)
            case .array(let elements): checkArray(assertion, elements)
            case .object(let object): checkObject(assertion, object)
            case .null, .bool: return
            }
        }
    }

    private func found(_ value: JSONValue, _ types: JSONSchemaTypes) -> String {
        // "expected integer, found number" says too little about 1.5.
        types.contains(.integer) && value.number != nil ? brief(value) : value.kind.description
    }

    private func brief(_ value: JSONValue) -> String {
        let text = value.text
        return text.count <= 100 ? text : text.prefix(100) + "…"
    }

    // MARK: Scalars

    private mutating func checkNumber(_ assertion: JSONSchemaAssertion, _ number: JSONNumber) {
        switch assertion {
        case .minimum(let limit):
            if number < limit { fail("minimum", "expected at least \(limit), found \(number)") }
        case .maximum(let limit):
            if limit < number { fail("maximum", "expected at most \(limit), found \(number)") }
        case .exclusiveMinimum(let limit):
            if !(limit < number) { fail("exclusiveMinimum", "expected more than \(limit), found \(number)") }
        case .exclusiveMaximum(let limit):
            if !(number < limit) { fail("exclusiveMaximum", "expected less than \(limit), found \(number)") }
        case .multipleOf(let divisor):
            if !number.isMultiple(of: divisor) {
                fail("multipleOf", "expected a multiple of \(divisor), found \(number)")
            }
        default:
            return
        }
    }

    private mutating func checkString(_ assertion: JSONSchemaAssertion, _ string: String) {
        switch assertion {
        case .minLength(let limit):
            let count = string.unicodeScalars.count
            if count < limit { fail("minLength", "expected at least \(counted(limit, "character")), found \(count)") }
        case .maxLength(let limit):
            let count = string.unicodeScalars.count
            if count > limit { fail("maxLength", "expected at most \(counted(limit, "character")), found \(count)") }
        case .pattern(let pattern):
            switch pattern.matches(string) {
            case true?: return
            case false?:
                fail("pattern", "expected text that matches \(pattern.source), found \(brief(.string(string)))")
            case nil: fail("pattern", "the text is too long to be checked against \(pattern.source)")
            }
        default:
            return
        }
    }

    private func counted(_ count: Int, _ noun: String, plural: String? = nil) -> String {
        "\(count) \(count == 1 ? noun : plural ?? noun + "s")"
    }

    // MARK: Arrays and objects

    private mutating func checkArray(_ assertion: JSONSchemaAssertion, _ elements: [JSONValue]) {
        switch assertion {
        case .items(let prefix, let rest):
            for (index, element) in elements.enumerated() {
                guard let node = index < prefix.count ? prefix[index] : rest else { return }
                check(node, element, at: .index(index))
                if isDone { return }
            }
        case .contains(let node, let minimum, let maximum):
            var count = 0
            for element in elements where isValid(node, element) { count += 1 }
            if count < minimum {
                fail("contains", "expected at least \(counted(minimum, "element")) of a kind, found \(count)")
            } else if let maximum, count > maximum {
                fail("maxContains", "expected at most \(counted(maximum, "element")) of a kind, found \(count)")
            }
        case .minItems(let limit):
            if elements.count < limit {
                fail("minItems", "expected at least \(counted(limit, "element")), found \(elements.count)")
            }
        case .maxItems(let limit):
            if elements.count > limit {
                fail("maxItems", "expected at most \(counted(limit, "element")), found \(elements.count)")
            }
        case .uniqueItems:
            if Set(elements).count < elements.count { fail("uniqueItems", "expected distinct elements") }
        default:
            return
        }
    }

    private mutating func checkObject(_ assertion: JSONSchemaAssertion, _ object: JSONObject) {
        switch assertion {
        case .required(let names):
            for name in names where object[name] == nil { fail("required", "missing required property '\(name)'") }
        case .members(let properties, let patterns, let additional):
            checkMembers(object, properties, patterns, additional)
        case .propertyNames(let node):
            for (name, _) in object where !isValid(node, .string(name)) {
                fail("propertyNames", "property name '\(name)' is not allowed")
            }
        case .minProperties(let limit):
            if object.count < limit {
                let least = counted(limit, "property", plural: "properties")
                fail("minProperties", "expected at least \(least), found \(object.count)")
            }
        case .maxProperties(let limit):
            if object.count > limit {
                let most = counted(limit, "property", plural: "properties")
                fail("maxProperties", "expected at most \(most), found \(object.count)")
            }
        case .dependentRequired(let dependencies):
            for (name, required) in dependencies where object[name] != nil {
                for other in required where object[other] == nil {
                    fail("dependentRequired", "missing property '\(other)', which '\(name)' requires")
                }
            }
        case .dependentSchemas(let dependencies):
            for (name, node) in dependencies where object[name] != nil { check(node, .object(object)) }
        default:
            return
        }
    }

    private mutating func checkMembers(
        _ object: JSONObject, _ properties: [String: Int], _ patterns: [(JSONSchemaPattern, Int)],
        _ additional: JSONSchemaAdditional
    ) {
        for (name, value) in object {
            if isDone { return }
            var isKnown = false
            if let node = properties[name] {
                isKnown = true
                check(node, value, at: .name(name))
            }
            for (pattern, node) in patterns where pattern.matches(name) ?? true {
                isKnown = true
                check(node, value, at: .name(name))
            }
            guard !isKnown else { continue }
            switch additional {
            case .allowed: continue
            case .forbidden: fail("additionalProperties", "unknown property '\(name)'")
            case .schema(let node): check(node, value, at: .name(name))
            }
        }
    }

    private mutating func check(_ node: Int, _ value: JSONValue, at component: JSONPathComponent) {
        path.append(component)
        check(node, value)
        path.removeLast()
    }

    // MARK: Combinators

    /// Violations of a subschema on its own; the ones collected so far stay untouched.
    private mutating func violations(
        of node: Int, _ value: JSONValue, limit: Int
    ) -> (list: [JSONSchemaViolation], types: [Int: JSONSchemaTypes]) {
        let outer = (violations, expectedTypes, self.limit)
        (violations, expectedTypes, self.limit) = ([], [:], limit)
        check(node, value)
        let inner = (violations, expectedTypes)
        (violations, expectedTypes, self.limit) = outer
        return inner
    }

    private mutating func isValid(_ node: Int, _ value: JSONValue) -> Bool {
        violations(of: node, value, limit: 1).list.isEmpty && !gaveUp
    }

    private mutating func checkAny(_ nodes: [Int], _ value: JSONValue) {
        var failures: [(list: [JSONSchemaViolation], types: [Int: JSONSchemaTypes])] = []
        for node in nodes {
            let failure = violations(of: node, value, limit: min(limit, 5))
            if gaveUp || failure.list.isEmpty { return }
            failures.append(failure)
        }
        report(failures, "anyOf", value)
    }

    private mutating func checkOne(_ nodes: [Int], _ value: JSONValue) {
        var failures: [(list: [JSONSchemaViolation], types: [Int: JSONSchemaTypes])] = []
        for node in nodes {
            let failure = violations(of: node, value, limit: min(limit, 5))
            if gaveUp { return }
            if !failure.list.isEmpty { failures.append(failure) }
        }
        switch nodes.count - failures.count {
        case 1: return
        case 0: report(failures, "oneOf", value)
        case let count: fail("oneOf", "expected exactly one of the allowed forms, found \(count)")
        }
    }

    /// Says what all alternatives lack. When all but one fail for the value's own type, that one's reasons count; when
    /// all do, their types are the answer.
    private mutating func report(
        _ failures: [(list: [JSONSchemaViolation], types: [Int: JSONSchemaTypes])], _ keyword: String,
        _ value: JSONValue
    ) {
        let pointer = JSONPathComponent.pointer(path)
        var types: JSONSchemaTypes = []
        var others: [[JSONSchemaViolation]] = []
        for (list, expected) in failures {
            if let first = list.first, first.pointer == pointer, let expected = expected[0] {
                types.formUnion(expected)
            } else {
                others.append(list)
            }
        }
        if others.count == 1 {
            violations.append(contentsOf: others[0].prefix(max(1, limit - violations.count)))
        } else if others.isEmpty, !types.isEmpty {
            expectedTypes[violations.count] = types
            fail(keyword, "expected \(types.text), found \(found(value, types))")
        } else {
            fail(keyword, "expected one of \(failures.count) forms, found none that fits \(brief(value))")
        }
    }
}

/// A step from a value to a part of it.
enum JSONPathComponent: Hashable, Sendable {
    case name(String)
    case index(Int)

    static func pointer(_ path: [JSONPathComponent]) -> String {
        path.map { component in
            switch component {
            case .name(let name): "/" + JSONPointer.escaped(name)
            case .index(let index): "/\(index)"
            }
        }.joined()
    }

    static func field(_ path: [JSONPathComponent]) -> String {
        var field = ""
        for component in path {
            switch component {
            case .name(let name): field += field.isEmpty ? name : "." + name
            case .index(let index): field += "[\(index)]"
            }
        }
        return field
    }
}
