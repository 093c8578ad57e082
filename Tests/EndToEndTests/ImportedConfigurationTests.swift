import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// What `gateway import` prints is a configuration that `gateway check` accepts, and that does what the document says.
    @Suite struct ImportedConfigurations {
        private func gateway(_ arguments: String...) async throws -> ChildProcess.Finished {
            try await ChildProcess.run(.init(BuiltProduct.gateway.path, arguments))
        }

        /// An API that answers with what it was asked.
        private static func answer(_ request: ScriptedRequest) -> ScriptedResponse {
            switch request.path.split(separator: "?").first {
            case "/v1/people/7%2F8": .json(#"{"name":"Ann","request":"\#(request.path)"}"#)
            case "/v1/login": .json(#"{"token":"x"}"#)
            case "/v1/tags": .json(request.text)
            default: .json(#"{"message":"no such person"}"#, status: 404)
            }
        }

        private static func document(_ url: String) -> String {
            """
            openapi: 3.1.0
            servers: [{url: "\(url)/v1"}]
            paths:
              /people/{id}:
                get:
                  operationId: person
                  parameters:
                    - {name: id, in: path, required: true, schema: {type: string}}
                    - {name: expand, in: query, schema: {type: array, items: {type: string}}}
                  responses: {"200": {content: {application/json: {schema: {type: object, required: [name],
                    properties: {name: {type: string}, request: {type: string}}}}}}}
              /login:
                post:
                  operationId: login
                  requestBody: {required: true, content: {application/x-www-form-urlencoded: {schema: {type: object,
                    required: [user], properties: {user: {type: string}, note: {type: string}}}}}}
                  responses: {"200": {}}
              /tags:
                put:
                  operationId: tags
                  requestBody: {required: true, content: {application/json: {schema: {type: array, items: {type: string}}}}}
                  responses: {"200": {content: {application/json: {schema: {type: array, items: {type: string}}}}}}
            """
        }

        @Test func toolsOfAnOpenAPIDocumentSendWhatItSays() async throws {
            let api = try await ScriptedHTTPServer { Self.answer($0) }
            defer { api.stop() }
            let directory = try TemporaryDirectory("imported")
            let imported = try await gateway(
                "import", "openapi", directory.write(Self.document(api.url), to: "api.yaml"), "--upstream", "crm")
            #expect(imported.succeeded, "\(imported.error)")
            var document = try #require(JSONValue(parsing: imported.output).object)
            document["mcp"] = ["endpoints": ["/mcp/": ["upstreams": ["crm": [:]]]]]
            document["chat"] = ["types": [:]]
            let file = try directory.write(JSONValue.object(document).text, to: "gateway.json")
            let check = try await gateway("check", "--config", file)
            #expect(check.succeeded, "\(check.output)\(check.error)")
            #expect(check.output.contains("upstream crm: offers the tools person, login, tags"))
            let tools = try await gateway("tools", "--config", file, "--json")
            let listed = try JSONValue(parsing: tools.output)["endpoints"]?[0]?["tools"]?.array ?? []
            #expect(listed.compactMap { $0["name"]?.string } == ["person", "login", "tags"])
            let person = listed[0]["definition"]
            #expect(person?["outputSchema"]?["properties"]?["name"] == ["type": "string"])
            #expect(listed[2]["definition"]?["outputSchema"]?["properties"]?["results"]?["type"] == "array")

            let running = try await RunningService.start(
                .gateway, ["--config", file, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            let client = running.client
            let found = try await client.post("/mcp/person", json: ["id": "7/8", "expand": ["a b", "c&d"]])
            #expect(try found.json["name"] == "Ann", "\(found.text)")
            #expect(try found.json["request"] == "/v1/people/7%2F8?expand=a%20b&expand=c%26d")
            let login = try await client.post("/mcp/login", json: ["user": "Ann & Bob=1", "note": "ä+ü"])
            #expect(try login.json == ["token": "x"], "\(login.text)")
            let form = try #require(api.requests.last { $0.path == "/v1/login" })
            #expect(form.header("Content-Type") == "application/x-www-form-urlencoded")
            #expect(form.text == "user=Ann%20%26%20Bob%3D1&note=%C3%A4%2B%C3%BC")
            let tags = try await client.post("/mcp/tags", json: ["body": ["a", "\"b\""]])
            #expect(try tags.json == ["results": ["a", "\"b\""]], "\(tags.text)")
            let whole = try #require(api.requests.last { $0.path == "/v1/tags" })
            #expect(whole.method == "PUT" && whole.text == #"["a","\"b\""]"#)
            #expect(whole.header("Content-Type") == "application/json")
            let missing = try await client.post("/mcp/person", json: ["id": "9"])
            #expect(try missing.status == 400 && missing.json == ["error": "no such person"])
            try await running.stop()
        }

        @Test func typesOfARecordingFitTheBackendThatWasRecorded() async throws {
            let backend = try await ScriptedHTTPServer { request in
                .json(#"{"type":"search","replies":[\#(request.text)]}"#)
            }
            defer { backend.stop() }
            let directory = try TemporaryDirectory("imported")
            let recording = #"""
                {"log":{"entries":[{"request":{"method":"POST","headers":[],
                "postData":{"text":"{\"type\":\"search\",\"query\":\"urgent\"}"}},
                "response":{"status":200,"content":{"text":"{\"type\":\"search\",\"replies\":[\"a\"]}"}}}]}}
                """#
            let imported = try await gateway("import", "har", directory.write(recording, to: "front.har"))
            #expect(imported.succeeded, "\(imported.error)")
            var document = try #require(JSONValue(parsing: imported.output).object)
            document["upstreams"] = [
                "old": [
                    "kind": "chat", "url": .string(backend.url + "/api/chat/"), "trusted": true,
                    "tools": [
                        "search": ["inputSchema": ["type": "object", "properties": ["query": ["type": "string"]]]]
                    ],
                ]
            ]
            let file = try directory.write(JSONValue.object(document).text, to: "gateway.json")
            let check = try await gateway("check", "--config", file)
            #expect(check.succeeded, "\(check.output)\(check.error)")
            let running = try await RunningService.start(
                .gateway, ["--config", file, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            let answer = try await running.client.post("/api/chat/", json: ["type": "search", "query": "urgent"])
            #expect(try answer.json["replies"]?[0]?["query"] == "urgent", "\(answer.text)")
            try await running.stop()
        }
    }
}
