import Foundation
import JSON
import Testing

@testable import GatewayCore

@Suite struct StatusHistoryTests {
    private func sample(_ count: Int, padding: Int = 0) -> String {
        """
        # HELP gateway_connections Open connections.
        gateway_connections \(count)
        gateway_requests_total{type="\(String(repeating: "x", count: padding))",outcome="ok"} \(count)
        gateway_reloads_total{outcome="ok"} 1
        """
    }

    private func samples(_ history: StatusHistory) -> [JSONValue] {
        history.document(now: Date())["samples"]?.array ?? []
    }

    @Test func whatThePageDrawsIsKept() {
        let history = StatusHistory()
        history.record(sample(1), at: Date(timeIntervalSince1970: 10))
        history.record(sample(2), at: Date(timeIntervalSince1970: 20))
        #expect(samples(history).map { $0["at"]?.double } == [10, 20])
        #expect(
            samples(history).first?["metrics"]?.string
                == "gateway_connections 1\ngateway_requests_total{type=\"\",outcome=\"ok\"} 1")
    }

    @Test func theOldestGoFirst() {
        let history = StatusHistory()
        for number in 0..<1000 { history.record(sample(number), at: Date(timeIntervalSince1970: Double(number))) }
        #expect(samples(history).count == StatusHistory.capacity)
        #expect(samples(history).last?["at"]?.double == 999)
        // Many types make large samples: then there are fewer.
        for number in 0..<100 {
            history.record(sample(number, padding: 1 << 20), at: Date(timeIntervalSince1970: Double(number)))
        }
        #expect(samples(history).count == 3)
        history.record(sample(1, padding: StatusHistory.maximumBytes), at: Date(timeIntervalSince1970: 1))
        #expect(samples(history).isEmpty)
    }
}
