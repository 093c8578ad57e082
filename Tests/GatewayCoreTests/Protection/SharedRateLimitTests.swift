import CurlTransport
import Foundation
import JSON
import JSONConfiguration
import MCPClient
import NIOCore
import Observability
import TestSupport
import Testing

@testable import GatewayCore

/// Rate limits that two gateways share through Debian's redis-server, which is killed, stopped and started.
@Suite(.timeLimit(.minutes(3 * Sanitizer.slowness))) struct SharedRateLimitTests {
    private static let search = #"{"type": "search_projects", "query": "x"}"#

    /// Two gateways with the same limits in front of one tool-server.
    private func with(
        _ limits: JSONObject, onFailure: String = "local", password: String? = nil,
        _ body: (_ gateways: [TestGateway], _ redis: RedisServer, _ log: LogFile) async throws -> Void
    ) async throws {
        let redis = try await RedisServer(password: password)
        var shared: JSONObject = ["url": .string(redis.url), "onFailure": .string(onFailure), "timeout": "10s"]
        shared["password"] = password.map { .string($0) }
        let upstream = try await FakeToolServer { _ in .results([]) }
        let document = try TestConfiguration.document(
            upstream: upstream.url, ["rateLimits": .object(limits.merging(["shared": .object(shared)]))])
        let log = try LogFile()
        let gateways = [
            try await TestGateway.start(logTo: log.output) { try TestConfiguration.read(document) },
            try await TestGateway.start { try TestConfiguration.read(document) },
        ]
        func end() async throws {
            for gateway in gateways { await gateway.stop() }
            upstream.stop()
            try await redis.stop()
        }
        do {
            try await body(gateways, redis, log)
        } catch {
            try await end()
            throw error
        }
        try await end()
    }

    /// What the script cannot have answered: places that there are not, other types, texts of combining marks, and what
    /// other servers say.
    @Test(arguments: [
        "*2\r\n:-9223372036854775808\r\n:1\r\n", "*2\r\n:9223372036854775807\r\n:1\r\n", "*2\r\n:2\r\n:1\r\n",
        "*2\r\n:-1\r\n:-9223372036854775808\r\n", "*2\r\n:0\r\n$-1\r\n", "*0\r\n", "*-1\r\n", "$-1\r\n", "+OK\r\n",
        "-MOVED 3999 127.0.0.1:6381\r\n", "-LOADING Redis is loading the dataset in memory\r\n", "-\r\n",
        "-N" + String(repeating: "\u{301}", count: 20_000) + "\r\n", "*2147483647\r\n", "HTTP/1.1 200 OK\r\n\r\n",
        "*2\r\n*2\r\n:0\r\n:0\r\n:0\r\n",
    ])
    func whatIsNoAnswerOfTheScriptCountsAsAnOutage(_ answer: String) async throws {
        let redis = try await ScriptedRedisServer(answer: ByteBuffer(string: answer))
        let upstream = try await FakeToolServer { _ in .results([]) }
        let shared: JSONObject = ["url": .string(redis.url), "onFailure": "refuse", "timeout": "10s"]
        let limits: JSONObject = ["address": ["requests": 30, "per": "1h"], "shared": .object(shared)]
        try await TestGateway.with(upstream, ["rateLimits": .object(limits)]) { (test) async throws in
            for _ in 0..<3 {
                let response = try await test.chat(Self.search)
                #expect(response.status == 503)
                #expect(response.json == ["error": "Overloaded"])
            }
        }
        redis.stop()
    }

    @Test func aWaitBeyondAllMeasureIsBounded() async throws {
        for (wait, expected) in [("9223372036854775807", "1125899907"), ("-9223372036854775808", "1")] {
            let redis = try await ScriptedRedisServer(answer: ByteBuffer(string: "*2\r\n:1\r\n:\(wait)\r\n"))
            let upstream = try await FakeToolServer { _ in .results([]) }
            let shared: JSONObject = ["url": .string(redis.url), "onFailure": "refuse", "timeout": "10s"]
            let limits: JSONObject = ["address": ["requests": 30, "per": "1h"], "shared": .object(shared)]
            try await TestGateway.with(upstream, ["rateLimits": .object(limits)]) { (test) async throws in
                let response = try await test.chat(Self.search)
                #expect(response.status == 429)
                #expect(response.headers.first(name: "Retry-After") == expected)
            }
            redis.stop()
        }
    }

    private func statuses(_ gateways: [TestGateway], _ count: Int, headers: CurlHeaders = []) async throws -> [Int: Int]
    {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<count {
                let gateway = gateways[number % gateways.count]
                group.addTask { try await gateway.chat(Self.search, headers: headers).status }
            }
            return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        }
    }

    @Test func allGatewaysCountTogether() async throws {
        let limits: JSONObject = ["address": ["requests": 30, "per": "1h"]]
        try await with(limits, password: "a secret") { gateways, redis, log in
            #expect(try await statuses(gateways, 50) == [200: 30, 429: 20])
            let refused = try await gateways[1].chat(Self.search)
            let seconds = try #require(refused.headers.first(name: "Retry-After").flatMap { Int($0) })
            #expect((1...120).contains(seconds))
            #expect(try log.lines.allSatisfy { !$0.text.contains("a secret") })
            let metrics = try await gateways[0].admin("/metrics").text
            #expect(metrics.contains("gateway_shared_limits_available 1"))
            #expect(metrics.contains(#"gateway_shared_limit_checks_total{outcome="shared"} 25"#))
            let ready = try await gateways[0].admin("/readyz").json
            #expect(ready?["shared_limits"] == ["server": .string(redis.url), "available": true])
        }
    }

    @Test func credentialsTypesAndBatchesAreCountedToo() async throws {
        let limits: JSONObject = [
            "credential": ["requests": 6, "per": "1h"], "types": ["search_projects": ["requests": 2, "per": "1h"]],
        ]
        try await with(limits) { gateways, redis, _ in
            let alice: CurlHeaders = [("Cookie", "sessionid=alice")]
            #expect(try await statuses(gateways, 4, headers: alice) == [200: 2, 429: 2])
            #expect(try await statuses(gateways, 1, headers: [("Cookie", "sessionid=bob")]) == [200: 1])
            // Four of the credential's six are spent, which is too many for a batch of three.
            func batch(_ count: Int) async throws -> Int {
                let ping = #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#
                let body = "[" + Array(repeating: ping, count: count).joined(separator: ",") + "]"
                return try await gateways[1].send("POST", "/mcp/", headers: alice, body: body).status
            }
            #expect(try await batch(3) == 429)
            // Nothing in the server names a caller.
            let keys = try await redis.command("KEYS", "*")
            #expect(!keys.isEmpty && !keys.contains("alice") && !keys.contains("search"))
            #expect(try await redis.command("TTL", keys.split(separator: "\n").first.map(String.init) ?? "") != "-1")
        }
    }

    @Test func aServerThatDiesLeavesEachGatewayItsOwnCountAndIsFoundAgain() async throws {
        let limits: JSONObject = ["address": ["requests": 10, "per": "1h"]]
        try await with(limits) { gateways, redis, log in
            #expect(try await statuses(gateways, 12) == [200: 10, 429: 2])
            try await redis.kill()
            await eventually {
                gateways.allSatisfy { $0.gateway.snapshot.settings.limiter?.shared?.server.isAvailable == false }
            }
            // Each counts by itself from now on.
            #expect(try await statuses([gateways[0]], 15) == [200: 10, 429: 5])
            #expect(try await statuses([gateways[1]], 15) == [200: 10, 429: 5])
            #expect(try log.lines.filter { $0["message"] == "shared rate limits are away" }.count == 1)
            let metrics = try await gateways[0].admin("/metrics").text
            #expect(metrics.contains("gateway_shared_limits_available 0"))
            #expect(metrics.contains(#"gateway_shared_limit_checks_total{outcome="local"} 15"#))
            try await redis.start()
            // The server has forgotten everything; what it counts now, it counts for both. A worker that is not connected
            // again still has its gateway's own count, which is spent.
            var counted = 0
            try await eventually(within: .seconds(30)) {
                counted += try await statuses(gateways, 4)[200] ?? 0
                return counted >= 10
            }
            #expect(counted == 10)
            #expect(try await statuses(gateways, 20) == [429: 20])
            // One gateway alone may have counted them: the other is connected in its own time.
            let isBack = await eventually {
                gateways.allSatisfy { $0.gateway.snapshot.settings.limiter?.shared?.server.isAvailable == true }
            }
            #expect(isBack)
            #expect(try log.lines.filter { $0["message"] == "shared rate limits are back" }.count == 1)
            #expect(try log.lines.filter { $0["message"] == "shared rate limits are away" }.count == 1)
        }
    }

    @Test func withRefuseNothingIsServedUncounted() async throws {
        let limits: JSONObject = ["address": ["requests": 100, "per": "1h"]]
        try await with(limits, onFailure: "refuse") { gateways, redis, _ in
            #expect(try await statuses(gateways, 4) == [200: 4])
            try await redis.kill()
            #expect(try await statuses(gateways, 4) == [503: 4])
            let refused = try await gateways[0].chat(Self.search)
            #expect(refused.headers.first(name: "Retry-After") == "1")
            // What no limit counts is served.
            #expect(try await gateways[0].send("GET", "/openapi.json").status == 200)
            try await redis.start()
            await eventually { (try? await gateways[0].chat(Self.search).status) == 200 }
            #expect(try await gateways[0].chat(Self.search).status == 200)
        }
    }

    @Test func aServerThatCannotCountIsAway() async throws {
        let limits: JSONObject = ["address": ["requests": 10, "per": "1h"]]
        try await with(limits) { gateways, redis, log in
            #expect(try await statuses(gateways, 2) == [200: 2])
            // A replica refuses to write.
            try await redis.command("REPLICAOF", "127.0.0.1", "1")
            #expect(try await statuses([gateways[0]], 12) == [200: 10, 429: 2])
            #expect(try log.lines.filter { $0["message"] == "shared rate limits are away" }.count == 1)
            try await redis.command("REPLICAOF", "NO", "ONE")
            #expect(try await statuses([gateways[0]], 1) == [200: 1])
            #expect(gateways[0].gateway.snapshot.settings.limiter?.shared?.server.isAvailable == true)
        }
    }

    /// The script and the table of one gateway refuse the same calls.
    @Test func theScriptCountsAsTheTableDoes() async throws {
        let redis = try await RedisServer()
        let address = try #require(SharedLimitsConfiguration.reading(["url": .string(redis.url), "timeout": "10s"]))
        let shared = SharedRateLimits(
            SharedServer(address, logger: .init(label: "test")),
            metrics: GatewayMetrics(MetricsRegistry()))
        let eventLoop = NIOSingletons.posixEventLoopGroup.next()
        func take(_ charges: [SharedRateLimits.Charge]) async -> SharedRateLimits.Outcome {
            await withCheckedContinuation { continuation in
                eventLoop.execute { shared.take(charges, on: eventLoop) { continuation.resume(returning: $0) } }
            }
        }
        // Rates so slow that no time passes in their measure.
        var random = SplitMix(seed: 7)
        for caller in 0..<40 {
            let burst = Int.random(in: 1...20, using: &random)
            let policy = RateTable.Policy(requests: 1, per: .seconds(86_400), burst: burst)
            let table = RateTable(policy, entries: 512)
            for _ in 0..<15 {
                let count = Int.random(in: 1...8, using: &random)
                let expected = table.take(caller, count: count, now: .uptimeNanoseconds(1 << 60))
                let found = await take([.init(key: Array("k\(caller)".utf8), policy: policy, count: count)])
                #expect((expected == .allowed) == (found == .allowed), "\(expected) \(found)")
                if case .refused(let nanoseconds) = expected, case .refused(let place, let microseconds) = found {
                    #expect(place == 0)
                    // A minute of the day that a call costs.
                    #expect(abs(Int64(clamping: nanoseconds / 1000) - microseconds) < 60_000_000)
                }
            }
        }
        // In turn up to the first that is refused; earlier ones count.
        let policy = RateTable.Policy(requests: 1, per: .seconds(3600), burst: 1)
        func charge(_ name: String) -> SharedRateLimits.Charge {
            .init(key: Array(name.utf8), policy: policy, count: 1)
        }
        #expect(await take([charge("a"), charge("b")]) == .allowed)
        guard case .refused(1, _) = await take([charge("c"), charge("b"), charge("d")]) else {
            Issue.record("not refused")
            return
        }
        guard case .refused(0, _) = await take([charge("c")]) else {
            Issue.record("not counted")
            return
        }
        #expect(await take([charge("d")]) == .allowed)
        // Time that is out of reach, as of a clock that went back, is forgotten.
        try await redis.command("SET", "e", "99999999999999")
        guard case .refused(0, let wait) = await take([charge("e")]) else {
            Issue.record("not refused")
            return
        }
        #expect(wait <= 3_600_000_000)
        try await redis.stop()
    }

    @Test(
        arguments: [
            (["url": "http://127.0.0.1"], "rateLimits.shared.url"), ([:], "rateLimits.shared.url"),
            (["url": "redis://127.0.0.1", "onFailure": "ignore"], "rateLimits.shared.onFailure"),
            (["url": "redis://user:secret@127.0.0.1"], "rateLimits.shared.url"),
        ] as [(JSONObject, String)])
    func whatMakesNoSenseIsRefused(shared: JSONObject, path: String) throws {
        let document = try TestConfiguration.document(
            upstream: "http://127.0.0.1:1", ["rateLimits": ["shared": .object(shared)]])
        let errors = #expect(throws: ConfigurationErrors.self) { try TestConfiguration.read(document) }
        #expect(errors?.description.contains(path) == true, "\(errors?.description ?? "")")
    }
}

extension SharedLimitsConfiguration {
    fileprivate static func reading(_ document: JSONValue) -> SharedLimitsConfiguration? {
        SharedLimitsConfiguration(
            ConfigurationReader(document: document, environment: [:], environmentPrefix: "TEST"))
    }
}
