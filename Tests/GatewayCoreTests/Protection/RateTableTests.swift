import HTTPSyntax
import NIOCore
import NIOHTTP1
import Testing

@testable import GatewayCore

@Suite struct RateTableTests {
    private func at(_ milliseconds: Int64) -> NIODeadline {
        .uptimeNanoseconds(1_000_000_000_000) + .milliseconds(milliseconds)
    }

    private func table(_ requests: Int, per period: Duration, burst: Int, entries: Int = 512) -> RateTable {
        RateTable(RateTable.Policy(requests: requests, per: period, burst: burst), entries: entries)
    }

    @Test func aBurstIsAllowedAndThenTheRate() {
        let table = table(10, per: .seconds(1), burst: 3)
        for _ in 1...3 { #expect(table.take("a", now: at(0)) == .allowed) }
        #expect(table.take("a", now: at(0)) == .refused(retryAfter: 100_000_000))
        #expect(table.take("a", now: at(99)) == .refused(retryAfter: 1_000_000))
        #expect(table.take("a", now: at(100)) == .allowed)
        #expect(table.take("a", now: at(100)) == .refused(retryAfter: 100_000_000))
        // After a pause the burst is there again, and no more than that.
        for _ in 1...3 { #expect(table.take("a", now: at(60_000)) == .allowed) }
        #expect(table.take("a", now: at(60_000)) == .refused(retryAfter: 100_000_000))
    }

    @Test func aRefusedRequestCostsNothing() {
        let table = table(1, per: .seconds(10), burst: 1)
        #expect(table.take("a", now: at(0)) == .allowed)
        for time in 0..<100 {
            #expect(table.take("a", now: at(Int64(time))) == .refused(retryAfter: UInt64(10_000 - time) * 1_000_000))
        }
        #expect(table.take("a", now: at(10_000)) == .allowed)
    }

    @Test func callersDoNotShare() {
        let table = table(1, per: .seconds(10), burst: 1)
        #expect(table.take("a", now: at(0)) == .allowed)
        #expect(table.take("b", now: at(0)) == .allowed)
        #expect(table.take("a", now: at(1)) != .allowed)
        #expect(table.take("b", now: at(1)) != .allowed)
    }

    @Test func aFloodOfOtherCallersDoesNotResetALimit() {
        let table = table(10, per: .seconds(10), burst: 10)
        while table.take("attacker", now: at(0)) == .allowed {}
        // Many times what the table holds, each with a fresh key.
        for number in 0..<20_000 { _ = table.take(number, now: at(1)) }
        #expect(table.take("attacker", now: at(2)) != .allowed)
        #expect(table.replacements > 0)
    }

    @Test func aFullTableAllowsNoMoreThanItsSize() {
        let table = table(4, per: .seconds(1000), burst: 4)
        let allowed = (0..<50_000).count { table.take($0, now: at(0)) == .allowed }
        #expect(allowed <= 512 * 4)
        #expect(allowed >= 512)
    }

    @Test func whoOwesNothingGivesWayFirst() {
        let table = table(10, per: .seconds(1), burst: 10)
        for number in 0..<5_000 { _ = table.take(number, now: at(0)) }
        let before = table.replacements
        for number in 5_000..<5_032 { #expect(table.take(number, now: at(10_000)) == .allowed) }
        #expect(table.replacements == before)
    }

    @Test func anAbsurdRateDoesNotOverflow() {
        let table = table(1, per: .seconds(86_400), burst: 1_000_000_000)
        for _ in 0..<100 { #expect(table.take("a", now: at(0)) == .allowed) }
    }

    @Test func manyThreadsTogetherGetExactlyTheLimit() async {
        let table = table(1000, per: .seconds(3600), burst: 1000)
        let now = at(0)
        let allowed = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask { (0..<500).count { _ in table.take("a", now: now) == .allowed } }
            }
            return await group.reduce(0, +)
        }
        #expect(allowed == 1000)
    }
}

@Suite struct CallerAddressTests {
    private func address(
        _ peer: String?, _ headers: HTTPHeaders, _ header: ClientAddressField = .forwardedFor
    ) throws -> [UInt8] {
        let trusted = TrustedProxies(["127.0.0.0/8", "::1", "10.0.0.0/8"]) { Issue.record("\($0)") }
        let peer = try peer.map { try SocketAddress(ipAddress: $0, port: 1) }
        return CallerAddress(ClientAddressRule(header, trusted: trusted).address(of: Peer(peer)) { headers[$0] }).bytes
    }

    @Test(
        arguments: [
            ("127.0.0.1", "192.0.2.1", [192, 0, 2, 1]),
            // The client's own word stands left of what the proxy saw.
            ("127.0.0.1", "198.51.100.9, 192.0.2.1", [192, 0, 2, 1]),
            ("127.0.0.1", "192.0.2.1, 10.1.2.3", [192, 0, 2, 1]), ("127.0.0.1", "10.9.9.9, 10.1.2.3", [10, 9, 9, 9]),
            // Nobody trusted says so.
            ("192.0.2.50", "192.0.2.1", [192, 0, 2, 50]), ("127.0.0.1", "", [127, 0, 0, 1]),
            ("127.0.0.1", "192.0.2.1, nonsense", [127, 0, 0, 1]),
            ("127.0.0.1", "192.0.2.1, nonsense, 10.1.1.1", [10, 1, 1, 1]),
            ("127.0.0.1", "192.0.2.1:4711", [192, 0, 2, 1]), ("127.0.0.1", "::ffff:192.0.2.1", [192, 0, 2, 1]),
            ("::1", "2001:db8:1:2:3:4:5:6", [0x20, 0x01, 0x0D, 0xB8, 0, 1, 0, 2]),
            ("::1", "[2001:db8:1:2::9]:80", [0x20, 0x01, 0x0D, 0xB8, 0, 1, 0, 2]),
            ("2001:db8:1:2::7", "192.0.2.1", [0x20, 0x01, 0x0D, 0xB8, 0, 1, 0, 2]),
            ("127.0.0.1", "192.0.2.1,,", [127, 0, 0, 1]),
        ] as [(String, String, [UInt8])])
    func forwardedForIsReadFromTheRight(_ peer: String, _ value: String, _ expected: [UInt8]) throws {
        #expect(try address(peer, value.isEmpty ? [:] : ["X-Forwarded-For": value]) == expected)
    }

    @Test func severalHeadersAreOneList() throws {
        let headers: HTTPHeaders = ["X-Forwarded-For": "198.51.100.9", "x-forwarded-for": "192.0.2.1, 10.0.0.2"]
        #expect(try address("127.0.0.1", headers) == [192, 0, 2, 1])
    }

    @Test(
        arguments: [
            ("for=192.0.2.1", [192, 0, 2, 1]), ("for=198.51.100.9, For=192.0.2.1;proto=https", [192, 0, 2, 1]),
            ("proto=https;for=\"[2001:db8:1:2::9]:80\"", [0x20, 0x01, 0x0D, 0xB8, 0, 1, 0, 2]),
            ("for=192.0.2.1, for=_hidden", [127, 0, 0, 1]), ("for=192.0.2.1, by=10.0.0.1", [127, 0, 0, 1]),
        ] as [(String, [UInt8])])
    func forwardedIsReadFromTheRightToo(_ value: String, _ expected: [UInt8]) throws {
        #expect(try address("127.0.0.1", ["Forwarded": value], .forwarded) == expected)
    }

    @Test func onlyTheConfiguredHeaderCounts() throws {
        let headers: HTTPHeaders = ["X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.2"]
        #expect(try address("127.0.0.1", headers) == [192, 0, 2, 1])
        #expect(try address("127.0.0.1", headers, .forwarded) == [192, 0, 2, 2])
        #expect(try address("127.0.0.1", headers, .none) == [127, 0, 0, 1])
    }
}
