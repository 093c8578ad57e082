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
                INSERT INTO passage (document_id, text, words) VALUES ($1, $2,
                    setweight(to_tsvector('english', $3), 'A') || setweight(to_tsvector('english', $4), 'D'))
                """, [.integer(id), .text(text), .text(title.indexed), .text(text.indexed)])
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
                    id: row.integer(0), title: row.text(1), url: row.text(2), passages: Int(row.integer(3)))
            }
        }
    }

    package func removeDocument(id: Int64) async throws -> Bool {
        try await write { connection in
            try connection.execute("DELETE FROM document WHERE id = $1", [.integer(id)]) > 0
        }
    }

    /// Passages by the sum over the question's words of the word's rarity times its weight in the passage, where a word
    /// in the title counts three times. What `ts_rank` alone lacks is the rarity.
    package func passages(matching question: String, limit: Int) async throws -> [Passage] {
        let words = QuestionWords(question).list.map(\.indexed)
        guard !words.isEmpty else { return [] }
        return try await read { connection in
            try connection.rows(
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
                SELECT document.title, document.url, passage.text
                FROM ranked JOIN passage USING (id) JOIN document ON document.id = passage.document_id
                ORDER BY rank DESC, passage.id
                """, [.texts(words), .integer(Int64(limit))]
            ) { Passage(title: $0.text(0), url: $0.text(1), text: $0.text(2)) }
        }
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
                DocumentSummary(id: row.integer(0), title: row.text(1), bytes: Int(row.integer(2)))
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
    /// What is indexed and asked for: without accents, and no longer than a passage that anybody reads, because
    /// PostgreSQL takes a megabyte of words at most.
    fileprivate var indexed: String {
        String(prefix(100_000)).folding(options: .diacriticInsensitive, locale: nil).storable
    }
}
