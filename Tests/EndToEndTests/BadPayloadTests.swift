import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// Payloads that mean no good, all the way to the tools and back; the next request is always served.
    @Suite struct BadPayloads {
        private let client: HTTPTestClient
        private static let good = #"{"type":"search_projects","query":"urgent"}"#

        init() throws {
            client = try RunningStack.current.gateway.client
        }

        private func answer(_ body: String) async throws -> HTTPTestResponse {
            let answer = try await client.post("/api/chat/", body)
            #expect(try await client.post("/api/chat/", Self.good).status == 200)
            return answer
        }

        @Test(arguments: [
            // Of duplicate keys the last wins.
            #"{"type":"nope","query":[],"type":"search_projects","query":"urgent"}"#,
            #"{"type":"echo","t\u0079pe":"search_projects","query":"x","\u0071uery":"urgent"}"#,
            // Names that mean something elsewhere mean nothing here.
            #"{"__proto__":{"type":"echo"},"constructor":{"prototype":{}},"type":"search_projects","query":"urgent"}"#,
            #"{"toString":null,"hasOwnProperty":1,"":2,"\u0000":3,"type":"search_projects","query":"urgent"}"#,
        ])
        func whatIsAroundTheFieldsDoesNotMatter(_ body: String) async throws {
            let expected = try await client.post("/api/chat/", Self.good)
            let found = try await answer(body)
            #expect(found.status == 200)
            #expect(try found.json == expected.json)
        }

        @Test(arguments: ["\\ud800", "x\\udc00", "\\ud83d \\ude00", "\\ude00\\ud83d"])
        func halfASurrogatePairIsText(_ query: String) async throws {
            let found = try await answer("{\"type\":\"search_projects\",\"query\":\"\(query)\"}")
            #expect(found.status == 200)
            #expect(try found.json["replies"] == [])
        }

        @Test(arguments: ["\"\\ud80\"", "\"\\udc0gx\"", "\"\u{0}\"", "\"\u{1F}\"", "\"a\nb\"", "\"\\x\"", "01", "nul"])
        func whatIsNoJSONIsInvalid(_ value: String) async throws {
            let found = try await answer("{\"type\":\"search_projects\",\"query\":\(value)}")
            #expect(found.status == 400)
            #expect(found.text == "Invalid JSON")
        }

        @Test(arguments: ["1", "true", "[\"urgent\"]", "{\"__proto__\":\"urgent\"}", "1e400"])
        func aFieldOfTheWrongTypeIsNamed(_ value: String) async throws {
            let found = try await answer("{\"type\":\"search_projects\",\"query\":\(value)}")
            #expect(found.status == 400)
            #expect(found.errorText?.contains("query") == true, "\(found.text)")
        }

        @Test func nestingIsCheckedBeforeItIsRead() async throws {
            func nested(_ depth: Int) -> String {
                let open = String(repeating: "[", count: depth)
                let close = String(repeating: "]", count: depth)
                return "{\"type\":\"search_projects\",\"query\":\"urgent\",\"x\":\(open)\(close)}"
            }
            #expect(try await answer(nested(63)).status == 200)
            #expect(try await answer(nested(64)).text == "Invalid JSON")
            #expect(try await answer(nested(500_000)).text == "Invalid JSON")
        }

        @Test(arguments: [#"urg\u0000ent"#, #"\u0001\u001f\u007f"#, #"%' OR 1=1 --"#, #"\u2028\ufeff\ufffe"#])
        func whatNobodyIsCalledIsNotFound(_ query: String) async throws {
            let found = try await answer("{\"type\":\"search_projects\",\"query\":\"\(query)\"}")
            #expect(found.status == 200)
            #expect(found.replies == [])
        }

        @Test func hugeStringsAreAnsweredLikeOthers() async throws {
            let huge = String(repeating: "urgent ", count: 300_000)
            let search = try await answer("{\"type\":\"search_projects\",\"query\":\"\(huge)\"}")
            #expect([200, 400].contains(search.status), "\(search.text.prefix(200))")
            let field = try await answer("{\"type\":\"search_projects\",\"query\":\"urgent\",\"x\":\"\(huge)\"}")
            #expect(field.status == 200)
            let type = try await answer("{\"type\":\"\(huge)\"}")
            #expect(type.status == 400)
            #expect(type.text == "Unknown type: " + huge.prefix(200))
        }
    }
}
