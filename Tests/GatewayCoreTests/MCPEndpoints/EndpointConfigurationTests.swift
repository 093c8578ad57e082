import JSON
import JSONConfiguration
import Logging
import MCP
import MCPClient
import NIOHTTP1
import Synchronization
import Testing

@testable import GatewayCore

/// Keys of endpoints, lock files and stdio servers.
@Suite struct EndpointConfigurationTests {
    private func problems(_ changes: JSONObject) -> [String] {
        var document: JSONObject = [
            "upstreams": ["local": ["command": "server"]],
            "mcp": ["endpoints": ["/mcp/": ["upstreams": ["local": [:]]]]], "chat": ["types": [:]],
        ]
        for (key, value) in changes { document[key] = value }
        do {
            _ = try TestConfiguration.read(.object(document))
            return []
        } catch let errors as ConfigurationErrors {
            return errors.errors.map(\.description)
        } catch {
            return ["\(error)"]
        }
    }

    @Test func processesOfCallersAreBounded() throws {
        func upstream(_ keys: JSONObject) -> JSONObject { ["upstreams": ["local": .object(keys)]] }
        #expect(problems(upstream(["command": "server", "perCaller": true])) == [])
        let bounds: JSONObject = ["command": "server", "perCaller": true, "processes": 3, "processIdle": "5s"]
        #expect(problems(upstream(bounds)) == [])
        let configuration = try TestConfiguration.read([
            "upstreams": ["local": .object(bounds)], "chat": ["types": [:]],
        ])
        #expect(configuration.upstreams[0].perCaller == .init(processes: 3, idle: .seconds(5)))
        for (keys, key) in [
            (["url": "http://127.0.0.1:1/", "perCaller": true], "perCaller"),
            (["command": "server", "processes": 3], "processes"),
            (["command": "server", "perCaller": true, "processes": 0], "processes"),
            (["command": "server", "perCaller": true, "processIdle": "0s"], "processIdle"),
        ] as [(JSONObject, String)] {
            #expect(problems(upstream(keys)).contains { $0.hasPrefix("upstreams.local.\(key):") }, "\(key)")
        }
    }

    /// What tells callers apart goes nowhere, so that it does not matter whether the server is trusted.
    @Test func callersOfAServerWithAProcessForEachAreToldApart() throws {
        for (isPerCaller, isTrusted, differs) in [
            (true, false, true), (true, true, true), (false, false, false), (false, true, true),
        ] {
            let configuration = try TestConfiguration.read([
                "upstreams": [
                    "local": [
                        "command": "server", "perCaller": .bool(isPerCaller), "trusted": .bool(isTrusted),
                    ]
                ], "chat": ["types": [:]],
            ])
            let upstream = Upstream(
                configuration.upstreams[0], responseLimit: 1024, forward: configuration.forward,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            func partition(_ cookie: String) -> CredentialPartition {
                var partitions = PartitionCache()
                let headers: HTTPHeaders = ["Cookie": "sessionid=\(cookie)"]
                let facts = RequestHeaders(headers, ForwardRules(configuration.forward))
                return facts.credentials(for: upstream, headers, &partitions).partition
            }
            #expect((partition("ann") != partition("bob")) == differs)
            #expect(partition("ann") == partition("ann"))
        }
    }

    @Test func theLockFileMayBeNamedInTwoPlacesThatAgree() throws {
        let endpoints: JSONValue = ["/mcp/": ["upstreams": ["local": [:]]]]
        #expect(problems(["lock": "tools.lock"]) == [])
        #expect(problems(["mcp": ["endpoints": endpoints, "lock": "tools.lock"]]) == [])
        #expect(problems(["lock": "a", "mcp": ["endpoints": endpoints, "lock": "a"]]) == [])
        #expect(
            problems(["lock": "a", "mcp": ["endpoints": endpoints, "lock": "b"]])
                == ["mcp.lock: expected \"a\", as lock has it, or nothing, found \"b\""])
        let file = GatewayConfigurationFile(path: "/etc/gateway/gateway.json")
        #expect(file.lockPath("tools.lock") == "/etc/gateway/tools.lock")
        #expect(file.lockPath("/srv/tools.lock") == "/srv/tools.lock")
        #expect(GatewayConfigurationFile(path: "gateway.json").lockPath("tools.lock") == "tools.lock")
    }

    // MARK: Pins

    @Test func aListOfARevisionThatNobodyAsksForIsForgotten() {
        let clock = Clock()
        let pinning = ToolPinning(
            upstream: "crm", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, now: { clock.now })
        _ = pinning.replace(with: [:])
        let tools = [ChangingTools.tool("old")]
        #expect(pinning.admitted(tools, version: .v2024_11_05, isOwn: true).isEmpty)
        #expect(pinning.hidden.map(\.tool.text) == ["old"])
        // Other callers' lists say nothing of the state.
        #expect(pinning.admitted([ChangingTools.tool("theirs")], version: .latestModern, isOwn: false).isEmpty)
        #expect(pinning.hidden.map(\.tool.text) == ["old"])
        clock.advance(.seconds(601))
        #expect(pinning.hidden.isEmpty)
    }

    private final class Clock: Sendable {
        private let instant = Mutex(ContinuousClock.now)
        var now: ContinuousClock.Instant { instant.withLock { $0 } }
        func advance(_ duration: Duration) { instant.withLock { $0 += duration } }
    }
}
