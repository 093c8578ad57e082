/// Parser of the regular expressions that `JSONSchemaPattern` supports.
struct JSONSchemaPatternParser {
    typealias Node = JSONSchemaPatternNode
    typealias ParseError = JSONSchemaPattern.ParseError

    private static let maximumNesting = 50
    private static let maximumRepetition = 1_000

    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var nesting = 0

    init(_ pattern: String) {
        scalars = Array(pattern.unicodeScalars)
    }

    mutating func parse() throws(ParseError) -> Node {
        let node = try alternatives()
        guard position == scalars.count else { throw .malformed("unmatched ')' in pattern") }
        return node
    }

    private var next: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        position += 1
        return true
    }

    private mutating func take(_ text: String) -> Bool {
        guard scalars[position...].starts(with: text.unicodeScalars) else { return false }
        position += text.unicodeScalars.count
        return true
    }

    private mutating func alternatives() throws(ParseError) -> Node {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Self.maximumNesting else { throw .unsupported("pattern nested too deeply") }
        var branches: [Node] = [try sequence()]
        while take("|" as Unicode.Scalar) { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence() throws(ParseError) -> Node {
        var nodes: [Node] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            // Empty groups are dropped, so that compiling the pattern takes time linear in its size.
            let node = try quantified(try atom())
            if node.size > 0 { nodes.append(node) }
        }
        return .sequence(nodes)
    }

    private mutating func atom() throws(ParseError) -> Node {
        guard let scalar = next else { throw .malformed("incomplete pattern") }
        position += 1
        switch scalar {
        case ".": return .scalar(.anything)
        case "^": return .assertion(.start)
        case "$": return .assertion(.end)
        case "[": return .scalar(try characterClass())
        case "(": return try group()
        case "\\": return try escape()
        case "*", "+", "?": throw .malformed("nothing to repeat before '\(scalar)' in pattern")
        default: return .scalar(JSONSchemaScalarSet(scalar.value...scalar.value))
        }
    }

    private mutating func group() throws(ParseError) -> Node {
        if take("?" as Unicode.Scalar) {
            if take("<" as Unicode.Scalar) {
                guard next != "=", next != "!" else { throw .unsupported("look-behind") }
                while next != nil, next != ">" { position += 1 }
                guard take(">" as Unicode.Scalar) else { throw .malformed("unterminated group name in pattern") }
            } else if !take(":" as Unicode.Scalar) {
                throw .unsupported("look-ahead or inline flags")
            }
        }
        let node = try alternatives()
        guard take(")" as Unicode.Scalar) else { throw .malformed("missing ')' in pattern") }
        return node
    }

    private mutating func quantified(_ atom: Node) throws(ParseError) -> Node {
        guard let scalar = next else { return atom }
        var bounds: (Int, Int?)
        switch scalar {
        case "*": bounds = (0, nil)
        case "+": bounds = (1, nil)
        case "?": bounds = (0, 1)
        case "{":
            guard let counted = try counts() else { return atom }
            bounds = counted
            position -= 1
        default: return atom
        }
        position += 1
        _ = take("?" as Unicode.Scalar)  // Lazy: the same set of matches.
        if case .assertion = atom { bounds.1 = min(bounds.1 ?? 1, 1) }
        if let next, next == "*" || next == "+" || next == "?" {
            throw .malformed("nothing to repeat before '\(next)' in pattern")
        }
        return .repeated(atom, minimum: bounds.0, maximum: bounds.1)
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`; nil, without reading anything, where the brace is a literal.
    private mutating func counts() throws(ParseError) -> (Int, Int?)? {
        let start = position
        position += 1
        guard let minimum = integer() else {
            position = start
            return nil
        }
        var maximum: Int? = minimum
        if take("," as Unicode.Scalar) { maximum = integer() }
        guard take("}" as Unicode.Scalar) else {
            position = start
            return nil
        }
        if let maximum, maximum < minimum { throw .malformed("numbers out of order in {} of pattern") }
        guard max(minimum, maximum ?? 0) <= Self.maximumRepetition else { throw .unsupported("repetition too large") }
        return (minimum, maximum)
    }

    private mutating func integer() -> Int? {
        var digits = ""
        while let scalar = next, ("0"..."9").contains(scalar) {
            digits.unicodeScalars.append(scalar)
            position += 1
        }
        return digits.isEmpty ? nil : Int(digits) ?? Int.max
    }

    // MARK: Classes and escapes

    private mutating func characterClass() throws(ParseError) -> JSONSchemaScalarSet {
        let isNegated = take("^" as Unicode.Scalar)
        // Joined at the end, so that a long class costs no more than sorting its members.
        var members: [JSONSchemaScalarSet] = []
        while true {
            guard next != nil else { throw .malformed("missing ']' in pattern") }
            if take("]" as Unicode.Scalar) { return JSONSchemaScalarSet(unionOf: members, isNegated: isNegated) }
            let lower = try classMember()
            guard next == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
                members.append(lower)
                continue
            }
            position += 1
            let upper = try classMember()
            guard let first = lower.single, let last = upper.single else {
                // `[\d-x]`: three members, as lenient engines read it.
                members += [lower, JSONSchemaScalarSet(0x2D...0x2D), upper]
                continue
            }
            guard first <= last else { throw .malformed("range out of order in class of pattern") }
            members.append(JSONSchemaScalarSet(first...last))
        }
    }

    private mutating func classMember() throws(ParseError) -> JSONSchemaScalarSet {
        guard let scalar = next else { throw .malformed("missing ']' in pattern") }
        position += 1
        guard scalar == "\\" else { return JSONSchemaScalarSet(scalar.value...scalar.value) }
        if take("b" as Unicode.Scalar) { return JSONSchemaScalarSet(8...8) }
        guard case .scalar(let set) = try escape() else { throw .malformed("invalid escape in class of pattern") }
        return set
    }

    private mutating func escape() throws(ParseError) -> Node {
        guard let scalar = next else { throw .malformed("pattern ends with a backslash") }
        position += 1
        switch scalar {
        case "b": return .assertion(.wordBoundary(true))
        case "B": return .assertion(.wordBoundary(false))
        case "d": return .scalar(.digit)
        case "D": return .scalar(JSONSchemaScalarSet.digit.inverted)
        case "w": return .scalar(.word)
        case "W": return .scalar(JSONSchemaScalarSet.word.inverted)
        case "s": return .scalar(.space)
        case "S": return .scalar(JSONSchemaScalarSet.space.inverted)
        case "t": return literal(0x09)
        case "n": return literal(0x0A)
        case "v": return literal(0x0B)
        case "f": return literal(0x0C)
        case "r": return literal(0x0D)
        case "0": return literal(0)
        case "x": return literal(try hexadecimal(2))
        case "u": return literal(try unicodeEscape())
        case "c":
            guard let letter = next, letter.isASCII, letter.properties.isAlphabetic else {
                throw .malformed("invalid control escape in pattern")
            }
            position += 1
            return literal(letter.value & 31)
        case "p", "P": return .scalar(try property(isNegated: scalar == "P"))
        case "1"..."9", "k": throw .unsupported("back reference")
        case "a"..."z", "A"..."Z": throw .malformed("unknown escape '\\\(scalar)' in pattern")
        default: return literal(scalar.value)
        }
    }

    private func literal(_ value: UInt32) -> Node { .scalar(JSONSchemaScalarSet(value...value)) }

    private mutating func hexadecimal(_ count: Int) throws(ParseError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<count {
            guard let scalar = next, scalar.isASCII, let digit = Character(scalar).hexDigitValue.map(UInt32.init) else {
                throw .malformed("invalid hexadecimal escape in pattern")
            }
            value = value << 4 | digit
            position += 1
        }
        return value
    }

    private mutating func unicodeEscape() throws(ParseError) -> UInt32 {
        if take("{" as Unicode.Scalar) {
            var value: UInt32 = 0
            while let scalar = next, scalar != "}" {
                guard scalar.isASCII, let digit = Character(scalar).hexDigitValue.map(UInt32.init), value <= 0x10FFFF
                else {
                    throw .malformed("invalid \\u{} escape in pattern")
                }
                value = value << 4 | digit
                position += 1
            }
            guard take("}" as Unicode.Scalar), value <= 0x10FFFF else {
                throw .malformed("invalid \\u{} escape in pattern")
            }
            return value
        }
        let first = try hexadecimal(4)
        guard first & 0xFC00 == 0xD800, take("\\u") else { return first }
        let second = try hexadecimal(4)
        guard second & 0xFC00 == 0xDC00 else { throw .malformed("unpaired surrogate in pattern") }
        return 0x10000 + ((first & 0x3FF) << 10 | (second & 0x3FF))
    }

    private mutating func property(isNegated: Bool) throws(ParseError) -> JSONSchemaScalarSet {
        guard take("{" as Unicode.Scalar) else { throw .malformed("missing '{' after \\p in pattern") }
        var name = ""
        while let scalar = next, scalar != "}" {
            name.unicodeScalars.append(scalar)
            position += 1
        }
        guard take("}" as Unicode.Scalar) else { throw .malformed("missing '}' after \\p in pattern") }
        for prefix in ["General_Category=", "gc="] where name.hasPrefix(prefix) {
            name.removeFirst(prefix.count)
        }
        guard let categories = Self.categories[name] else { throw .unsupported("property \(name)") }
        return JSONSchemaScalarSet(categories: categories, isNegated: isNegated)
    }

    private static let categories: [String: Set<Unicode.GeneralCategory>] = {
        let letters: Set<Unicode.GeneralCategory> = [
            .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
        ]
        let marks: Set<Unicode.GeneralCategory> = [.nonspacingMark, .spacingMark, .enclosingMark]
        let numbers: Set<Unicode.GeneralCategory> = [.decimalNumber, .letterNumber, .otherNumber]
        let punctuation: Set<Unicode.GeneralCategory> = [
            .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation,
        ]
        let symbols: Set<Unicode.GeneralCategory> = [.mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol]
        let separators: Set<Unicode.GeneralCategory> = [.spaceSeparator, .lineSeparator, .paragraphSeparator]
        return [
            "L": letters, "Letter": letters, "Lu": [.uppercaseLetter], "Uppercase_Letter": [.uppercaseLetter],
            "Ll": [.lowercaseLetter], "Lowercase_Letter": [.lowercaseLetter], "Lt": [.titlecaseLetter],
            "Lm": [.modifierLetter], "Lo": [.otherLetter], "M": marks, "Mark": marks, "Mn": [.nonspacingMark],
            "Mc": [.spacingMark], "Me": [.enclosingMark], "N": numbers, "Number": numbers, "Nd": [.decimalNumber],
            "Decimal_Number": [.decimalNumber], "Nl": [.letterNumber], "No": [.otherNumber], "P": punctuation,
            "Punctuation": punctuation, "Pc": [.connectorPunctuation], "Pd": [.dashPunctuation],
            "Ps": [.openPunctuation], "Pe": [.closePunctuation], "Pi": [.initialPunctuation],
            "Pf": [.finalPunctuation], "Po": [.otherPunctuation], "S": symbols, "Symbol": symbols,
            "Sm": [.mathSymbol], "Sc": [.currencySymbol], "Sk": [.modifierSymbol], "So": [.otherSymbol],
            "Z": separators, "Separator": separators, "Zs": [.spaceSeparator], "Cc": [.control], "Cf": [.format],
        ]
    }()
}
