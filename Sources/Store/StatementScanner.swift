/// Scanner that finds the parameters of an SQL statement, and its end: outside of literals, quoted names and comments.
struct StatementScanner {
    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var piece = String.UnicodeScalarView()
    private(set) var parts: [StatementText.Part] = []
    private(set) var parameters: [String] = []
    /// Words in upper case and single marks, outside of comments. A literal is `'`, a parameter `:`, a quoted name
    /// `"name"`, whatever its quotes were. Brackets quote names for SQLite and hold expressions for PostgreSQL: what they
    /// hold counts as words as well.
    private(set) var tokens: [String] = []

    init(_ sql: String) {
        scalars = Array(sql.unicodeScalars)
    }

    mutating func scan() throws(StatementError) {
        if scalars.contains("\0") { throw .malformed("the statement contains NUL") }
        var isEmpty = true
        var hasEnded = false
        while let scalar = peek() {
            let isSpace = scalar.properties.isWhitespace
            let isComment = (scalar == "-" && peek(1) == "-") || (scalar == "/" && peek(1) == "*")
            if scalar == ";" {
                hasEnded = true
                position += 1
                continue
            }
            if !isSpace, !isComment {
                if hasEnded { throw .malformed("more than one statement") }
                isEmpty = false
            }
            try token(scalar, isComment: isComment)
        }
        if isEmpty { throw .malformed("the statement is empty") }
        finishPiece()
    }

    private mutating func token(_ scalar: Unicode.Scalar, isComment: Bool) throws(StatementError) {
        switch scalar {
        case _ where isComment: try comment()
        case "'", "\"", "`": try quoted(scalar)
        case "[" where peek(1).map(Self.startsName) == true && !followsName: try bracketed()
        case ":": try colon()
        case "$" where !followsName: try dollar()
        case "?", "@":
            if scalar == "?" || peek(1).map(Self.startsName) == true {
                throw .malformed("parameters are written :name, found \(scalar)")
            }
            take()
        case _ where Self.startsName(scalar): word()
        default:
            if !scalar.properties.isWhitespace { tokens.append(String(scalar)) }
            take()
        }
    }

    private mutating func word() {
        var word = String.UnicodeScalarView()
        while let scalar = peek(), Self.continuesName(scalar) || scalar == "$" {
            word.append(scalar)
            take()
        }
        tokens.append(String(word).uppercased())
    }

    /// Skips a comment. Comments are left out of the text, because an engine's placeholders might be read as such in
    /// them.
    private mutating func comment() throws(StatementError) {
        if peek() == "-" {
            while let scalar = peek(), scalar != "\n" { position += 1 }
        } else {
            position += 2
            while !(peek() == "*" && peek(1) == "/") {
                if peek() == nil { throw .malformed("a comment does not end") }
                if peek() == "/", peek(1) == "*" {
                    // PostgreSQL nests comments, SQLite does not.
                    throw .malformed("a comment within a comment")
                }
                position += 1
            }
            position += 2
        }
        piece.append(" ")
    }

    private mutating func quoted(_ quote: Unicode.Scalar) throws(StatementError) {
        if quote == "'", let before = piece.last, "eE".unicodeScalars.contains(before),
            isStartOfName(before: piece.count - 1)
        {
            // A backslash would hide the closing quote from this scanner.
            throw .malformed("escape strings (E'…') are not taken; write the characters themselves")
        }
        take()
        var name = String.UnicodeScalarView()
        while true {
            guard let scalar = peek() else { throw .malformed("a quoted text does not end") }
            take()
            if scalar == quote {
                guard peek() == quote else { break }
                take()
            }
            name.append(scalar)
        }
        tokens.append(quote == "'" ? "'" : "\"\(String(name))\"")
    }

    private mutating func bracketed() throws(StatementError) {
        let start = position
        while let scalar = peek() {
            if Self.startsName(scalar) {
                word()
            } else {
                take()
                if scalar == "]" {
                    tokens.append("\"\(String(String.UnicodeScalarView(scalars[start + 1..<position - 1])))\"")
                    return
                }
            }
        }
        throw .malformed("a quoted name does not end")
    }

    private mutating func colon() throws(StatementError) {
        if peek(1) == ":" {
            tokens.append("::")
            take()
            take()
            return
        }
        guard let first = peek(1), Self.startsName(first) else {
            take()
            return
        }
        position += 1
        var name = String.UnicodeScalarView()
        while let scalar = peek(), Self.continuesName(scalar) {
            name.append(scalar)
            position += 1
        }
        finishPiece()
        let text = String(name)
        let number = parameters.firstIndex(of: text) ?? parameters.count
        if number == parameters.count { parameters.append(text) }
        parts.append(.parameter(number))
        tokens.append(":")
    }

    /// Reads a dollar quote of PostgreSQL; rejects parameters in the engines' own form.
    private mutating func dollar() throws(StatementError) {
        var end = position + 1
        while end < scalars.count, Self.continuesName(scalars[end]) { end += 1 }
        guard end < scalars.count, scalars[end] == "$", peek(1).map({ !Self.isDigit($0) }) == true else {
            throw .malformed("parameters are written :name, found $")
        }
        let tag = Array(scalars[position...end])
        for _ in tag { take() }
        while position + tag.count <= scalars.count {
            if Array(scalars[position..<position + tag.count]) == tag {
                for _ in tag { take() }
                tokens.append("'")
                return
            }
            take()
        }
        throw .malformed("a quoted text does not end")
    }

    // MARK: Reading

    private func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
        position + ahead < scalars.count ? scalars[position + ahead] : nil
    }

    private mutating func take() {
        guard let scalar = peek() else { return }
        piece.append(scalar)
        position += 1
    }

    private mutating func finishPiece() {
        if !piece.isEmpty { parts.append(.text(String(piece))) }
        piece = String.UnicodeScalarView()
    }

    /// True if the last character belongs to a name or number: `a[1]`, `foo$bar`.
    private var followsName: Bool {
        guard let last = piece.last else { return false }
        return Self.continuesName(last) || last == "]" || last == ")" || last == "$"
    }

    private func isStartOfName(before count: Int) -> Bool {
        guard count > 0 else { return true }
        let index = piece.index(piece.startIndex, offsetBy: count - 1)
        return !Self.continuesName(piece[index])
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { (0x30...0x39).contains(scalar.value) }

    private static func startsName(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.properties.isAlphabetic
    }

    private static func continuesName(_ scalar: Unicode.Scalar) -> Bool { startsName(scalar) || isDigit(scalar) }
}
