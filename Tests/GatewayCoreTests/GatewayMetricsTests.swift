import JSON
import NIOCore
import ServiceRuntime
import TestSupport
import Testing

@testable import GatewayCore

/// What `/metrics` tells after certain requests.
@Suite struct GatewayMetricsTests {
    @Test func requestsAreCountedAndTimedByTypeAndTool() async throws {
        let upstream = try await FakeToolServer { _ in .results(["x"]) }
        try await TestGateway.with(upstream) { test in
            #expect(try await test.chat(#"{"type":"search_projects","query":"x"}"#).status == 200)
            #expect(try await test.chat(#"{"type":"search_projects"}"#).status == 400)
            let text = try await test.admin("/metrics").text
            let labels = #"type="search_projects",tool="search_projects""#
            #expect(text.contains("gateway_requests_total{\(labels),status=\"200\",outcome=\"ok\"} 1\n"))
            #expect(text.contains("gateway_request_duration_seconds_count{\(labels)} 1\n"))
            for phase in ["session", "first_byte", "upstream", "total"] {
                let count = "gateway_upstream_phase_seconds_count{type=\"search_projects\",phase=\"\(phase)\"} 1\n"
                #expect(text.contains(count), "\(phase)")
            }
            // Nothing waited.
            #expect(
                text.contains("gateway_upstream_phase_seconds_count{type=\"search_projects\",phase=\"queue\"} 0\n"))
            #expect(text.contains("gateway_build_info{version=\"\(BuildVersion.number)\",commit=\"unknown\"} 1\n"))
        }
    }

    @Test func callsUnderWayAndInTheQueueAreCounted() async throws {
        let (release, releasing) = AsyncStream<Void>.makeStream()
        let upstream = try await FakeToolServer { _ in
            for await _ in release { break }
            return .results(["x"])
        }
        let document: JSONValue = [
            "tools": [
                "url": .string(upstream.url + "/mcp/"), "era": "legacy", "probeInterval": "60s", "concurrency": 1,
                "queueTimeout": "10s",
            ]
        ]
        try await TestGateway.with(upstream, ["upstreams": document]) { test in
            async let first = test.chat(#"{"type":"search_projects","query":"x"}"#)
            async let second = test.chat(#"{"type":"search_projects","query":"x"}"#)
            let waits = try await eventually {
                let text = try await test.admin("/metrics").text
                return text.contains("gateway_upstream_calls_in_flight{upstream=\"tools\"} 1\n")
                    && text.contains("gateway_upstream_queue_length{upstream=\"tools\"} 1\n")
            }
            #expect(waits)
            releasing.yield()
            releasing.yield()
            let answers = try await [first, second]
            #expect(answers.map(\.status) == [200, 200])
            let text = try await test.admin("/metrics").text
            #expect(text.contains("gateway_upstream_calls_in_flight{upstream=\"tools\"} 0\n"))
            #expect(text.contains("gateway_upstream_queue_length{upstream=\"tools\"} 0\n"))
            #expect(
                text.contains("gateway_upstream_phase_seconds_count{type=\"search_projects\",phase=\"queue\"} 1\n"))
        }
    }

    @Test func aCertificateThatCannotBeReadHasEndedLongAgo() async throws {
        let upstream = try await FakeToolServer { _ in .results(["x"]) }
        try await TestGateway.with(upstream, ["certificates": ["/no/such/file.pem"]]) { test in
            let text = try await test.admin("/metrics").text
            #expect(text.contains("gateway_certificate_not_after_timestamp_seconds{file=\"/no/such/file.pem\"} 0\n"))
        }
    }

    @Test func aReloadSaysWhetherItSucceeded() async throws {
        let upstream = try await FakeToolServer { _ in .results(["x"]) }
        try await TestGateway.with(upstream) { test in
            let before = try await test.admin("/metrics").text
            #expect(before.contains("gateway_configuration_last_reload_successful 1\n"))
            // Counters are there before they count.
            #expect(before.contains("gateway_configuration_reloads_total{result=\"failed\"} 0\n"))
            #expect(before.contains("gateway_upstream_replays_total{upstream=\"tools\"} 0\n"))
            #expect(before.contains("gateway_configuration_last_reload_success_timestamp_seconds 1"))
            #expect(await test.gateway.reload())
            let after = try await test.admin("/metrics").text
            #expect(after.contains("gateway_configuration_reloads_total{result=\"succeeded\"} 1\n"))
        }
    }
}
