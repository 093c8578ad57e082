import Foundation
import GRDB

extension SQLiteStore {
    @discardableResult
    package func insertDocument(_ document: Document) async throws -> Int64 {
        try await write { db in try Self.insert(document, in: db) }
    }

    static func insert(_ document: Document, in db: Database) throws -> Int64 {
        try db.execute(
            sql: "INSERT INTO document (title, url, body) VALUES (?, ?, ?)",
            arguments: [document.title, document.url, document.body])
        let id = db.lastInsertedRowID
        if document.url.isEmpty {
            try db.execute(sql: "UPDATE document SET url = '/ai/document/' || id || '/' WHERE id = ?", arguments: [id])
        }
        for text in document.body.paragraphs {
            try db.execute(
                sql: "INSERT INTO passage (document_id, title, text) VALUES (?, ?, ?)",
                arguments: [id, document.title, text])
        }
        return id
    }

    package func passages(matching question: String, limit: Int) async throws -> [Passage] {
        let words = QuestionWords(question)
        guard !words.isEmpty else { return [] }
        let pattern = words.expression
        return try await read { db in
            // A word in the title says more about a passage than one in its text.
            try Row.fetchAll(
                db.cachedStatement(
                    sql: """
                        SELECT document.title, document.url, passage.text
                        FROM passage_words
                        JOIN passage ON passage.id = passage_words.rowid
                        JOIN document ON document.id = passage.document_id
                        WHERE passage_words MATCH ?
                        ORDER BY bm25(passage_words, 3.0, 1.0), passage.id LIMIT ?
                        """),
                arguments: [pattern, limit]
            ).map { Passage(title: $0["title"], url: $0["url"], text: $0["text"]) }
        }
    }

    package func documentTitles(limit: Int) async throws -> [SearchHit] {
        try await read { db in
            try Row.fetchAll(db, sql: "SELECT title, url FROM document ORDER BY id LIMIT ?", arguments: [limit])
                .map { SearchHit(name: $0["title"], url: $0["url"]) }
        }
    }
}

/// The words of a question that are worth looking up.
struct QuestionWords {
    /// Enough for any question; a pasted megabyte must not become a megabyte of query.
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

    /// In lower case, each once.
    var list: [String] { words }

    init(_ question: String) {
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

    var isEmpty: Bool { words.isEmpty }

    /// Any of the words; a phrase each, so that nothing in them is an operator.
    var expression: String { words.map { "\"\($0)\"" }.joined(separator: " OR ") }
}

extension String {
    /// Blocks of text between blank lines, trimmed, without empty ones.
    var paragraphs: [String] {
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
