import JSON
import JSONConfiguration
import Store

extension SQLToolConfiguration {
    /// Keys of a statement that writes, beside those of all statements.
    ///
    /// | key | type | default | meaning |
    /// |---|---|---|---|
    /// | `maxRows` | integer | 1 | most rows that a call may change; more are rolled back |
    /// | `confirm` | boolean or text | true | whether the user is asked first, and in which words |
    /// | `allowAnonymous` | boolean | false | whether callers without an identity may call it |
    /// | `idempotent` | boolean | false | whether a second run with the same values changes nothing more |
    struct Write: Sendable {
        let statement: WritingStatement
        let maxRows: Int
        /// Question to the user; nil: none is asked.
        let question: Question?
        let allowsAnonymous: Bool
        let isIdempotent: Bool
    }

    /// Words in which the user is asked.
    enum Question: Sendable {
        /// The title of the tool and all values.
        case standard
        /// Text with `{argument}` in the places of values.
        case words(ColumnTemplate)
    }

    /// Keys that only statements that write have.
    private static let keysOfWrites = ["maxRows", "confirm", "allowAnonymous", "idempotent"]

    /// Reads the keys of a statement that writes. Errors are recorded in the reader.
    /// - Parameter sql: The statement; nil for one that reads.
    static func write(_ sql: String?, _ arguments: [Argument], _ reader: ConfigurationReader) -> Write? {
        let maxRows = reader.integer(
            "maxRows", default: 1, in: 1...10_000,
            "With writes: largest number of rows that one call may change. A call that would change more changes none and "
                + "fails.")
        let question = question(arguments, reader)
        let allowsAnonymous = reader.bool(
            "allowAnonymous", default: false,
            "With writes: true lets callers without an identity call the tool; otherwise they are refused.")
        let isIdempotent = reader.bool(
            "idempotent", default: false,
            "With writes: true declares that a second run with the same values has no further effect (idempotentHint), so "
                + "that a call without an answer may be sent again.")
        guard let sql else {
            for key in keysOfWrites where reader.isPresent(key) {
                reader.fail(key, expected: "no \(key), as writes is not true", found: "one")
            }
            return nil
        }
        if reader.isPresent("limit") {
            reader.fail("limit", expected: "no limit, as the statement writes (maxRows bounds its rows)", found: "one")
        }
        guard reader.isPresent("statement") else { return nil }
        do {
            return Write(
                statement: try WritingStatement(parsing: sql, types: types(arguments)), maxRows: maxRows,
                question: question,
                allowsAnonymous: allowsAnonymous, isIdempotent: isIdempotent)
        } catch {
            reader.fail("statement", expected: "one INSERT, UPDATE or DELETE", found: error.description)
            return nil
        }
    }

    private static func question(_ arguments: [Argument], _ reader: ConfigurationReader) -> Question? {
        let json = reader.json(
            "confirm",
            "With writes: whether the user is asked before the statement runs. true: by the tool's title and all values; a "
                + "text: in these words, with {argument} in the places of values; false: the user is not asked. Default: true.",
            example: "Pay {amount} to {to}?")
        switch json {
        case nil, .null?, .bool(true)?: return .standard
        case .bool(false)?: return nil
        case .string(let text)?:
            guard let words = ColumnTemplate(parsing: text), !text.isEmpty, text.utf8.count <= 1000 else {
                reader.fail(
                    "confirm", expected: "a text of at most 1000 bytes with {argument} in the places of values",
                    found: "\"\(text.printable)\"")
                return .standard
            }
            for name in words.columns where !arguments.contains(where: { $0.name == name }) {
                let known = arguments.map { "{\($0.name)}" }.joined(separator: ", ")
                reader.fail(
                    "confirm", expected: known.isEmpty ? "no {…}, as there are no arguments" : "one of \(known)",
                    found: "{\(name.printable)}")
            }
            return .words(words)
        case let other?:
            reader.fail("confirm", expected: "true, false or a text", found: String(other.text.prefix(80)))
            return .standard
        }
    }
}

extension SQLToolConfiguration {
    /// Largest number of code points of a value that is shown to the user.
    private static let shownValue = 200

    /// Returns the question to the user about a call.
    /// - Parameter facts: Returns a fact of the caller; nil where its credential says nothing of it.
    func text(of question: Question, _ given: JSONObject, _ facts: (CallerSource) -> JSONValue?) -> String {
        var values: [String: String] = [:]
        for argument in arguments {
            let value = argument.source.map(facts) ?? given[argument.name] ?? argument.defaultValue
            values[argument.name] = value.map(Self.shown) ?? "nothing"
        }
        switch question {
        case .words(let words): return words.text(values)
        case .standard:
            let list = arguments.map { "\($0.name): \(values[$0.name] ?? "")" }.joined(separator: ", ")
            return "\(title ?? name)\(list.isEmpty ? "" : " (\(list))")?"
        }
    }

    /// Text of a value in a question. What could pass for words of the question, or turn their direction, is made visible.
    private static func shown(_ value: JSONValue) -> String {
        let text: String =
            switch value {
            case .string(let text): text
            case .array(let elements): elements.map(shown).joined(separator: ", ")
            case .null: "nothing"
            default: value.text
            }
        let flat = text.replacing("\n", with: " ").replacing("\t", with: " ").escapedForLog
        let count = flat.unicodeScalars.count
        guard count > shownValue else { return flat }
        return String(String.UnicodeScalarView(flat.unicodeScalars.prefix(shownValue))) + "… (\(count) characters)"
    }
}
