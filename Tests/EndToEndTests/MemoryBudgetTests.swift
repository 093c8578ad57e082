import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// `limits.memory` of both executables: refusals, what they say, and what is left afterwards.
    @Suite struct MemoryBudgetTests {
        private func used(_ service: RunningService) async throws -> JSONValue? {
            try await service.admin.get("/status/memory").json["used"]
        }

        @Test func largeBodiesBeyondTheBudgetAreRefusedAndNothingStaysInUse() async throws {
            try await RunningStack.with(
                toolServerEnvironment: ["TOOL_SERVER_LIMITS_MEMORY": "1MiB"],
                gatewayEnvironment: ["GATEWAY_LIMITS_MEMORY": "1MiB"]
            ) { stack in
                let large = String(repeating: "x", count: 1_200_000)
                let services = [
                    (stack.gateway, "/api/chat/", #"{"type":"search_projects","query":"\#(large)"}"#, "gateway"),
                    (stack.toolServer, "/mcp/echo", #"{"message":"\#(large)"}"#, "tool_server"),
                ]
                for (service, path, body, prefix) in services {
                    let refused = try await service.client.post(path, body)
                    #expect(refused.status == 503, "\(prefix)")
                    #expect(refused.header("Retry-After") == "1")
                    #expect(try refused.json["error"] == "Overloaded")
                    #expect(try await eventually { try await used(service) == 0 })
                    let metrics = try await service.admin.get("/metrics").text
                    #expect(metrics.contains("\n\(prefix)_memory_limit_bytes 1048576\n"))
                    #expect(metrics.contains("\n\(prefix)_memory_refusals_total 1\n"))
                }
                let small = try await stack.gateway.client.chat(["type": "search_projects", "query": "urgent"])
                #expect(small.status == 200)
            }
        }
    }
}
