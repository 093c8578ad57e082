import Foundation
package import Store

extension PostgreSQLStore {
    @discardableResult
    package func putDocument(_ document: Document) async throws -> (id: Int64, replaced: Int) {
        try await write { connection in
            var replaced = 0
            if !document.url.isEmpty {
                replaced = try connection.execute(
                    "DELETE FROM document WHERE url = $1", [.text(document.url.storable)])
            }
            return (try Self.insert(document, connection), replaced)
        }
    }

    static func insert(_ document: Document, _ connection: PostgreSQLConnection) throws -> Int64 {
        let title = document.title.storable
        let inserted = try connection.first(
            "INSERT INTO document (title, url, body) VALUES ($1, $2, $3) RETURNING id",
            [.text(title), .text(document.url.storable), .text(document.body.storable)]
        ) { $0.integer(0) }
        let id = inserted ?? 0
        if document.url.isEmpty {
            try connection.execute(
                "UPDATE document SET url = '/ai/document/' || id || '/' WHERE id = $1", [.integer(id)])
        }
        for text in document.body.storable.paragraphs {
            try connection.execute(
                """
                INSERT INTO passage (document_id, text, words, grams) VALUES ($1, $2,
                    setweight(to_tsvector('english', $3), 'A') || setweight(to_tsvector('english', $4), 'D'),
                    array_to_tsvector($5::text[]))
                """,
                [
                    .integer(id), .text(text), .text(title.indexed), .text(text.indexed),
                    .texts(TextGrams.indexed(title + "\n" + text)),
                ])
        }
        return id
    }

    package func listDocuments() async throws -> [DocumentEntry] {
        try await read { connection in
            try connection.rows(
                """
                SELECT id, title, url, (SELECT count(*) FROM passage WHERE document_id = document.id)
                FROM document ORDER BY id
                """
            ) { row in
                DocumentEntry(
                    id: row.integer(0), title: row.text(1), url: row.text(2), passages: row.count(3))
            }
        }
    }

    package func removeDocument(id: Int64) async throws -> Bool {
        try await write { connection in
            try connection.execute("DELETE FROM document WHERE id = $1", [.integer(id)]) > 0
        }
    }

    package func passages(matching question: String, limit: Int) async throws -> [Passage] {
        let words = QuestionWords(question).list.map(\.indexed)
        let (grams, byWords, byGrams) = try await read { connection in
            var grams = QuestionGrams(question)
            grams.add(try Self.unknown(words, connection))
            // Where words suffice for the question, their index alone determines the order.
            let count = grams.isEmpty ? limit : PassageRanking.candidates(limit)
            return (
                grams, try Self.passages(words, count, connection), try Self.passages(grams, count, connection)
            )
        }
        return PassageRanking.merged(words: byWords, grams: byGrams, grams, limit: limit)
    }

    /// Returns the words that do not occur in any passage.
    private static func unknown(_ words: [String], _ connection: PostgreSQLConnection) throws -> [String] {
        guard !words.isEmpty else { return [] }
        return try connection.rows(
            """
            SELECT word FROM unnest($1::text[]) AS word, plainto_tsquery('english', word) AS query
            WHERE numnode(query) > 0 AND NOT EXISTS (SELECT 1 FROM passage WHERE words @@ query)
            """, [.texts(words)]
        ) { $0.text(0) }
    }

    /// Returns passages by the sum over the question's words of the word's rarity times its weight in the passage,
    /// where a word in the title counts three times. `ts_rank` alone does not consider rarity.
    private static func passages(
        _ words: [String], _ limit: Int, _ connection: PostgreSQLConnection
    ) throws -> [PassageCandidate] {
        guard !words.isEmpty else { return [] }
        return try connection.rows(
            """
            WITH asked AS (
                SELECT DISTINCT query FROM unnest($1::text[]) AS word, plainto_tsquery('english', word) AS query
                WHERE numnode(query) > 0
            ), counted AS (
                SELECT query, (SELECT count(*) FROM passage WHERE words @@ query) AS found FROM asked
            ), weighed AS MATERIALIZED (
                SELECT query, ln(1 + (total - found + 0.5) / (found + 0.5)) AS rarity
                FROM counted, (SELECT count(*) AS total FROM passage) AS passages WHERE found > 0
            ), ranked AS (
                SELECT passage.id, sum(rarity * ts_rank('{0.33, 0.5, 0.66, 1}', words, query, 1 | 32)) AS rank
                FROM weighed JOIN passage ON words @@ query
                GROUP BY passage.id ORDER BY rank DESC, passage.id LIMIT $2
            )
            \(selection)
            """, [.texts(words), .integer(Int64(limit))], candidate)
    }

    /// Returns passages by the rarity of the question's rarest grams that they contain, less for long passages.
    private static func passages(
        _ grams: QuestionGrams, _ limit: Int, _ connection: PostgreSQLConnection
    ) throws -> [PassageCandidate] {
        guard !grams.isEmpty else { return [] }
        return try connection.rows(
            """
            WITH asked AS (
                SELECT ('''' || gram || '''')::tsquery AS query FROM unnest($1::text[]) AS gram
            ), counted AS (
                SELECT query, (
                    SELECT count(*) FROM (SELECT 1 FROM passage WHERE grams @@ query LIMIT 10000) AS few
                ) AS found FROM asked
            ), weighed AS MATERIALIZED (
                SELECT query, ln(1 + greatest(total - found + 0.5, 0.5) / (found + 0.5)) AS rarity
                FROM counted, (SELECT count(*) AS total FROM passage) AS passages WHERE found > 0
                ORDER BY found LIMIT 48
            ), ranked AS (
                SELECT passage.id, 0.1 * sum(rarity) / (1 + ln(1 + length(passage.grams))) AS rank
                FROM weighed JOIN passage ON passage.grams @@ query
                GROUP BY passage.id ORDER BY rank DESC, passage.id LIMIT $2
            )
            \(selection)
            """, [.texts(grams.list), .integer(Int64(limit))], candidate)
    }

    private static let selection = """
        SELECT passage.id, document.title, document.url, passage.text, rank::double precision
        FROM ranked JOIN passage USING (id) JOIN document ON document.id = passage.document_id
        ORDER BY rank DESC, passage.id
        """

    private static func candidate(_ row: PostgreSQLRow) -> PassageCandidate {
        PassageCandidate(
            id: row.integer(0), passage: Passage(title: row.text(1), url: row.text(2), text: row.text(3)),
            rank: Double(row.text(4)) ?? 0)
    }

    package func documentTitles(limit: Int) async throws -> [SearchHit] {
        try await read { connection in
            try connection.rows("SELECT title, url FROM document ORDER BY id LIMIT $1", [.integer(Int64(limit))]) {
                SearchHit(name: $0.text(0), url: $0.text(1))
            }
        }
    }

    package func documents(after id: Int64, limit: Int) async throws -> [DocumentSummary] {
        try await read { connection in
            try connection.rows(
                "SELECT id, title, octet_length(body) FROM document WHERE id > $1 ORDER BY id LIMIT $2",
                [.integer(id), .integer(Int64(limit))]
            ) { row in
                DocumentSummary(id: row.integer(0), title: row.text(1), bytes: row.count(2))
            }
        }
    }

    package func document(id: Int64) async throws -> Document? {
        try await read { connection in
            try connection.first("SELECT title, url, body FROM document WHERE id = $1", [.integer(id)]) {
                Document(title: $0.text(0), url: $0.text(1), body: $0.text(2))
            }
        }
    }
}

extension String {
    /// Text that is indexed and searched for: without accents, and limited in length, because PostgreSQL accepts at
    /// most a megabyte of words.
    fileprivate var indexed: String {
        String(prefix(100_000)).folding(options: .diacriticInsensitive, locale: nil).storable
    }
}
