import JSON
import Testing

@testable import APIImport

@Suite("Hostile OpenAPI documents end in an error or a note") struct HostileDocumentTests {
    @Test(arguments: [
        "", "x", "[]", "{}", "openapi: 4.0.0\npaths: {}", "openapi: 3.0.0", "openapi: 3.0.0\npaths: {}",
        "{\"openapi\":",
        "openapi: 3.0.0\npaths: {/a: {get: 1}}", "swagger: 1.2\npaths: {/a: {}}", "a: b: c", "? [a]\n: b",
        "{a: 1, a: 2}",
        "--- {a: 1}\n--- {b: 2}", "*nowhere", "a: !!binary \u{1}", "\u{0}", "%YAML 9.9\n---\na",
    ])
    func whatIsNoDocumentIsAnError(text: String) {
        #expect(throws: ImportError.self) { try ImportedDocument.openAPI(text) }
    }

    @Test func aliasesThatMultiplyAreRefused() {
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...20 {
            let inner = [String](repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            bomb += "a\(level): &a\(level) [\(inner)]\n"
        }
        let error = #expect(throws: ImportError.self) { try ImportedDocument.openAPI(bomb + "openapi: 3.0.0\n") }
        #expect(error?.description.contains("aliases followed") == true)
        #expect(throws: ImportError.self) { try ImportedDocument.openAPI(bomb + "? *a20\n: x\n") }
    }

    @Test(arguments: ["[", "{a: ", "- ", "? "])
    func deepNestingIsRefused(piece: String) {
        let text = String(repeating: piece, count: 100_000)
        #expect(throws: ImportError.self) { try ImportedDocument.openAPI(text) }
    }

    @Test func ordinaryAliasesAreFollowed() throws {
        let (section, _) = try ImportedDocument.openAPI(
            "x: &p [{name: q, in: query}]\n"
                + ImportedDocument.document("/a: {get: {operationId: a, parameters: *p, responses: {}}}"))
        #expect(section["tools"]?["a"]?["query"] == ["q": "{q}"])
    }

    @Test func tenThousandOperationsAreRead() throws {
        var paths: JSONObject = [:]
        for number in 0..<10_000 {
            paths["/p\(number)/{id}"] = ["get": ["operationId": "same", "responses": [:]]]
        }
        let document: JSONValue = [
            "openapi": "3.1.0", "servers": [["url": "http://a.example"]], "paths": .object(paths),
        ]
        let (section, notes) = try ImportedDocument.openAPI(document.text)
        #expect(section["tools"]?.object?.count == 10_000)
        #expect(notes.count <= 20_001)
    }

    @Test func namesFromOutsideStayInsideTheirPlace() throws {
        let hostile = [
            "a\\u0000b", "{x}", "}{", "../../x", "a b", "caller.id", "\\r\\nX: y", "é", "%2f", "\\u001b[31m", "a\\\"b",
            "",
        ]
        for name in hostile {
            for place in ["path", "query", "header"] {
                let document = """
                    {"openapi":"3.0.0","servers":[{"url":"https://a.example"}],"paths":{"/p/{x}/{\(name)}":{"get":{"operationId":"t",
                    "parameters":[{"name":"\(name)","in":"\(place)","required":false,"schema":{"type":"string"}}],"responses":{}}}}}
                    """
                guard let (section, notes) = try? ImportedDocument.openAPI(document), let tool = section["tools"]?["t"]
                else { continue }
                let known = Set(tool["inputSchema"]?["properties"]?.object?.keys ?? [])
                for part in ["path", "query", "headers", "body"] {
                    #expect(Set(ImportedDocument.placeholders(tool[part] ?? .null)).isSubset(of: known))
                }
                #expect(known.allSatisfy { $0 == ImportText.name($0) && !$0.isEmpty })
                for header in tool["headers"]?.object?.keys ?? [] {
                    #expect(header.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
                }
                #expect(notes.allSatisfy { $0.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } })
            }
        }
    }
}
