import Foundation
import JSON
import MCP
import MCPClient
import MCPServer
import Synchronization
import TestSupport
import Testing

@testable import MCPAggregator

@Suite struct StdioUpstreamTests {
    private func fixture(_ environment: [String: String] = [:]) -> StdioUpstream {
        StdioUpstream(
            name: "fixture",
            .init(command: BuiltProduct.directory.appending(path: "ConformanceServer").path, environment: environment),
            clientInfo: Implementation(name: "endpoint", version: "1"), logger: quiet)
    }

    @Test func aStdioServerIsStartedListedAndCalled() async throws {
        let upstream = fixture()
        let router = EndpointRouter([EndpointMember(upstream, prefix: "local_")], logger: quiet)
        let endpoint = MCPServer.forwarding(to: router)
        #expect(try await endpoint.toolNames().first == "local_test_simple_text")
        let answer = try await endpoint.modern(
            MCPMethod.toolsCall, ["name": "local_test_simple_text", "arguments": [:]])
        #expect(
            answer.message["result"]?["content"]?[0]?["text"]?.string == "This is a simple text response for testing.")
        await upstream.close()
        let after = try await endpoint.modern(
            MCPMethod.toolsCall, ["name": "local_test_simple_text", "arguments": [:]])
        #expect(after.message["error"]?["data"]?["label"]?.string == "upstream_unreachable")
    }

    @Test func aServerGetsNoVariablesOfTheGateway() async throws {
        let own = ProcessInfo.processInfo.environment.keys
        let other = try #require(own.first { !["PATH", "HOME", "LANG", "OWN"].contains($0) })
        let variables = StdioServerProcess.Environment.isolated(["OWN": "1"]).variables
        #expect(variables["OWN"] == "1")
        #expect(variables[other] == nil)
        #expect(Set(variables.keys).isSubset(of: ["PATH", "HOME", "LANG", "OWN"]))
    }

    @Test func aServerThatExitsIsStartedAgainWithPauses() async throws {
        let now = Mutex(ContinuousClock.now)
        let upstream = StdioUpstream(
            name: "brief", .init(command: "true"), clientInfo: Implementation(name: "endpoint", version: "1"),
            logger: quiet, now: { now.withLock { $0 } })
        var refused = 0
        for _ in 0..<10 {
            do {
                _ = try await upstream.describe(.anonymous)
            } catch let failure as EndpointError {
                #expect(failure.label == "upstream_unreachable")
                if failure.detail == "the server has exited" { refused += 1 }
            }
        }
        // One start, one at once after the exit, and then pauses.
        #expect(refused == 8)
        now.withLock { $0 += .seconds(10) }
        let failure = await #expect(throws: EndpointError.self) { _ = try await upstream.describe(.anonymous) }
        #expect(failure?.detail != "the server has exited")
    }

    @Test func aCommandThatDoesNotExistIsUnreachable() async throws {
        let upstream = StdioUpstream(
            name: "missing", .init(command: "/no/such/command"),
            clientInfo: Implementation(name: "endpoint", version: "1"), logger: quiet)
        let failure = await #expect(throws: EndpointError.self) { _ = try await upstream.describe(.anonymous) }
        #expect(failure?.label == "upstream_unreachable")
    }
}
