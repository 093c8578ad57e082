import CurlTransport
import Foundation
import JSON
import NIOCore
import Observability
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// SIGHUP's work, and the end of the process.
@Suite struct ReloadTests {
    /// A configuration that the test changes between reloads.
    private final class Source: Sendable {
        let document: Mutex<JSONValue>
        init(_ document: JSONValue) { self.document = Mutex(document) }
        @Sendable func load() throws -> GatewayConfiguration {
            try TestConfiguration.read(document.withLock { $0 })
        }
        func change(_ body: (inout JSONObject) -> Void) {
            document.withLock { document in
                var object = document.object ?? [:]
                body(&object)
                document = .object(object)
            }
        }
    }

    private func with(
        _ upstream: FakeToolServer, _ body: (TestGateway, Source) async throws -> Void
    ) async throws {
        let source = Source(try TestConfiguration.document(upstream: upstream.url))
        defer { upstream.stop() }
        try await TestGateway.start(source.load).stopped { test in try await body(test, source) }
    }

    private func renamed(_ name: String) -> JSONValue {
        [
            "defaultType": .string(name),
            "types": .object([name: ["tool": "chat", "arguments": ["message": [:]], "reply": ["shape": "wrapped"]]]),
        ]
    }

    @Test func aReloadChangesTheTypesAndKeepsTheSession() async throws {
        let upstream = try await FakeToolServer { _ in .results("x") }
        try await with(upstream) { (test, source) async throws in
            #expect(try await test.chat(#"{"message":"x"}"#).text == #"{"type":"chat","replies":["x"]}"#)
            source.change { $0["chat"] = renamed("talk") }
            #expect(await test.gateway.reload())
            let talk = try await test.chat(#"{"message":"x"}"#).text
            #expect(talk == #"{"type":"talk","replies":["x"]}"#)
            #expect(try await test.chat(#"{"type":"chat"}"#).text == "Unknown type: chat")
            #expect(test.gateway.status.readiness.document["config_version"] == 2)
            #expect(upstream.requests.filter { $0.text.contains("\"initialize\"") }.count == 1)
        }
    }

    @Test func aBadFileChangesNothing() async throws {
        let upstream = try await FakeToolServer { _ in .results("x") }
        try await with(upstream) { (test, source) async throws in
            source.change { $0["chta"] = [:] }
            #expect(await !test.gateway.reload())
            #expect(try await test.chat(#"{"message":"x"}"#).status == 200)
            let readiness = test.gateway.status.readiness.document
            #expect(readiness["config_version"] == 1)
            #expect(readiness["config_error"]?.string?.contains("chta") == true)
            #expect(test.metrics.exposition().contains(#"gateway_configuration_reloads_total{result="failed"} 1"#))
            source.change { $0["chta"] = nil }
            #expect(await test.gateway.reload())
            #expect(test.gateway.status.readiness.document["config_error"]?.isNull == true)
        }
    }

    @Test func aRequestInFlightFinishesUnderItsConfiguration() async throws {
        let gate = AsyncStream<Void>.makeStream()
        let upstream = try await FakeToolServer { _ in
            for await _ in gate.stream { break }
            return .results("x")
        }
        try await with(upstream) { (test, source) async throws in
            async let response = test.chat(#"{"message":"x"}"#)
            _ = await eventually { !upstream.calls.isEmpty }
            source.change { $0["chat"] = renamed("talk") }
            #expect(await test.gateway.reload())
            gate.continuation.yield()
            #expect(try await response.text == #"{"type":"chat","replies":["x"]}"#)
        }
    }

    @Test func anotherUpstreamTakesOver() async throws {
        let old = try await FakeToolServer { _ in .results("old") }
        let new = try await FakeToolServer { _ in .results("new") }
        defer { new.stop() }
        try await with(old) { (test, source) async throws in
            #expect(try await test.chat(#"{"message":"x"}"#).text.contains("old"))
            source.change {
                $0["upstreams"] = ["tools": ["url": .string(new.url + "/mcp/"), "era": "legacy"]]
            }
            #expect(await test.gateway.reload())
            #expect(try await test.chat(#"{"message":"x"}"#).text.contains("new"))
        }
    }

    @Test func noRequestFailsUnderReloads() async throws {
        let upstream = try await FakeToolServer { _ in .results("x") }
        try await with(upstream) { (test, _) async throws in
            let failures = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var failures = 0
                        for _ in 0..<40 where try await test.chat(#"{"message":"x"}"#).status != 200 { failures += 1 }
                        return failures
                    }
                }
                for _ in 0..<20 {
                    #expect(await test.gateway.reload())
                    await Task.yield()
                }
                return try await group.reduce(0, +)
            }
            #expect(failures == 0)
        }
    }

    @Test func drainingFinishesWhatIsInFlightAndEndsSessions() async throws {
        let gate = AsyncStream<Void>.makeStream()
        let upstream = try await FakeToolServer { _ in
            for await _ in gate.stream { break }
            return .results("x")
        }
        defer { upstream.stop() }
        let document = try TestConfiguration.document(upstream: upstream.url)
        let test = try await TestGateway.start { try TestConfiguration.read(document) }
        async let response = test.chat(#"{"message":"x"}"#)
        _ = await eventually { !upstream.calls.isEmpty }
        async let drained: Void = test.gateway.drain()
        _ = await eventually { !test.gateway.status.readiness.isReady }
        gate.continuation.yield()
        #expect(try await response.status == 200)
        await drained
        #expect(upstream.requests.contains { $0.method == "DELETE" })
        await #expect(throws: CurlError.self) { try await test.chat(#"{"message":"x"}"#) }
        await test.engine.shutdown()
    }

    @Test(.timeLimit(.minutes(5 * Sanitizer.slowness))) func anIdleGatewayStopsAtOnce() async throws {
        let upstream = try await FakeToolServer { _ in .results("x") }
        defer { upstream.stop() }
        // A gateway that waited for anything would wait for an hour.
        let document = try TestConfiguration.document(upstream: upstream.url, ["drain": ["timeout": "1h"]])
        let test = try await TestGateway.start { try TestConfiguration.read(document) }
        #expect(try await test.chat(#"{"message":"x"}"#).status == 200)
        await test.gateway.drain()
        await test.engine.shutdown()
    }

    @Test func aChangeThatNeedsARestartIsLogged() async throws {
        let upstream = try await FakeToolServer { _ in .results("x") }
        defer { upstream.stop() }
        let source = Source(try TestConfiguration.document(upstream: upstream.url))
        let log = Pipe()
        let output = LogOutput(fileDescriptor: log.fileHandleForWriting.fileDescriptor)
        let test = try await TestGateway.start(logTo: output, source.load)
        source.change {
            $0["listen"] = "127.0.0.1:1"
            $0["limits"] = ["headerBytes": "8KiB", "headerTimeout": "3s", "body": "1KiB"]
        }
        #expect(await test.gateway.reload())
        #expect(try await test.chat(#"{"message":"x"}"#).status == 200)
        #expect(try await test.chat("{\"message\":\"\(String(repeating: "x", count: 2000))\"}").status == 413)
        await test.stop()
        output.flush()
        try log.fileHandleForWriting.close()
        let lines = try (try log.fileHandleForReading.readToEnd() ?? Data()).split(separator: 10)
            .map { try JSONValue(parsing: Array($0)) }.filter { $0["message"] == "change needs a restart" }
        #expect(
            lines.compactMap { $0["config.key"]?.string } == ["listen", "limits.headerBytes", "limits.headerTimeout"])
    }

    @Test func anAddressInUseIsOneClearError() async throws {
        let upstream = try await FakeToolServer { _ in .results("x") }
        try await TestGateway.with(upstream) { (test) async throws in
            let document = try TestConfiguration.document(
                upstream: upstream.url, ["listen": .string("127.0.0.1:\(test.port)")])
            let error = await #expect(throws: (any Error).self) {
                _ = try await TestGateway.start { try TestConfiguration.read(document) }
            }
            #expect("\(error.map { "\($0)" } ?? "")".contains("127.0.0.1:\(test.port)"))
        }
    }
}
