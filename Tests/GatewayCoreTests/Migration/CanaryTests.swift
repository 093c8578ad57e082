import CurlTransport
import JSON
import NIOCore
import TestSupport
import Testing

@testable import GatewayCore

/// A share of the callers on the tool, the others on the old backend.
@Suite struct CanaryTests {
    private func chosen(_ rule: CanaryRule, of count: Int) -> Set<Int> {
        Set((0..<count).filter { rule.chooses(cookies: "sessionid=\($0)", authorization: nil, address: []) })
    }

    @Test(arguments: [0.0, 1, 10, 50, 99, 100])
    func theShareIsWhatWasAskedFor(_ percent: Double) {
        let share = Double(chosen(CanaryRule(percent: percent, seed: ""), of: 10_000).count) / 100
        #expect(abs(share - percent) < 2)
        if percent == 0 || percent == 100 { #expect(share == percent) }
    }

    @Test func theChoiceIsStableAndOnlyGrows() {
        let ten = chosen(CanaryRule(percent: 10, seed: ""), of: 2000)
        #expect(ten == chosen(CanaryRule(percent: 10, seed: ""), of: 2000))
        #expect(ten.isSubset(of: chosen(CanaryRule(percent: 30, seed: ""), of: 2000)))
        #expect(ten != chosen(CanaryRule(percent: 10, seed: "other"), of: 2000))
    }

    /// The same in every process and for ever: a change of the hash would move everybody.
    @Test func theChoiceIsTheSameInEveryProcess() {
        let rule = CanaryRule(percent: 50, seed: "")
        let pattern = (0..<16).map {
            rule.chooses(cookies: "sessionid=\($0)", authorization: nil, address: []) ? "1" : "0"
        }
        #expect(pattern.joined() == "1110011011110101")
    }

    @Test func theAddressCountsOnlyForWhoHasNoCredential() {
        let rule = CanaryRule(percent: 50, seed: "")
        let addresses = (0..<64).map { [192, 0, 2, UInt8($0)] }
        let known = Set(addresses.map { rule.chooses(cookies: "a=1", authorization: nil, address: $0) })
        #expect(known.count == 1)
        let tokens = Set(addresses.map { rule.chooses(cookies: nil, authorization: "Bearer 1", address: $0) })
        #expect(tokens.count == 1)
        let anonymous = Set(addresses.map { rule.chooses(cookies: nil, authorization: nil, address: $0) })
        #expect(anonymous.count == 2)
    }

    private let types: JSONObject = [
        "search": Migration.search(["canary": ["upstream": "old", "percent": 50]])
    ]

    @Test func aCallerStaysWhereItIs() async throws {
        try await Migration.with(types: types) { (migration) async throws in
            var sides: Set<String> = []
            for caller in 0..<12 {
                var answers: Set<String> = []
                for _ in 0..<3 {
                    let response = try await migration.chat(
                        #"{"type":"search","query":"q"}"#, headers: [("Cookie", "sessionid=\(caller)")])
                    answers.insert(response.text)
                    let isNew = response.text.contains("new")
                    let side = isNew ? "mcp" : "chat"
                    let timing = response.headers.first(name: "Server-Timing") ?? ""
                    #expect(timing.hasSuffix(", route;desc=\"\(side)\""))
                    sides.insert(side)
                }
                #expect(answers.count == 1)
            }
            #expect(sides == ["mcp", "chat"])
            // A request is counted once its answer is out.
            func counted(_ side: String) -> Int? {
                migration.metric(#"gateway_routed_requests_total{type="search",side="\#(side)",outcome="ok"}"#)
            }
            #expect(migration.tools.calls.count + migration.sent.count == 36)
            #expect(await eventually { counted("mcp") == migration.tools.calls.count })
            #expect(await eventually { counted("chat") == migration.sent.count })
        }
    }

    @Test func anonymousCallersAreToldApartByTheirAddress() async throws {
        try await Migration.with(types: types) { (migration) async throws in
            var byAddress: [String: Set<String>] = [:]
            for _ in 0..<2 {
                for host in 0..<12 {
                    let address = "192.0.2.\(host)"
                    let text = try await migration.chat(
                        #"{"type":"search","query":"q"}"#,
                        // The test is a trusted proxy; what stands before the last address is anybody's claim.
                        headers: [("X-Forwarded-For", "203.0.113.9, \(address)")]
                    ).text
                    byAddress[address, default: []].insert(text)
                }
            }
            #expect(byAddress.values.allSatisfy { $0.count == 1 })
            #expect(Set(byAddress.values).count == 2)
        }
    }

    @Test func everybodyOrNobody() async throws {
        for (percent, expected) in [(0, "old"), (100, "new")] {
            let types: JSONObject = [
                "search": Migration.search(["canary": ["upstream": "old", "percent": .number(percent)]])
            ]
            try await Migration.with(types: types) { (migration) async throws in
                for caller in 0..<6 {
                    let response = try await migration.chat(
                        #"{"type":"search","query":"q"}"#, headers: [("Cookie", "sessionid=\(caller)")])
                    #expect(response.text.contains(expected))
                }
            }
        }
    }

    @Test func onlyTheToolsSideChecksThePayload() async throws {
        try await Migration.with(types: types) { (migration) async throws in
            var texts: Set<String> = []
            for caller in 0..<12 {
                let response = try await migration.chat(
                    #"{"type":"search"}"#, headers: [("Cookie", "sessionid=\(caller)")])
                texts.insert(response.text)
            }
            #expect(texts == ["Missing query", #"{"old":true}"#])
        }
    }
}
