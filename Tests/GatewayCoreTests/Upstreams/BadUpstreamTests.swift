import JSON
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Upstreams that break the rules of HTTP or JSON-RPC: the row of the table, and nothing of it in the next answer.
@Suite struct BadUpstreamTests {
    struct Misdeed: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let response: ScriptedResponse
        let label: String
        var status = 502
        /// Of what waits for the end of the time.
        var timeout = "20s"
    }

    private static let rightLooking = #"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"results":"alien"}}}"#

    static let misdeeds: [Misdeed] = [
        Misdeed(testDescription: "reset", response: .resetBeforeResponse, label: "upstream_unreachable"),
        Misdeed(testDescription: "wrong id", response: .json(rightLooking), label: "upstream_invalid"),
        Misdeed(
            testDescription: "wrong id on a stream", response: .events([(.zero, "data: \(rightLooking)\n\n")]),
            label: "upstream_invalid"),
        Misdeed(
            testDescription: "no HTTP", response: .raw("SSH-2.0-OpenSSH_9.2\r\n", close: true),
            label: "upstream_invalid"),
        Misdeed(
            testDescription: "too much, announced",
            response: .raw(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n", close: false),
            label: "upstream_invalid"),
        Misdeed(
            testDescription: "too much, unannounced",
            response: .produce(
                status: 200, headers: [("Content-Type", "application/json")],
                body: { writer in for _ in 0..<64 { try await writer.write(String(repeating: " ", count: 1024)) } }),
            label: "upstream_invalid"),
        Misdeed(
            testDescription: "a byte at a time",
            response: .produce(
                status: 200, headers: [("Content-Type", "application/json")],
                body: { writer in
                    while true {
                        try await writer.write(" ")
                        try await Task.sleep(for: .milliseconds(20))
                    }
                }),
            label: "upstream_timeout", status: 504, timeout: "300ms"),
    ]

    @Test(arguments: misdeeds)
    func aMisdeedHasItsRowAndTheNextCallIsRight(_ misdeed: Misdeed) async throws {
        let isGood = Mutex(false)
        let upstream = try await FakeToolServer { call in
            guard isGood.withLock({ $0 }) else { return .response(misdeed.response) }
            return .results(.string("Echo: \(call.arguments["message"]?.string ?? "")"))
        }
        let type: JSONObject = [
            "tool": "chat", "arguments": ["message": [:]], "timeout": .string(misdeed.timeout),
            "reply": ["shape": "wrapped"],
        ]
        let changes: JSONObject = [
            "chat": ["defaultType": "chat", "types": ["chat": .object(type)]],
            "limits": ["upstreamResponse": "4KiB"],
        ]
        try await TestGateway.with(upstream, changes) { (test) async throws in
            await test.waitUntilReady()
            let problem = try await test.chat(
                #"{"message":"first"}"#, headers: [("Accept", "application/problem+json")])
            #expect(problem.status == misdeed.status)
            #expect(problem.json?["label"]?.string == misdeed.label)
            #expect(problem.json?["executed"]?.string == "unknown")
            // Not sent again: nobody said that it may run twice.
            #expect(upstream.calls.count == 1)
            isGood.withLock { $0 = true }
            let next = try await test.chat(#"{"message":"second"}"#)
            #expect(next.status == 200)
            #expect(next.text == #"{"type":"chat","replies":["Echo: second"]}"#)
            #expect(await eventually { test.gateway.requestsInFlight == 0 })
        }
    }

    @Test func aReusedConnectionThatIsResetCostsOneCallAndNoOther() async throws {
        let turn = Mutex(0)
        let upstream = try await FakeToolServer { call in
            let number = turn.withLock { turn in
                turn += 1
                return turn
            }
            return number % 2 == 0 ? .response(.resetBeforeResponse) : .results("right")
        }
        try await TestGateway.with(upstream) { (test) async throws in
            await test.waitUntilReady()
            for round in 1...8 {
                let response = try await test.chat(#"{"message":"x"}"#)
                #expect(response.status == (round % 2 == 0 ? 502 : 200))
                #expect(upstream.calls.count == round)
            }
            // Each reset ended a connection that had carried a call before.
            let connections = upstream.calls.map(\.request.connectionID)
            for round in stride(from: 1, to: 8, by: 2) { #expect(connections[round] == connections[round - 1]) }
            #expect(await eventually { test.gateway.requestsInFlight == 0 })
        }
    }
}
