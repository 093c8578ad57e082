import JSON
import MCP
import MCPClient
import MCPServer
import Synchronization
import Testing

@testable import ConformanceServer
@testable import MCPAggregator

/// What goes on beside calls: changes, subscriptions, cancellation.
@Suite struct EndpointStreamTests {
    /// Waits until a notification with that method has come.
    private final class Heard: Sendable {
        private let stream: AsyncStream<JSONRPCNotification>
        let hear: @Sendable (JSONRPCNotification) -> Void

        init() {
            let (stream, continuation) = AsyncStream<JSONRPCNotification>.makeStream()
            self.stream = stream
            hear = { continuation.yield($0) }
        }

        func first(_ method: String) async -> JSONRPCNotification? {
            await stream.first { $0.method == method }
        }
    }

    @Test(arguments: Pair.all)
    func changesOfAnUpstreamReachTheClient(_ pair: Pair) async throws {
        let server = try ConformanceServer.makeServer(logger: quiet)
        let stack = try await EndpointStack([("fixture", pair.server, server)])
        let heard = Heard()
        let client = stack.client(pair.client, MCPClientHandlers(onNotification: heard.hear))
        let open = AsyncStream<Void>.makeStream()
        let listening = Task {
            try await client.listen(
                to: SubscriptionFilter(toolsListChanged: true, resourceSubscriptions: ["test://watched-resource"])
            ) { open.continuation.yield() }
        }
        for await _ in open.stream { break }
        // The upstream is listened to by now or a little later: announced until it is heard.
        let announcing = Task {
            while !Task.isCancelled {
                server.announce(.tools)
                server.announce(.resource(uri: "test://watched-resource"))
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        let changed = await heard.first(MCPMethod.toolsListChanged)
        #expect(changed != nil)
        let updated = await heard.first(MCPMethod.resourcesUpdated)
        #expect(updated?.params?["uri"]?.string == "test://watched-resource")
        announcing.cancel()
        listening.cancel()
        await stack.stop()
    }

    @Test(arguments: Pair.all)
    func aCancelledCallIsCancelledAtTheUpstream(_ pair: Pair) async throws {
        let begun = AsyncStream<Void>.makeStream()
        let ended = AsyncStream<Bool>.makeStream()
        struct Waiting: Tool {
            let begun: AsyncStream<Void>.Continuation
            let ended: AsyncStream<Bool>.Continuation
            var definition: ToolDefinition { ToolDefinition(name: "wait", description: "Waits.") }
            func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
                begun.yield()
                try? await Task.sleep(for: .seconds(3600))
                ended.yield(Task.isCancelled)
                return .text("over")
            }
        }
        let server = MCPServer(info: Implementation(name: "waiting", version: "1"), logger: quiet)
        try server.register(tool: Waiting(begun: begun.continuation, ended: ended.continuation))
        let stack = try await EndpointStack([("waiting", pair.server, server)])
        let client = stack.client(pair.client)
        let call = Task { try await client.callTool("wait", arguments: [:]) }
        for await _ in begun.stream { break }
        call.cancel()
        for await isCancelled in ended.stream {
            #expect(isCancelled)
            break
        }
        await stack.stop()
    }
}
