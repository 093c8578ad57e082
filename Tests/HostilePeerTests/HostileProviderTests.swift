import Synchronization
import TestSupport
import Testing

extension HostilePeers {
    /// AI providers whose answers, counts of tokens and streams are mutated, behind the tool-server.
    @Suite struct HostileProviders {
        private static let usage =
            #""usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46,"prompt_tokens_details":{"cached_tokens":1}}"#
        private static let whole =
            #"{"id":"x","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":"#
            + #"{"role":"assistant","content":"An answer.","reasoning_content":"Hm."},"finish_reason":"stop"}],"#
            + usage + "}"
        private static let tools =
            #"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","#
            + #""function":{"name":"search_projects","arguments":"{\"query\":\"urgent\",\"limit\":5}"}}]},"finish_reason":"tool_calls"}],"#
            + usage + "}"
        private static let events =
            #"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"An "}}]}"# + "\n\n"
            + #"data: {"choices":[{"index":0,"delta":{"content":"answer.","tool_calls":[{"index":0,"id":"c","function":{"#
            + #""name":"echo","arguments":"{\"message\":\"x\"}"}}]}}]}"# + "\n\n"
            + #"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"# + usage + "}\n\ndata: [DONE]\n\n"
        private static let error = #"{"error":{"message":"quota of 100 exceeded","type":"t","code":429,"param":null}}"#

        private static func response(_ status: Int, _ type: String, _ body: String) -> [UInt8] {
            let head = "HTTP/1.1 \(status) OK\r\nContent-Type: \(type)\r\nRetry-After: 0\r\n"
            return Array("\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
        }

        private static let answers = [
            response(200, "application/json", whole), response(200, "application/json", tools),
            response(200, "text/event-stream", events), response(400, "application/json", error),
            response(500, "text/plain", "oops"),
        ]

        @Test func mutatedAnswersHarmNobody() async throws {
            let mutator = Mutex(Mutator(seed: HostilePeers.seed))
            try await HostileStack.with(provider: { _ in
                mutator.withLock { .rawBytes($0.mutate($0.pick(Self.answers)), close: true) }
            }) { stack in
                for run in 0..<HostilePeers.runs {
                    let accept = run % 2 == 0 ? "application/json" : "text/event-stream"
                    let response = try await stack.toolServer.client.post(
                        "/mcp/ai_prompt", #"{"prompt":"Which projects are urgent?"}"#, headers: [("Accept", accept)])
                    // The provider's answer, or an error that says what was wrong with it.
                    #expect([200, 400, 503].contains(response.status), "\(run): \(response.status) \(response.text)")
                    #expect(!response.text.isEmpty)
                }
            }
        }
    }
}
