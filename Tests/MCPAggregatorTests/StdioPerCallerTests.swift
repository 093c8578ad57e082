import JSON
import MCP
import MCPClient
import MCPServer
import Synchronization
import TestSupport
import Testing

@testable import MCPAggregator

/// A stdio server of which each caller has a process of its own.
@Suite struct StdioPerCallerTests {
    /// A server that counts its calls, says so in a log message, and tells everybody of a resource named after itself. Its
    /// `wait` answers when a file is there.
    private static let script = #"""
        calls=0
        answer() { printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$1"; }
        while IFS= read -r line; do
          id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
          case "$line" in
            *'"server/discover"'*) answer '"error":{"code":-32601,"message":"Method not found"}' ;;
            *'"initialize"'*) answer '"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{}},"serverInfo":{"name":"counter","version":"1"}}' ;;
            *'"tools/list"'*) answer '"result":{"tools":[{"name":"count","inputSchema":{"type":"object"}},{"name":"wait","inputSchema":{"type":"object"}}]}' ;;
            *'"name":"wait"'*) while [ ! -e "$GATE" ]; do sleep 0.01; done; answer '"result":{"content":[]}' ;;
            *'"tools/call"'*)
              calls=$((calls + 1))
              printf '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"%s"}}\n' "$$"
              printf '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://%s"}}\n' "$$"
              answer '"result":{"content":[{"type":"text","text":"'"$$ $calls"'"}]}' ;;
            *) [ -z "$id" ] || answer '"result":{}' ;;
          esac
        done
        """#

    private func upstream(
        processes: Int = 16, idle: Duration = .seconds(600), gate: String = "/",
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) -> StdioUpstream {
        StdioUpstream(
            name: "counter", .init(command: "sh", arguments: ["-c", Self.script], environment: ["GATE": gate]),
            clientInfo: Implementation(name: "endpoint", version: "1"),
            perCaller: .init(processes: processes, idle: idle), logger: quiet, now: now)
    }

    private func caller(_ name: String?) -> EndpointCaller {
        let credentials = ForwardedCredentials(cookies: name.map { "sessionid=\($0)" }, authorization: nil)
        return EndpointCaller { _ in credentials }
    }

    /// Calls the tool; returns the process that has answered and the number of its calls.
    private func count(
        _ upstream: StdioUpstream, _ name: String?, heard: Heard? = nil
    ) async throws -> (process: String, calls: Int) {
        let result = try await upstream.send(
            UpstreamRequest(
                method: MCPMethod.toolsCall, params: ["name": "count", "arguments": [:]], caller: caller(name),
                onNotification: { notification in
                    heard?.note(notification.params?["data"]?.string)
                }))
        let text = try #require(result.result["content"]?[0]?["text"]?.string)
        let parts = text.split(separator: " ")
        return (String(parts[0]), try #require(Int(parts[1])))
    }

    @Test func nothingOfACallersProcessReachesAnother() async throws {
        let upstream = upstream()
        // What the endpoint itself hears.
        let updated = Heard()
        let open = AsyncStream<Void>.makeStream()
        let listening = Task {
            try await upstream.listen(
                to: SubscriptionFilter(toolsListChanged: true, resourceSubscriptions: ["test://x"]),
                onOpen: { open.continuation.yield() },
                onNotification: { notification in
                    updated.note(notification.params?["uri"]?.string)
                })
        }
        for await _ in open.stream { break }
        let callers: [String?] = ["ann", "bob", "cem", nil]
        let heard = callers.map { _ in Heard() }
        let seen = await withTaskGroup(of: (Int, [(process: String, calls: Int)]).self) { group in
            for (index, name) in callers.enumerated() {
                group.addTask {
                    var seen: [(process: String, calls: Int)] = []
                    for _ in 0..<20 {
                        if let answer = try? await count(upstream, name, heard: heard[index]) {
                            seen.append(answer)
                        }
                    }
                    return (index, seen)
                }
            }
            return await group.reduce(into: [Int: [(process: String, calls: Int)]]()) { $0[$1.0] = $1.1 }
        }
        var processes: Set<String> = []
        for index in callers.indices {
            let answers = try #require(seen[index])
            // Its own process, which has seen its own calls and no others.
            #expect(answers.map(\.calls) == Array(1...20))
            let own = try #require(Set(answers.map(\.process)).first)
            #expect(Set(answers.map(\.process)).count == 1)
            #expect(processes.insert(own).inserted)
            #expect(heard[index].texts == [own])
            #expect(updated.texts.contains("test://\(own)") == (callers[index] == nil))
        }
        #expect(upstream.statistics.running == 4 && upstream.statistics.starts == 4)
        listening.cancel()
        await upstream.close()
        #expect(upstream.statistics.running == 0)
    }

    /// Texts that were heard from any thread.
    private final class Heard: Sendable {
        private let heard = Mutex<Set<String>>([])

        var texts: Set<String> { heard.withLock { $0 } }

        func note(_ text: String?) { heard.withLock { _ = $0.insert(text ?? "") } }
    }

    @Test func theOneThatWasUsedLongestAgoIsEndedForAnother() async throws {
        let now = Mutex(ContinuousClock.now)
        let upstream = upstream(processes: 2, now: { now.withLock { $0 } })
        let ann = try await count(upstream, "ann").process
        now.withLock { $0 += .seconds(1) }
        let bob = try await count(upstream, "bob").process
        now.withLock { $0 += .seconds(1) }
        #expect(try await count(upstream, "ann").process == ann)
        now.withLock { $0 += .seconds(1) }
        _ = try await count(upstream, "cem")
        #expect(upstream.statistics.evictions == 1)
        #expect(try await count(upstream, "ann").process == ann)
        let again = try await count(upstream, "bob")
        #expect(again.process != bob && again.calls == 1)
        #expect(await eventually { upstream.statistics.running == 2 })
        await upstream.close()
    }

    @Test func whereAllAreBusyTheRequestIsRefused() async throws {
        let directory = try TemporaryDirectory("gate")
        let upstream = upstream(processes: 1, gate: directory.path("open"))
        let waiting = Task {
            try await upstream.send(
                UpstreamRequest(
                    method: MCPMethod.toolsCall, params: ["name": "wait", "arguments": [:]], caller: caller("ann")))
        }
        #expect(await eventually { upstream.statistics.running == 1 })
        let failure = await #expect(throws: EndpointError.self) { try await count(upstream, "bob") }
        #expect(failure?.label == "overloaded" && failure?.executed == "no")
        // Callers without credentials have a process besides.
        _ = try await count(upstream, nil)
        try directory.write("", to: "open")
        _ = try await waiting.value
        #expect(try await count(upstream, "bob").calls == 1)
        await upstream.close()
    }

    @Test func aProcessThatNobodyUsesIsEnded() async throws {
        let upstream = upstream(idle: .milliseconds(20))
        let first = try await count(upstream, "ann").process
        #expect(await eventually { upstream.statistics.running == 0 })
        let second = try await count(upstream, "ann")
        #expect(second.process != first && second.calls == 1)
        await upstream.close()
        await #expect(throws: EndpointError.self) { try await count(upstream, "ann") }
    }
}
