import Foundation
import JSON
import Synchronization
import TestSupport
import Testing

/// Both built executables between peers that break every rule. What must hold throughout: no process ends, every request
/// of a well-behaved neighbour is answered, memory stays within the budget and goes back to it.
@Suite(.serialized, .timeLimit(.minutes(8 * Sanitizer.slowness)))
enum HostilePeers {
    /// Seed of all mutations; `HOSTILE_SEED` sets another one.
    static let seed = ProcessInfo.processInfo.environment["HOSTILE_SEED"].flatMap { UInt64($0) } ?? 20_260_728
    /// Number of mutations of each kind; `HOSTILE_RUNS` sets another one.
    static let runs = ProcessInfo.processInfo.environment["HOSTILE_RUNS"].flatMap { Int($0) } ?? 120
}

/// The two processes, an upstream and an AI provider whose answers a test gives, and the neighbour.
final class HostileStack: Sendable {
    typealias Answer = @Sendable (ScriptedRequest) async -> ScriptedResponse

    let toolServer: RunningService
    let gateway: RunningService
    let upstream: ScriptedHTTPServer
    let provider: ScriptedHTTPServer
    /// Path of the tool-server's database.
    let database: String
    private let directory: TemporaryDirectory
    /// Requests of the neighbour, and those that were answered as they should be.
    private let neighbour = Mutex((asked: 0, answered: 0, last: ""))

    private static let budget = 64 << 20

    private init(
        _ directory: TemporaryDirectory, _ toolServer: RunningService, _ gateway: RunningService,
        _ upstream: ScriptedHTTPServer, _ provider: ScriptedHTTPServer
    ) {
        self.directory = directory
        database = directory.path("chat.sqlite")
        self.toolServer = toolServer
        self.gateway = gateway
        self.upstream = upstream
        self.provider = provider
    }

    /// Runs the body on a stack, with the neighbour asking all the while, and checks what must hold.
    static func with(
        seed: UInt64 = HostilePeers.seed, upstreamResponse: String = "1MiB",
        upstream: @escaping Answer = { _ in .empty(404) },
        provider: @escaping Answer = { _ in .empty(404) }, prepare: (String) throws -> Void = { _ in },
        _ body: @escaping @Sendable (HostileStack) async throws -> Void
    ) async throws {
        print("hostile peers: HOSTILE_SEED=\(seed) HOSTILE_RUNS=\(HostilePeers.runs)")
        let directory = try TemporaryDirectory("hostile")
        let database = directory.path("chat.sqlite")
        try await DemoDatabase.shared.copy(to: database)
        try prepare(database)
        let bad = try await ScriptedHTTPServer(upstream)
        let model = try await ScriptedHTTPServer(provider)
        defer {
            bad.stop()
            model.stop()
        }
        let toolServer = try await RunningService.toolServer(
            database: database,
            environment: [
                "TOOL_SERVER_LIMITS_MEMORY": "64MiB", "AI_BASE_URL": model.url + "/v1", "AI_MODEL": "m",
                "AI_API_KEY": "key-of-the-test",
            ])
        let file = try directory.write(
            configuration(toolServer.url, bad.url, upstreamResponse: upstreamResponse).text, to: "gateway.json")
        let gateway = try await RunningService.start(.gateway, ["--config", file])
        let stack = HostileStack(directory, toolServer, gateway, bad, model)
        do {
            try await toolServer.ready()
            _ = await eventually { (try? await stack.neighbourAsks()) == true }
            try await stack.besideTheNeighbour { try await body(stack) }
            try await stack.checkWhatIsLeft()
        } catch {
            print(gateway.process.log.suffix(8000), toolServer.process.log.suffix(8000))
            throw error
        }
        try await gateway.stop()
        try await toolServer.stop()
    }

    private static func configuration(_ good: String, _ bad: String, upstreamResponse: String) -> JSONValue {
        let query: JSONValue = ["query": [:]]
        return [
            "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "accessLog": false,
            "limits": ["memory": .number(budget), "upstreamResponse": .string(upstreamResponse)],
            "upstreams": [
                "tools": ["url": .string(good + "/mcp/"), "trusted": true],
                // Every failure is to have its own label, not that of an open breaker.
                "bad": [
                    "url": .string(bad + "/mcp"), "retryWindow": "0s", "probeInterval": "1s",
                    "breaker": ["failures": 0],
                ],
            ],
            "passthrough": ["upstream": "bad", "timeout": "1s"],
            "mcp": [
                "endpoints": [
                    "/mcp/all/": ["upstreams": ["tools": [:], "bad": ["prefix": "bad_"]], "timeout": "1s"]
                ]
            ],
            "chat": [
                "defaultType": "search_projects",
                "types": [
                    "search_projects": ["tool": "search_projects", "upstream": "tools", "arguments": query],
                    "bad": ["tool": "read", "upstream": "bad", "timeout": "1s"],
                    "history": ["tool": "chat_history", "upstream": "tools"],
                ],
            ],
        ]
    }

    // MARK: The neighbour

    /// Sends one request to each process; true if both were answered as they should be.
    private func neighbourAsks() async throws -> Bool {
        let found = try await gateway.client.chat(["type": "search_projects", "query": "urgent"])
        let echo = try await toolServer.client.post("/mcp/echo", #"{"message":"still here"}"#)
        let isRight = try found.status == 200 && echo.status == 200 && echo.json == ["Echo": "still here"]
        if !isRight { neighbour.withLock { $0.last = "\(found.status) \(found.text) \(echo.status) \(echo.text)" } }
        return isRight
    }

    private func besideTheNeighbour(_ body: @escaping @Sendable () async throws -> Void) async throws {
        // The last request is answered, not cancelled.
        let isOver = Atomic<Bool>(false)
        let asking = Task {
            while !isOver.load(ordering: .relaxed) {
                self.neighbour.withLock { $0.asked += 1 }
                if try await self.neighbourAsks() { self.neighbour.withLock { $0.answered += 1 } }
            }
        }
        let result: Result<Void, any Error>
        do {
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        isOver.store(true, ordering: .relaxed)
        try await asking.value
        try result.get()
        let (asked, answered, last) = neighbour.withLock { $0 }
        #expect(answered == asked, "\(last)")
        #expect(asked > 0)
    }

    // MARK: Afterwards

    private func checkWhatIsLeft() async throws {
        for service in [gateway, toolServer] {
            let name = service.product.rawValue
            try #require(service.process.exit == nil, "\(name) has ended")
            let isFree = try await eventually {
                try await service.admin.get("/status/memory").json["used"] == 0
            }
            let memory = try await service.admin.get("/status/memory").json
            #expect(isFree, "\(name) \(memory.text)")
            #expect(memory["peak"]?.int ?? .max <= Self.budget, "\(name) \(memory.text)")
            let metrics = try await service.admin.get("/metrics").text
            #expect(Self.metric("process_resident_memory_bytes", metrics) < 536_870_912, "\(name)")
            // Those of both listeners, the database and idle connections, but none for each hostile peer.
            let descriptors = try await eventually {
                let metrics = try await service.admin.get("/metrics").text
                return Self.metric("process_open_fds", metrics) < 150
            }
            #expect(descriptors, "\(name)")
        }
    }

    private static func metric(_ name: String, _ text: String) -> Double {
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line?.split(separator: " ").last.flatMap { Double($0) } ?? .infinity
    }
}

extension HTTPTestResponse {
    /// Label of the problem document; nil for anything else.
    var label: String? { try? json["label"]?.string }
}
