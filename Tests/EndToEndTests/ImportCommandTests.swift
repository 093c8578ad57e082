import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// `gateway import`: configuration on standard output, everything else on standard error.
    @Suite struct ImportCommands {
        private func gateway(_ arguments: String...) async throws -> ChildProcess.Finished {
            try await ChildProcess.run(.init(BuiltProduct.gateway.path, arguments))
        }

        @Test func anOpenAPIDocumentBecomesAnUpstream() async throws {
            let directory = try TemporaryDirectory("import")
            let file = try directory.write(
                """
                openapi: 3.1.0
                servers: [{url: "https://crm.example"}]
                paths:
                  /people/{id}: {get: {operationId: person, parameters: [{name: id, in: path, required: true}], responses: {}}}
                  /file: {post: {operationId: upload, requestBody: {required: true, content: {text/csv: {}}}, responses: {}}}
                """, to: "crm.yaml")
            let imported = try await gateway("import", "openapi", file, "--upstream", "crm")
            #expect(imported.succeeded, "\(imported.error)")
            let section = try #require(JSONValue(parsing: imported.output)["upstreams"]?["crm"])
            #expect(section["kind"] == "http")
            #expect(section["tools"]?["person"]?["path"] == "/people/{id}")
            #expect(imported.error.contains("POST /file: left out: its body is text/csv, neither JSON nor a form"))
            let one = try await gateway("import", "openapi", file, "--upstream", "crm", "--only", "upload")
            #expect(one.exit == .status(1))
            #expect(one.output.isEmpty)
            let none = try await gateway("import", "openapi", directory.path("none.yaml"), "--upstream", "crm")
            #expect(none.exit == .status(1))
            #expect(none.error.contains("none.yaml: no such file"))
        }

        @Test func theGatewaysOwnDocumentIsImportedFromItsURL() async throws {
            let stack = try RunningStack.current
            let url = "http://\(stack.gateway.address)/openapi.json"
            let imported = try await gateway("import", "openapi", url, "--upstream", "own")
            #expect(imported.succeeded, "\(imported.error)")
            let tools = try #require(JSONValue(parsing: imported.output)["upstreams"]?["own"]?["tools"]?.object)
            #expect(tools.contains { $0.value["method"] == "POST" && $0.value["path"] == "/api/chat/" })
            let missing = try await gateway("import", "openapi", url + "x", "--upstream", "own")
            #expect(!missing.succeeded)
            #expect(missing.error.contains("expected status 200"))
        }

        @Test func aRecordingBecomesTypes() async throws {
            let directory = try TemporaryDirectory("import")
            let recording = #"""
                {"log":{"entries":[{"request":{"method":"POST","headers":[{"name":"Cookie","value":"sessionid=s3cr3t"}],
                "postData":{"text":"{\"type\":\"search\",\"query\":\"very private\"}"}},
                "response":{"status":200,"content":{"text":"{\"type\":\"search\",\"replies\":[1]}"}}}]}}
                """#
            let imported = try await gateway("import", "har", directory.write(recording, to: "front.har"))
            #expect(imported.succeeded, "\(imported.error)")
            let types = try JSONValue(parsing: imported.output)["chat"]?["types"]
            #expect(types?["search"]?["arguments"] == ["query": [:]])
            #expect(!(imported.output + imported.error).contains("s3cr3t"))
            #expect(!(imported.output + imported.error).contains("private"))
        }
    }
}
