#if DEBUG

import Foundation

@testable import JSON
@testable import JSONSchema

extension FuzzEntry {
    static let jsonEntries = [
        FuzzEntry("json") { bytes in
            let value = try? JSONValue(parsing: bytes)
            if let value {
                let again = try? JSONValue(parsing: value.serialized)
                try require(again == value, "what is written is not what was read")
            }
            try compareWithFoundation(bytes, value)
        },
        // A schema and a value, divided by a zero byte.
        FuzzEntry("schema") { bytes in
            let (schema, instance) = halves(bytes)
            guard let document = try? JSONValue(parsing: schema), let rules = try? JSONSchema(document),
                let value = try? JSONValue(parsing: instance)
            else { return }
            let verdict = rules.verdict(on: value)
            if case .undecided = verdict { return }
            try require(rules.isValid(value) == (verdict == .valid), "isValid and verdict differ")
            try instance.withUnsafeBytes { instance in
                var scanner = JSONScanner(instance)
                guard let slice = try? scanner.document(),
                    let quick = rules.quickValidate(object: slice, in: instance)
                else { return }
                try require((quick == .valid) == (verdict == .valid), "the quick check and verdict differ")
            }
        },
        // A pattern and a text, divided by a zero byte.
        FuzzEntry("pattern") { bytes in
            let (source, text) = halves(bytes)
            var budget = JSONSchemaBudget(steps: 100_000, bytes: 1 << 20)
            guard let pattern = try? JSONSchemaPattern(String(decoding: source, as: UTF8.self), &budget) else { return }
            _ = pattern.matches(String(decoding: text, as: UTF8.self), &budget)
        },
    ]

    /// Compares with Foundation's parser, but for what the two decide differently on purpose: Foundation takes UTF-16 and
    /// UTF-32, nesting up to 512 and a comma behind the last element, and no halves of surrogate pairs or numbers beyond a
    /// double's range.
    private static func compareWithFoundation(_ bytes: UnsafeRawBufferPointer, _ value: JSONValue?) throws {
        let isPlain = !bytes.contains(0) && bytes.first != 0xEF && bytes.first != 0xFE && bytes.first != 0xFF
        guard isPlain else { return }
        let other = try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])
        if value == nil, other != nil {
            let text = String(decoding: bytes, as: UTF8.self)
            let hasTrailingComma = text.range(of: #",[ \t\r\n]*[\]}]"#, options: .regularExpression) != nil
            try require(
                depth(bytes) > JSONScanner.defaultMaximumDepth || hasTrailingComma, "Foundation takes it")
        } else if let value, other == nil {
            let text = String(decoding: bytes, as: UTF8.self)
            let hasHalves = text.range(of: #"\\u[dD][89a-fA-F]"#, options: .regularExpression) != nil
            try require(hasHalves || hasLargeNumber(value), "Foundation refuses it")
        }
    }

    private static func depth(_ bytes: UnsafeRawBufferPointer) -> Int {
        var (depth, deepest) = (0, 0)
        for byte in bytes {
            if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") { depth += 1 }
            if byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}") { depth -= 1 }
            deepest = max(deepest, depth)
        }
        return deepest
    }

    private static func hasLargeNumber(_ value: JSONValue) -> Bool {
        switch value {
        case .number(let number): !(Double(number.description)?.isFinite ?? false) || number.description.utf8.count > 17
        case .array(let elements): elements.contains(where: hasLargeNumber)
        case .object(let object): object.contains { hasLargeNumber($0.value) }
        default: false
        }
    }
}

#endif
