import JSON

/// One validation: traverses the value and the compiled schema together and collects violations.
struct JSONSchemaEvaluation {
    static let maximumDepth = 512
    static let maximumViolations = 20

    let nodes: [[JSONSchemaAssertion]]
    private var budget: JSONSchemaBudget
    var violations: [Violation] = []
    /// Number of violations at which validation stops: one where only validity is asked.
    var limit: Int
    var path: [JSONPathComponent] = []
    private var depth = 0
    /// Reason, set when a limit is exceeded: then the result is undecided.
    private var reasonForGivingUp: String?
    /// Types that the current value should have, for each violation of `type`: merged by `anyOf`.
    var expectedTypes: [Int: JSONSchemaTypes] = [:]
    /// Nesting depth of subschemas whose violations are only counted.
    var silence = 0

    // True if the schema may lead back to itself for the same value: then it is recorded which nodes evaluate which
    // value.
    private let watchesLoops: Bool
    private var active: [Int: Visit] = [:]
    /// Number of the current value, and the number of values so far.
    private var subject = 0
    private var subjects = 0
    /// Number of enclosing subschemas whose failure is a success, or counts: `not`, `if`, `oneOf`.
    var reversals = 0

    private struct Visit {
        let subject: Int
        let reversals: Int
    }

    /// A violation while it is collected: its place is written at the end.
    struct Violation {
        let keyword: String
        let message: String
        let path: [JSONPathComponent]

        var finished: JSONSchemaViolation {
            let field = JSONPathComponent.field(path)
            return JSONSchemaViolation(
                pointer: JSONPathComponent.pointer(path), field: field, keyword: keyword,
                message: field.isEmpty ? message : "\(field): \(message)")
        }
    }

    typealias Failure = (list: [Violation], types: [Int: JSONSchemaTypes])

    init(_ schema: JSONSchema, budget: JSONSchemaBudget, limit: Int = JSONSchemaEvaluation.maximumViolations) {
        nodes = schema.nodes
        watchesLoops = schema.hasLoops
        self.budget = budget
        self.limit = limit
    }

    /// Checks `value` by the first node.
    mutating func verdict(_ value: JSONValue) -> JSONSchemaResult {
        check(0, value)
        if let reasonForGivingUp { return .undecided(reason: reasonForGivingUp) }
        return violations.isEmpty ? .valid : .violations(violations.map(\.finished))
    }

    mutating func check(_ node: Int, _ value: JSONValue) {
        guard !isDone, spend(1 + nodes[node].count) else { return }
        guard depth < Self.maximumDepth else { return giveUp("the schema recurses too deeply") }
        guard watchesLoops else { return checkAssertions(of: node, value) }
        let outer = active[node]
        if let outer, outer.subject == subject {
            // No step into the value was made on the way: the schema requires the same again, and nothing else.
            if outer.reversals != reversals { giveUp("the schema contradicts itself") }
            return
        }
        active[node] = Visit(subject: subject, reversals: reversals)
        checkAssertions(of: node, value)
        active[node] = outer
    }

    private mutating func checkAssertions(of node: Int, _ value: JSONValue) {
        depth += 1
        defer { depth -= 1 }
        for assertion in nodes[node] {
            guard !isDone else { return }
            check(assertion, value)
        }
    }

    var gaveUp: Bool { reasonForGivingUp != nil }
    private var isDone: Bool { gaveUp || violations.count >= limit }

    /// Takes steps from the budget; false, and the result is undecided, when there are too few.
    private mutating func spend(_ steps: Int, bytes: Int = 0) -> Bool {
        guard !gaveUp else { return false }
        if budget.spend(steps: steps, bytes: bytes) { return true }
        giveUp("the value is too large to be validated")
        return false
    }

    private mutating func giveUp(_ reason: String) {
        reasonForGivingUp = reason
    }

    mutating func fail(_ keyword: String, _ message: @autoclosure () -> String) {
        guard silence == 0 else {
            violations.append(Violation(keyword: keyword, message: "", path: []))
            return
        }
        guard spend(path.count, bytes: 1024 + 64 * path.count) else { return }
        violations.append(Violation(keyword: keyword, message: message(), path: path))
    }

    /// Returns the number of steps for reading a whole value.
    static func weight(of value: JSONValue) -> Int {
        switch value {
        case .null, .bool: 1
        case .number(let number): 1 + number.text.utf8.count / 16
        case .string(let string): 1 + string.utf8.count / 64
        case .array(let elements): elements.reduce(1) { $0 + weight(of: $1) }
        case .object(let members): members.reduce(1) { $0 + 1 + $1.key.utf8.count / 64 + weight(of: $1.value) }
        }
    }

    private mutating func check(_ assertion: JSONSchemaAssertion, _ value: JSONValue) {
        switch assertion {
        case .never:
            fail("false", "no value is allowed here")
        case .types(let types):
            guard !types.allows(value) else { return }
            expectedTypes[violations.count] = types
            fail("type", "expected \(types.text), found \(Self.found(value, types))")
        case .constant(let constant):
            guard spend(Self.weight(of: value)), value != constant else { return }
            fail("const", "expected \(Self.brief(constant)), found \(Self.brief(value))")
        case .enumeration(let enumeration):
            guard spend(enumeration.comparisons * Self.weight(of: value)), !enumeration.contains(value) else { return }
            fail("enum", "expected one of \(Self.list(enumeration.values)), found \(Self.brief(value))")
        case .allOf(let nodes):
            for node in nodes { check(node, value) }
        case .anyOf(let nodes):
            checkAny(nodes, value)
        case .oneOf(let nodes):
            checkOne(nodes, value)
        case .not(let node):
            if isValidReversed(node, value), !gaveUp { fail("not", "this value is not allowed") }
        case .condition(let condition, let then, let otherwise):
            if let branch = isValidReversed(condition, value) ? then : otherwise { check(branch, value) }
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

    static func found(_ value: JSONValue, _ types: JSONSchemaTypes) -> String {
        // "expected integer, found number" does not explain enough for 1.5.
        types.contains(.integer) && value.number != nil ? Self.brief(value) : value.kind.description
    }

    static func brief(_ value: JSONValue) -> String { JSONSchemaText.brief(value) }

    /// Returns the first 20 values, for a message.
    private static func list(_ values: [JSONValue]) -> String {
        values.prefix(20).map(JSONSchemaText.brief).joined(separator: ", ") + (values.count > 20 ? ", …" : "")
    }

    // MARK: Scalars

    private mutating func checkNumber(_ assertion: JSONSchemaAssertion, _ number: JSONNumber) {
        // A number may be as long as the document.
        guard spend(number.text.utf8.count / 16) else { return }
        let found = JSONSchemaText.cut(number.text)
        switch assertion {
        case .minimum(let limit):
            if number < limit { fail("minimum", "expected at least \(limit), found \(found)") }
        case .maximum(let limit):
            if limit < number { fail("maximum", "expected at most \(limit), found \(found)") }
        case .exclusiveMinimum(let limit):
            if !(limit < number) { fail("exclusiveMinimum", "expected more than \(limit), found \(found)") }
        case .exclusiveMaximum(let limit):
            if !(number < limit) { fail("exclusiveMaximum", "expected less than \(limit), found \(found)") }
        case .multipleOf(let divisor):
            if !number.isMultiple(of: divisor) {
                fail("multipleOf", "expected a multiple of \(divisor), found \(found)")
            }
        default:
            return
        }
    }

    private mutating func checkString(_ assertion: JSONSchemaAssertion, _ string: String) {
        guard spend(string.utf8.count / 64) else { return }
        switch assertion {
        case .minLength(let limit):
            let count = string.unicodeScalars.count
            if count < limit {
                fail("minLength", "expected at least \(Self.counted(limit, "character")), found \(count)")
            }
        case .maxLength(let limit):
            let count = string.unicodeScalars.count
            if count > limit {
                fail("maxLength", "expected at most \(Self.counted(limit, "character")), found \(count)")
            }
        case .pattern(let pattern):
            guard !matches(pattern, string), !gaveUp else { return }
            let source = JSONSchemaText.cut(pattern.source)
            fail("pattern", "expected text that matches \(source), found \(Self.brief(.string(string)))")
        case .format(let format):
            guard !format.matches(string) else { return }
            fail("format", "expected \(format.expectation), found \(Self.brief(.string(string)))")
        default:
            return
        }
    }

    private mutating func matches(_ pattern: JSONSchemaPattern, _ text: String) -> Bool {
        guard let matches = pattern.matches(text, &budget) else {
            giveUp("the text is too long to be checked against \(JSONSchemaText.cut(pattern.source))")
            return false
        }
        return matches
    }

    private static func counted(_ count: Int, _ noun: String, plural: String? = nil) -> String {
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
            for element in elements {
                if isValidPart(node, element) { count += 1 }
                if gaveUp { return }
            }
            if count < minimum {
                fail("contains", "expected at least \(Self.counted(minimum, "element")) of a kind, found \(count)")
            } else if let maximum, count > maximum {
                fail("maxContains", "expected at most \(Self.counted(maximum, "element")) of a kind, found \(count)")
            }
        case .minItems(let limit):
            if elements.count < limit {
                fail("minItems", "expected at least \(Self.counted(limit, "element")), found \(elements.count)")
            }
        case .maxItems(let limit):
            if elements.count > limit {
                fail("maxItems", "expected at most \(Self.counted(limit, "element")), found \(elements.count)")
            }
        case .uniqueItems:
            guard spend(Self.weight(of: .array(elements)), bytes: 64 * elements.count) else { return }
            if Set(elements).count < elements.count { fail("uniqueItems", "expected distinct elements") }
        default:
            return
        }
    }

    private mutating func checkObject(_ assertion: JSONSchemaAssertion, _ object: JSONObject) {
        switch assertion {
        case .required(let names):
            guard spend(names.count) else { return }
            for name in names where object[name] == nil && !isDone {
                fail("required", "missing required property '\(JSONSchemaText.cut(name))'")
            }
        case .members(let properties, let patterns, let additional):
            checkMembers(object, properties, patterns, additional)
        case .propertyNames(let node):
            for (name, _) in object {
                guard !isDone else { return }
                let isAllowed = isValidPart(node, .string(name))
                if !isAllowed, !gaveUp {
                    fail("propertyNames", "property name '\(JSONSchemaText.cut(name))' is not allowed")
                }
            }
        case .minProperties(let limit):
            if object.count < limit {
                let least = Self.counted(limit, "property", plural: "properties")
                fail("minProperties", "expected at least \(least), found \(object.count)")
            }
        case .maxProperties(let limit):
            if object.count > limit {
                let most = Self.counted(limit, "property", plural: "properties")
                fail("maxProperties", "expected at most \(most), found \(object.count)")
            }
        case .dependentRequired(let dependencies):
            for (name, required) in dependencies where object[name] != nil {
                guard spend(1 + required.count) else { return }
                for other in required where object[other] == nil && !isDone {
                    let (other, name) = (JSONSchemaText.cut(other), JSONSchemaText.cut(name))
                    fail("dependentRequired", "missing property '\(other)', which '\(name)' requires")
                }
            }
        case .dependentSchemas(let dependencies):
            guard spend(dependencies.count) else { return }
            for (name, node) in dependencies where object[name] != nil { check(node, .object(object)) }
        default:
            return
        }
    }

    private mutating func checkMembers(
        _ object: JSONObject, _ properties: [ExactString: Int], _ patterns: [(JSONSchemaPattern, Int)],
        _ additional: JSONSchemaAdditional
    ) {
        for (name, value) in object {
            guard !isDone, spend(1 + name.utf8.count / 64) else { return }
            var isKnown = false
            if let node = properties[ExactString(name)] {
                isKnown = true
                check(node, value, at: .name(name))
            }
            for (pattern, node) in patterns where matches(pattern, name) {
                isKnown = true
                check(node, value, at: .name(name))
            }
            guard !isKnown else { continue }
            switch additional {
            case .allowed: continue
            case .forbidden: fail("additionalProperties", "unknown property '\(JSONSchemaText.cut(name))'")
            case .schema(let node): check(node, value, at: .name(name))
            }
        }
    }

    private mutating func check(_ node: Int, _ value: JSONValue, at component: JSONPathComponent) {
        path.append(component)
        descend { $0.check(node, value) }
        path.removeLast()
    }

    /// Runs a closure for a part of the current value.
    mutating func descend(_ body: (inout Self) -> Void) {
        let outer = subject
        subjects += 1
        subject = subjects
        body(&self)
        subject = outer
    }
}
