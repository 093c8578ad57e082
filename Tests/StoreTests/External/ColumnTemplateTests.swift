import Testing

@testable import Store

@Suite struct ColumnTemplateTests {
    @Test(arguments: [
        ("/a/{id}/", ["id"], "/a/1%2F2/"), ("{id}", ["id"], "1/2"), ("plain", [], "plain"),
        ("{id}{name}", ["id", "name"], "1%2F2%C3%BC%20%3F"), ("{ödd name}", ["ödd name"], ""),
    ])
    func templatesTakeTheirValuesFromColumns(text: String, columns: [String], url: String) throws {
        let template = try #require(ColumnTemplate(parsing: text))
        #expect(template.columns == columns)
        #expect(template.url(["id": "1/2", "name": "ü ?"]) == url)
    }

    @Test(arguments: ["{", "}", "a{b", "a}b", "{}", "{a{b}}", "{{id}}"])
    func unbalancedTemplatesAreNone(text: String) {
        #expect(ColumnTemplate(parsing: text) == nil)
    }
}
