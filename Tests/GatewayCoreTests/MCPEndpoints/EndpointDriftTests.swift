import JSON
import MCP
import TestSupport
import Testing

@testable import GatewayCore

/// Names that come twice on an endpoint.
@Suite struct EndpointDriftTests {
    @Test func aNameThatComesTwiceIsDriftOfTheLaterUpstream() async throws {
        let first = ChangingTools([ChangingTools.tool("find"), ChangingTools.tool("only_first")])
        let second = ChangingTools([ChangingTools.tool("find"), ChangingTools.tool("only_second")])
        let servers = [try await first.served(), try await second.served()]
        var document = try #require(TestConfiguration.document(upstream: "http://unused").object)
        let upstreams = servers.map { server -> JSONValue in
            ["url": .string(server.url + "/mcp/"), "trusted": true, "probeInterval": "20ms", "retryWindow": "0s"]
        }
        document["upstreams"] = ["first": upstreams[0], "second": upstreams[1]]
        document["chat"] = ["types": [:]]
        document["mcp"] = [
            "endpoints": [
                "/mcp/": ["upstreams": ["first": [:], "second": [:]]],
                "/mcp/prefixed": ["upstreams": ["first": [:], "second": ["prefix": "second_"]]],
            ]
        ]
        let read = JSONValue.object(document)
        let log = try LogFile()
        let test = try await TestGateway.start(logTo: log.output) { try TestConfiguration.read(read) }
        #expect(await eventually { test.gateway.status.drift(of: "second").count == 1 })
        let readiness = test.gateway.status.readiness
        #expect(readiness.isReady)
        let drift = readiness.document["upstreams"]?["second"]?["drift"]?[0]
        #expect(drift?["kind"] == "shadowed_name" && drift?["name"] == "find")
        #expect(drift?["endpoint"] == "/mcp/" && drift?["list"] == "tools")
        #expect(test.gateway.status.drift(of: "first").isEmpty)
        #expect(test.sample(#"gateway_drift_findings{upstream="second"}"#) == 1)
        #expect(try await test.toolNames() == ["find", "only_first", "only_second"])
        // The same in `gateway check`.
        let check = await GatewayReport.check(try TestConfiguration.read(read))
        #expect(!check.isGood)
        #expect(check.lines.contains { $0.hasPrefix("upstream second: /mcp/ lists another \"find\" among its tools") })
        #expect(check.lines.contains("endpoint /mcp/prefixed: lists 4 tools"))
        // Said once, however often it is found.
        let asked = servers[1].requests.count
        #expect(await eventually { servers[1].requests.count > asked + 2 })
        #expect(try log.lines.count { $0["message"]?.string == "drift" } == 1)
        await test.stop()
        for server in servers { server.stop() }
    }

    @Test func twoUpstreamsWithoutCommonNamesAreNoDrift() async throws {
        let first = try await ChangingTools([ChangingTools.tool("find")]).served()
        let configuration = try TestConfiguration.read([
            "upstreams": [
                "first": ["url": .string(first.url + "/mcp/"), "trusted": true],
                "away": ["url": "http://127.0.0.1:1/mcp/", "retryWindow": "0s"],
            ],
            "mcp": ["endpoints": ["/mcp/": ["upstreams": ["first": [:], "away": [:]]]]], "chat": ["types": [:]],
        ])
        let check = await GatewayReport.check(configuration)
        #expect(check.isGood)
        #expect(check.lines.contains("endpoint /mcp/: lists 1 tool"))
        #expect(check.lines.contains { $0.hasPrefix("endpoint /mcp/: without those of away, upstream_unreachable") })
        first.stop()
    }
}
