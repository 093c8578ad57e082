/// Words of a question that are worth looking up.
package struct QuestionWords {
    /// Largest number of words: a very long question must not become a very long query.
    private static let maximumWords = 24
    private static let maximumScannedScalars = 4096
    private static let maximumWordLength = 64

    private static let ignored: Set<String> = [
        "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "by", "can", "could", "do", "does", "explain",
        "for", "from", "give", "has", "have", "how", "i", "if", "in", "is", "it", "its", "me", "must", "my", "no",
        "not", "of",
        "on", "or", "our", "please", "shall", "should", "tell", "that", "the", "their", "there", "they", "this", "to",
        "was", "we", "were", "what", "when", "where", "which", "who", "whom", "why", "will", "with", "would", "you",
        "your",
    ]

    private var words: [String] = []

    /// Words in lower case, each once.
    package var list: [String] { words }

    /// Extracts the words of a question.
    package init(_ question: String) {
        var seen: Set<String> = []
        var word = String.UnicodeScalarView()
        func finish(_ words: inout [String]) {
            defer { word = String.UnicodeScalarView() }
            let text = String(word).lowercased()
            guard !text.isEmpty, !Self.ignored.contains(text), words.count < Self.maximumWords else { return }
            if seen.insert(text).inserted { words.append(text) }
        }
        for scalar in question.unicodeScalars.prefix(Self.maximumScannedScalars) {
            if scalar.properties.isAlphabetic || scalar.properties.numericType != nil {
                if word.count < Self.maximumWordLength { word.append(scalar) }
            } else {
                finish(&words)
            }
        }
        finish(&words)
    }

    /// True if the question has no words worth looking up.
    package var isEmpty: Bool { words.isEmpty }

    /// Full-text expression for any of the words; each is a phrase, so that none is read as an operator.
    package var expression: String { words.map { "\"\($0)\"" }.joined(separator: " OR ") }
}

extension String {
    /// Blocks of text between blank lines, trimmed, without empty ones.
    package var paragraphs: [String] {
        var paragraphs: [String] = []
        var lines: [Substring] = []
        func finish() {
            if !lines.isEmpty { paragraphs.append(lines.joined(separator: "\n")) }
            lines = []
        }
        for line in split(omittingEmptySubsequences: false, whereSeparator: { $0.isNewline }) {
            if line.allSatisfy({ $0.isWhitespace }) { finish() } else { lines.append(line) }
        }
        finish()
        return paragraphs
    }
}
