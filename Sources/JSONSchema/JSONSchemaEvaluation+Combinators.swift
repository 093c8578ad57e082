import JSON

/// Combination of subschemas: `anyOf`, `oneOf`, `not`, `if`, and subschemas of which only validity counts.
extension JSONSchemaEvaluation {
    /// Returns the violations of a subschema on its own; those collected so far stay unchanged.
    mutating func violations(of node: Int, _ value: JSONValue, limit: Int) -> Failure {
        let outer = (violations, expectedTypes, self.limit)
        (violations, expectedTypes, self.limit) = ([], [:], limit)
        check(node, value)
        let inner = (violations, expectedTypes)
        (violations, expectedTypes, self.limit) = outer
        return inner
    }

    mutating func isValid(_ node: Int, _ value: JSONValue) -> Bool {
        silence += 1
        defer { silence -= 1 }
        return violations(of: node, value, limit: 1).list.isEmpty && !gaveUp
    }

    /// Returns whether a part of the current value is valid.
    mutating func isValidPart(_ node: Int, _ value: JSONValue) -> Bool {
        var isValid = false
        descend { isValid = $0.isValid(node, value) }
        return isValid
    }

    /// Returns the same where validity may lead to a violation.
    mutating func isValidReversed(_ node: Int, _ value: JSONValue) -> Bool {
        reversals += 1
        defer { reversals -= 1 }
        return isValid(node, value)
    }

    mutating func checkAny(_ nodes: [Int], _ value: JSONValue) {
        var failures: [Failure] = []
        for node in nodes {
            let failure = violations(of: node, value, limit: min(limit, 5))
            if gaveUp || failure.list.isEmpty { return }
            failures.append(failure)
        }
        report(failures, "anyOf", value)
    }

    mutating func checkOne(_ nodes: [Int], _ value: JSONValue) {
        var failures: [Failure] = []
        reversals += 1
        defer { reversals -= 1 }
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

    /// Reports the failure of all alternatives. When all but one fail for the value's own type, that one's reasons
    /// count; when all do, their types are reported.
    mutating func report(
        _ failures: [Failure], _ keyword: String, _ value: JSONValue
    ) {
        guard silence == 0 else { return fail(keyword, "") }
        var types: JSONSchemaTypes = []
        var others: [[Violation]] = []
        for (list, expected) in failures {
            if let first = list.first, first.path.count == path.count, let expected = expected[0] {
                types.formUnion(expected)
            } else {
                others.append(list)
            }
        }
        if others.count == 1 {
            violations.append(contentsOf: others[0].prefix(max(1, limit - violations.count)))
        } else if others.isEmpty, !types.isEmpty {
            expectedTypes[violations.count] = types
            fail(keyword, "expected \(types.text), found \(Self.found(value, types))")
        } else {
            fail(keyword, "expected one of \(failures.count) forms, found none that fits \(Self.brief(value))")
        }
    }
}
