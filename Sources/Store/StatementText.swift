/// The type of a statement's parameter.
package struct StatementParameterType: Hashable, Sendable {
    /// Type of the value, or of each element of a list.
    package let type: StatementType
    /// Meaning of the text of a string; nil for plain text.
    package let moment: StatementMoment?
    /// True for a list, which stands in `IN (:name)` and is bound as the text of a JSON array.
    package let isList: Bool

    /// A parameter's type; see the properties.
    package init(_ type: StatementType, moment: StatementMoment? = nil, isList: Bool = false) {
        self.type = type
        self.moment = moment
        self.isList = isList
    }
}

/// A date or a point in time, which is bound as text.
package enum StatementMoment: Hashable, Sendable {
    /// `2026-01-31`.
    case date
    /// An instant in UTC, as SQLite's `datetime()` and Django write it: `2026-01-31 08:00:00`, with a fraction where there
    /// is one.
    case instant
}

/// The text of one SQL statement with named parameters (`:name`), not yet compared with a database.
///
/// Values never become part of the text: an engine puts its own placeholders where the names are.
package struct StatementText: Hashable, Sendable {
    /// A piece of the text.
    package enum Part: Hashable, Sendable {
        case text(String)
        /// A parameter, by its number from 0 on.
        case parameter(Int)
    }

    /// Names of the parameters in order of first appearance, each once, without the colon.
    package let parameters: [String]
    /// Types that the configuration declares, by parameter; nil where it declares none.
    package let types: [StatementParameterType?]
    /// Text and parameters, in their order. Comments are left out.
    package let parts: [Part]
    /// Words outside of literals and comments, in upper case, and the marks between them: what a statement is told by. A
    /// literal is `'`, a parameter `:`, a quoted name `"name"`.
    package let tokens: [String]

    /// Divides a statement into its text and its parameters.
    /// - Parameter types: declared types by parameter name.
    /// - Throws: ``StatementError`` for an empty text, several statements, NUL, text that does not end, a parameter that
    ///   is not written `:name`, or a list elsewhere than in `IN (:name)`.
    package init(parsing sql: String, types: [String: StatementParameterType] = [:]) throws(StatementError) {
        var scanner = StatementScanner(sql)
        try scanner.scan()
        parameters = scanner.parameters
        parts = scanner.parts
        tokens = scanner.tokens
        self.types = scanner.parameters.map { types[$0] }
        try checkLists()
    }

    /// The first word, in upper case, behind parentheses.
    package var verb: String { tokens.first { $0 != "(" } ?? "" }

    /// The text with an engine's placeholders.
    /// - Parameter placeholder: of a parameter's number from 0 on: `?1`, or `$1::bigint`.
    package func text(placeholder: (Int) -> String) -> String {
        parts.reduce(into: "") { text, part in
            switch part {
            case .text(let piece): text += piece
            case .parameter(let number): text += placeholder(number)
            }
        }
    }

    /// A list becomes a query of its elements, which stands in `IN ( )` and means something else elsewhere.
    private func checkLists() throws(StatementError) {
        for (index, part) in parts.enumerated() {
            guard case .parameter(let number) = part, types[number]?.isList == true else { continue }
            guard index > 0, index + 1 < parts.count, case .text(let before) = parts[index - 1],
                case .text(let after) = parts[index + 1], Self.opensList(before),
                after.unicodeScalars.first(where: { !$0.properties.isWhitespace }) == ")"
            else {
                let name = parameters[number]
                throw .malformed("the list :\(name) stands elsewhere than in IN (:\(name))")
            }
        }
    }

    private static func opensList(_ text: String) -> Bool {
        var rest = Substring(text).unicodeScalars
        func dropSpace() {
            while let last = rest.last, last.properties.isWhitespace { rest.removeLast() }
        }
        dropSpace()
        guard rest.popLast() == "(" else { return false }
        dropSpace()
        let word = rest.suffix(3)
        guard String(String.UnicodeScalarView(word.suffix(2))).uppercased() == "IN" else { return false }
        return word.count < 3 || word.first?.properties.isWhitespace == true || word.first == ")" || word.first == "\""
    }
}
