import CurlTransport
import JSON
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import GatewayCore

@Suite struct PageResponseTests {
    private let file = PageFile(name: "page.js", bytes: Array(String(repeating: "let x = 1;\n", count: 100).utf8))

    private func answer(
        _ file: PageFile?, _ method: HTTPMethod = .GET, query: Substring? = nil, _ request: HTTPHeaders = [:]
    ) -> PageResponse {
        PageResponse(file, method: method, query: query, request: request)
    }

    @Test func filesAreCompressedForWhoAsks() {
        let plain = answer(file)
        let compressed = answer(file, .GET, ["Accept-Encoding": "br, gzip;q=0.8"])
        #expect(plain.headers.first(name: "Content-Encoding") == nil)
        #expect(compressed.headers.first(name: "Content-Encoding") == "gzip")
        #expect((compressed.body?.readableBytes ?? 0) < (plain.body?.readableBytes ?? 0))
        #expect(compressed.body?.getBytes(at: 0, length: 2) == [0x1F, 0x8B])
        #expect(plain.headers.first(name: "Vary") == "Accept-Encoding")
    }

    @Test(arguments: [
        ("gzip", true), ("*", true), ("gzip;q=0", false), ("*, gzip;q=0", false), ("br", false), ("identity", false),
        ("GZIP ; q=1.0", true),
    ])
    func theAcceptedEncodingIsReadWithItsWeight(_ value: String, _ expected: Bool) {
        #expect(PageResponse.acceptsGzip(["Accept-Encoding": value]) == expected)
    }

    @Test func eachRepresentationHasItsOwnTag() throws {
        let plain = try #require(answer(file).headers.first(name: "ETag"))
        let gzip: HTTPHeaders = ["Accept-Encoding": "gzip"]
        let compressed = try #require(answer(file, .GET, gzip).headers.first(name: "ETag"))
        #expect(plain != compressed)
        #expect(!plain.hasPrefix("W/"))
        #expect(answer(file, .GET, ["If-None-Match": plain]).status == .notModified)
        #expect(answer(file, .GET, ["If-None-Match": "\"other\", W/\(plain)"]).status == .notModified)
        #expect(answer(file, .GET, ["If-None-Match": "*"]).status == .notModified)
        #expect(answer(file, .GET, ["If-None-Match": compressed]).status == .ok)
        let unchanged = answer(file, .GET, ["If-None-Match": compressed, "Accept-Encoding": "gzip"])
        #expect(unchanged.status == .notModified)
        #expect(unchanged.body == nil)
        #expect(unchanged.headers.first(name: "ETag") == compressed)
    }

    @Test func onlyTheRightVersionIsKeptForEver() {
        let version: Substring = "v=\(file.version)"
        #expect(answer(file, query: version).headers.first(name: "Cache-Control")?.contains("immutable") == true)
        for query in [nil, "", "v=0000000000000000", "v=dev"] as [Substring?] {
            #expect(answer(file, query: query).headers.first(name: "Cache-Control") == "no-cache")
        }
    }

    @Test func documentsCarryAStrictPolicy() {
        let document = answer(PageFile(name: "index.html", bytes: Array("<!doctype html>".utf8)))
        let policy = document.headers.first(name: "Content-Security-Policy") ?? ""
        #expect(policy.contains("default-src 'none'"))
        #expect(policy.contains("frame-ancestors 'none'"))
        #expect(!policy.contains("unsafe"))
        #expect(!policy.contains("http"))
        #expect(document.headers.first(name: "X-Content-Type-Options") == "nosniff")
    }

    @Test func otherMethodsAndUnknownFilesAreRefused() {
        let post = answer(file, .POST)
        #expect(post.status == .methodNotAllowed)
        #expect(post.headers.first(name: "Allow") == "GET, HEAD")
        #expect(answer(nil).status == .notFound)
    }
}

@Suite struct PageFilesTests {
    @Test func referencesCarryTheVersionOfWhatTheyReferTo() throws {
        let files = PageFiles([
            ("base.js", "export {}"), ("page.js", "import './base.js?v=dev'"),
            ("index.html", "<script src=\"assets/page.js?v=dev\"><a href=\"assets/none.js?v=dev\">"),
        ])
        let base = try #require(files.page["/assets/base.js"])
        let page = try #require(files.page["/assets/page.js"])
        let index = try #require(files.page["/"])
        #expect(String(buffer: page.body) == "import './base.js?v=\(base.version)'")
        #expect(String(buffer: index.body).contains("assets/page.js?v=\(page.version)"))
        #expect(String(buffer: index.body).contains("none.js?v=dev"))
    }

    @Test func everyReferenceInTheEmbeddedFilesIsKnown() {
        let files = PageFiles.embedded
        #expect(files.page["/"] != nil)
        #expect(files.status["/status"] != nil)
        for (path, file) in files.page.merging(files.status, uniquingKeysWith: { first, _ in first }) {
            #expect(!String(buffer: file.body).contains("?v=dev"), "\(path)")
        }
    }

    @Test func scriptsAndStylesAreServedWithoutComments() {
        let script = """
            // A comment.

            /** Adds. */
            function add(a, b) {
                return a + b; // The sum.
            }
            const page = 'http://x'
            /* more */ add(1, 2)
            """
        #expect(
            PageFiles.lean(script) == """
                function add(a, b) {
                return a + b; // The sum.
                }
                const page = 'http://x'
                /* more */ add(1, 2)

                """)
        let served = PageFiles.embedded.page["/assets/mcp-chat-markdown.js"].map { String(buffer: $0.body) }
        #expect(served?.contains("export function renderMarkdown") == true)
        #expect(served?.contains("\n// ") == false)
    }

    /// The bound for all that a visitor loads; type declarations are for those who write a page, not for browsers.
    @Test func allFilesTogetherAreSmall() {
        let files = (Array(PageFiles.embedded.page.values) + PageFiles.embedded.status.values)
            .filter { !$0.name.hasSuffix(".d.ts") }
        let unique = Dictionary(files.map { ($0.name, $0) }) { first, _ in first }
        #expect(unique.values.reduce(0) { $0 + ($1.compressed ?? $1.body).readableBytes } < 40_000)
    }
}

@Suite struct PageServingTests {
    private func upstream() async throws -> FakeToolServer { try await FakeToolServer { _ in .results("x") } }

    @Test func thePageIsServed() async throws {
        try await TestGateway.with(upstream()) { (test) async throws in
            let page = try await test.send("GET", "/")
            #expect(page.status == 200)
            #expect(page.contentType == "text/html; charset=utf-8")
            #expect(page.headers.first(name: "X-Request-Id") != nil)
            #expect(try await test.send("GET", "/assets/mcp-chat.js").contentType == "text/javascript; charset=utf-8")
            #expect(try await test.send("GET", "/assets/none.js").status == 404)
            #expect(try await test.send("GET", "/assets/../index.html").status == 404)
            #expect(try await test.send("POST", "/", body: "{}").status == 405)
        }
    }

    @Test func thePageCanBeTurnedOff() async throws {
        try await TestGateway.with(upstream(), ["page": false]) { (test) async throws in
            #expect(try await test.send("GET", "/").status == 404)
            #expect(try await test.send("GET", "/assets/mcp-chat.js").status == 404)
        }
    }

    @Test func thePageSpeaksTheConfigurationsLanguage() async throws {
        let texts: JSONValue = ["lang": "de", "send": "Senden", "page.title": "</script><b>&"]
        try await TestGateway.with(upstream(), ["pageTexts": texts]) { (test) async throws in
            let page = try await test.send("GET", "/")
            let json = page.text.split(separator: "id=\"texts\">").last?.split(separator: "</script>").first
            #expect(try JSONValue(parsing: Array((json ?? "").utf8)) == texts)
            #expect(page.headers.first(name: "ETag") != nil)
        }
        try await TestGateway.with(upstream()) { (test) async throws in
            #expect(try await test.send("GET", "/").text.contains("id=\"texts\">{}</script>"))
        }
    }

    @Test func operatorsSeeTheStatusOnTheAdminListenerAlone() async throws {
        try await TestGateway.with(upstream()) { (test) async throws in
            let status = try await test.admin("/status")
            #expect(status.status == 200)
            #expect(status.headers.first(name: "Content-Security-Policy") == PageResponse.policy)
            #expect(try await test.admin("/status/status.js").status == 200)
            #expect(try await test.send("GET", "/status").status == 404)
        }
    }

    @Test func theOpenAPIDocumentTellsWhichToolATypeCalls() async throws {
        try await TestGateway.with(upstream()) { (test) async throws in
            let document = try await test.send("GET", "/openapi.json").json
            let tool = document?["components"]?["schemas"]?["Request.ai_prompt"]?["x-mcp-tool"]
            #expect(tool?["name"] == "ai_prompt")
            #expect(tool?["arguments"] == ["prompt": ["from": "message", "trim": true]])
            #expect(tool?["reply"] == "wrapped")
        }
    }
}
