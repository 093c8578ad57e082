import Foundation
import JSON
import TestSupport
import Testing

@testable import ToolServerCore

/// What `docs/sql-tools.md` shows is what the configuration accepts.
@Suite struct DocumentedSQLToolsTests {
    @Test func theExamplesAreAccepted() throws {
        let text = try String(contentsOfFile: Checkout.path("docs/sql-tools.md"), encoding: .utf8)
        let blocks = text.components(separatedBy: "```json\n").dropFirst().compactMap {
            $0.components(separatedBy: "\n```").first
        }
        #expect(blocks.count >= 2)
        for block in blocks {
            let document = try JSONValue(parsing: block)
            let configuration = try ToolServerConfiguration(document: document, environment: [:])
            #expect(!configuration.sqlTools.isEmpty)
        }
    }

    @Test func everyKeyIsDocumented() throws {
        let text = try String(contentsOfFile: Checkout.path("docs/sql-tools.md"), encoding: .utf8)
        let tool = ToolServerConfiguration.schema()["properties"]?["sqlTools"]?["additionalProperties"]?["properties"]
        let argument = tool?["arguments"]?["additionalProperties"]?["properties"]
        let keys = (tool?.object?.keys ?? []) + (argument?.object?.keys ?? [])
        #expect(keys.contains("statement") && keys.contains("maxItems"))
        for key in keys { #expect(text.contains("`\(key)`") || text.contains("\"\(key)\""), "\(key)") }
    }
}
