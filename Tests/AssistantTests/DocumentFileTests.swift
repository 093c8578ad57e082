import Testing

@testable import Assistant
@testable import SQLiteStore
@testable import Store

@Suite struct DocumentFileTests {
    private func read(_ name: String, _ text: String) throws -> DocumentFile {
        try DocumentFile(name: name, format: #require(DocumentFile.Format(fileName: name)), bytes: Array(text.utf8))
    }

    @Test func namesTellTheFormat() {
        #expect(DocumentFile.Format(fileName: "/a/b.MD") == .markdown)
        #expect(DocumentFile.Format(fileName: "README") == .text)
        #expect(DocumentFile.Format(fileName: "x.htm") == .html)
        #expect(DocumentFile.Format(fileName: "x.pdf") == nil)
    }

    @Test func textIsDividedAtBlankLines() throws {
        let file = try read("/docs/Travel rules.txt", "\u{FEFF}First\nline.\r\n\r\n  \r\nSecond.\n")
        #expect(file.title == "Travel rules")
        #expect(file.body == "First\nline.\n\nSecond.")
    }

    @Test func longParagraphsAreDividedBetweenSentences() throws {
        let sentence = "Somebody wrote a sentence of some length here. "
        let passages = DocumentFile.passages(of: String(repeating: sentence, count: 100))
        #expect(passages.count > 3)
        #expect(passages.allSatisfy { $0.count <= DocumentFile.maximumPassageLength && $0.hasSuffix(".") })
        #expect(passages.joined(separator: " ").count == sentence.count * 100 - 1)
        let endless = DocumentFile.passages(of: String(repeating: "x", count: 5000))
        #expect(endless.joined().count == 5000)
        #expect(endless.allSatisfy { $0.count <= DocumentFile.maximumPassageLength })
    }

    @Test func markdownLosesItsMarks() throws {
        let file = try read(
            "a.md",
            """
            ---
            author: x
            ---
            # Expense **rules** #

            See [the form](https://x.example/f "Form") and `code`.

            ## Limits
            Meals: __30__ euros.

            ```
            # not a heading
            ```
            """)
        #expect(file.title == "Expense rules")
        #expect(
            file.body
                == "Expense rules\n\nSee the form and code.\n\nLimits\nMeals: 30 euros.\n\n# not a heading")
    }

    @Test func onlyWhatAReaderSeesIsTakenFromHTML() throws {
        let file = try read(
            "a.html",
            """
            <!DOCTYPE html><html><head><title>Leave &amp; holidays</title><style>p { color: red }</style>
            <script>if (a < b) { alert("</p>") }</script></head><body><!-- <p>hidden</p> -->
            <nav><a href="/">Home</a></nav>
            <h1>Leave</h1><p title="a > b">Everybody has <b>28</b>&nbsp;days&#8212;5 &lt; 6 &unknown;
            of   leave.</p><ul><li>One</li><li>Two</li></ul>a < b</body></html>
            """)
        #expect(file.title == "Leave & holidays")
        #expect(
            file.body
                == "Leave\n\nEverybody has 28 days—5 < 6 &unknown; of leave.\n\nOne\nTwo\n\na < b")
    }

    @Test func filesWithoutTextAreRefused() {
        #expect(throws: DocumentFile.ReadError.empty) { try read("a.txt", " \n\n") }
        #expect(throws: DocumentFile.ReadError.notUTF8) {
            try DocumentFile(name: "a.txt", format: .text, bytes: [0x61, 0xFF])
        }
    }

    @Test func documentsAreListedReplacedAndRemoved() async throws {
        let store = try SQLiteStore(at: .memory)
        let first = try await store.putDocument(Document(title: "A", url: "/a/", body: "alpha\n\nbeta"))
        let second = try await store.putDocument(Document(title: "A2", url: "/a/", body: "gamma"))
        #expect(first.replaced == 0)
        #expect(second.replaced == 1)
        let third = try await store.putDocument(Document(title: "B", body: "delta"))
        #expect(try await store.listDocuments().map(\.title) == ["A2", "B"])
        #expect(try await store.listDocuments().map(\.passages) == [1, 1])
        #expect(try await store.passages(matching: "alpha", limit: 5).isEmpty)
        #expect(try await store.passages(matching: "gamma", limit: 5).count == 1)
        #expect(try await store.removeDocument(id: third.id))
        #expect(try await !store.removeDocument(id: third.id))
        #expect(try await store.passages(matching: "delta", limit: 5).isEmpty)
    }
}
