import HTTPSyntax
import JSON
import JSONConfiguration
import MCPClient
import NIOCore
import NIOHTTP1
import Testing

@testable import GatewayCore

@Suite struct RequestRulesTests {
    private func rules(_ forward: JSONValue = [:]) throws -> ForwardRules {
        let document: JSONValue = ["upstreams": ["tools": ["url": "http://127.0.0.1:1/"]], "forward": forward]
        return ForwardRules(try TestConfiguration.read(document).forward)
    }

    @Test(
        arguments: [
            ("sessionid=abc", "sessionid=abc"), ("a=1; sessionid=abc; b=2", "sessionid=abc"), ("a=1", nil),
            ("SESSIONID=abc", nil), ("xsessionid=abc", nil), ("sessionid=a=b", "sessionid=a=b"), ("sessionid", nil),
            ("sessionid=1;sessionid=2", "sessionid=2"), (" \tsessionid=abc ;", "sessionid=abc"), ("", nil),
            ("sessionid=", "sessionid="), ("sessionid=\"abc\"", "sessionid=abc"), ("sessionid = abc", "sessionid=abc"),
        ] as [(String, String?)])
    func onlyNamedCookiesGoUpstream(_ header: String, _ expected: String?) throws {
        #expect(try rules().forwardedCookies(of: [header]) == expected)
    }

    @Test func cookiesGoUpstreamOnceAndInTheOrderOfTheConfiguration() throws {
        let rules = try rules(["cookies": ["sessionid", "tenant"]])
        #expect(rules.forwardedCookies(of: ["tenant=b; sessionid=a"]) == "sessionid=a; tenant=b")
        #expect(rules.forwardedCookies(of: ["sessionid=x; tenant=b", "sessionid=a"]) == "sessionid=a; tenant=b")
        #expect(rules.forwardedCookies(of: []) == nil)
    }

    /// Row by row: the same caller, and another one.
    @Test(
        arguments: [
            ([("Cookie", "sessionid=a")], [("Cookie", "sessionid=junk; sessionid=\"a\"")], true),
            ([("Authorization", "Bearer t")], [("Authorization", "bEARER   t")], true),
            ([("Authorization", "Token t")], [("Authorization", "TOKEN t")], true),
            ([("Authorization", "Bearer t")], [("Authorization", "Bearer T")], false),
            // Unicode calls these equal; they are other bytes.
            ([("Cookie", "sessionid=\u{E9}")], [("Cookie", "sessionid=e\u{301}")], false),
            ([("Authorization", "Bearer \u{212A}")], [("Authorization", "Bearer K")], false),
        ] as [([(String, String)], [(String, String)], Bool)])
    func aCallerIsOneHoweverItIsSpelled(
        _ first: [(String, String)], _ second: [(String, String)], _ isSame: Bool
    ) throws {
        var cache = PartitionCache(capacity: 1)
        let rules = try rules()
        let partitions = [first, second].map {
            RequestHeaders(HTTPHeaders($0), rules).credentials(&cache).partition
        }
        #expect((partitions[0] == partitions[1]) == isSame)
    }

    @Test func whatJudgesAPageIsNotPassedOn() throws {
        let headers: HTTPHeaders = [
            "Origin": "https://a.example", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "X-A": "1",
        ]
        let rules = try rules(["headers": ["Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "X-A"]])
        #expect(RequestHeaders(headers, rules).forwarded.map(\.name) == ["X-A"])
    }

    @Test func onlyNamedHeadersGoUpstream() throws {
        let facts = RequestHeaders(
            [
                "Authorization": "Bearer x", "accept-language": "pl", "X-Secret": "s", "Tracestate": "a=b",
                "Cookie": "sessionid=1; csrftoken=2",
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ], try rules())
        #expect(facts.authorization == "Bearer x")
        #expect(facts.cookies == "sessionid=1")
        #expect(facts.forwarded.map(\.name) == ["accept-language", "Tracestate"])
        #expect(facts.traceparent != nil)
    }

    @Test func aHeaderThatConnectionNamesStays() throws {
        let facts = RequestHeaders(
            ["Connection": "close, Authorization, Accept-Language", "Authorization": "x", "Accept-Language": "pl"],
            try rules())
        #expect(facts.authorization == nil)
        #expect(facts.forwarded.isEmpty)
    }

    @Test func callersAreToldApartByTheHeadersThatSayWhoTheyAre() throws {
        let named = try rules([
            "headers": ["X-API-Key", "X-Auth-User", "Accept-Language"], "credentials": ["x-api-key", "X-Auth-User"],
        ])
        var cache = PartitionCache()
        func credentials(_ headers: HTTPHeaders, _ rules: ForwardRules) -> ForwardedCredentials {
            RequestHeaders(headers, rules).credentials(&cache)
        }
        let one = credentials(["X-API-Key": "1", "Accept-Language": "pl"], named)
        #expect(one.credentials.map(\.value) == ["1"])
        #expect(one.perRequest.map(\.value) == ["pl"])
        #expect(one.partition == credentials(["X-API-Key": "1", "Accept-Language": "de"], named).partition)
        #expect(one.partition != credentials(["X-API-Key": "2"], named).partition)
        #expect(one.partition != credentials(["X-Auth-User": "1"], named).partition)
        #expect(credentials(["Accept-Language": "pl"], named).partition == .anonymous)
        let hidden: HTTPHeaders = ["Connection": "X-API-Key", "X-API-Key": "1"]
        #expect(credentials(hidden, named).partition == .anonymous)
        // What does not go upstream tells nobody apart there.
        #expect(credentials(["X-API-Key": "1"], try rules()).partition == .anonymous)
    }

    @Test func aCredentialThatIsNotForwardedIsAMistake() {
        #expect(throws: ConfigurationErrors.self) { try rules(["credentials": ["X-Auth-User"]]) }
    }

    @Test func whatIsNotNamedStays() throws {
        let facts = RequestHeaders(["Authorization": "x", "traceparent": "bad"], try rules(["headers": ["X-A"]]))
        #expect(facts.authorization == nil)
        #expect(facts.traceparent == nil)
    }

    @Test(arguments: [
        ("application/problem+json", true), ("application/json, application/problem+json;q=0.5", true),
        ("application/problem+json;q=0", false), ("*/*", false), ("application/json", false),
        ("Application/Problem+JSON", true), ("application/problem+jsonx", false),
    ])
    func aProblemDocumentIsAskedForByName(_ accept: String, _ expected: Bool) throws {
        #expect(RequestHeaders(["Accept": accept], try rules()).wantsProblem == expected)
    }

    @Test func serverTimingIsInMilliseconds() {
        let text = ServerTiming.text(
            session: .microseconds(412), upstream: .milliseconds(3201), totalNanoseconds: 12_003_950_000)
        #expect(text == "session;dur=0.412, upstream;dur=3201.000, total;dur=12003.950")
        #expect(
            ServerTiming.text(session: nil, upstream: nil, totalNanoseconds: 0)
                == "session;dur=0.000, upstream;dur=0.000, total;dur=0.000")
        #expect(
            ServerTiming.text(session: .zero, upstream: .seconds(1 << 50), totalNanoseconds: .max).utf8.count <= 112)
        #expect(
            ServerTiming.text(
                session: .zero, upstream: .milliseconds(3), totalNanoseconds: 4_000_000, queue: .milliseconds(1),
                connect: .microseconds(250))
                == "session;dur=0.000, upstream;dur=3.000, total;dur=4.000, queue;dur=1.000, connect;dur=0.250")
        let longest = Duration.seconds(1 << 50)
        #expect(
            ServerTiming.text(
                session: longest, upstream: longest, totalNanoseconds: .max, queue: longest, connect: longest
            )
            .hasSuffix(", connect;dur=9999999999.999"))
    }

    @Test(arguments: [
        ("10.1.2.3", true), ("10.1.63.9", true), ("10.2.0.1", false), ("192.0.2.7", true), ("192.0.2.8", false),
        ("::1", false), ("2001:db8::5", true), ("::ffff:10.1.0.1", true),
    ])
    func aTrustedProxyIsKnownByItsAddress(_ address: String, _ expected: Bool) throws {
        let proxies = TrustedProxies(["10.1.0.0/18", "192.0.2.7", "2001:db8::/32"]) { Issue.record("\($0)") }
        #expect(proxies.contains(Peer(try SocketAddress(ipAddress: address, port: 1))) == expected)
    }

    @Test func aRangeThatIsNoneIsReported() {
        var invalid: [String] = []
        _ = TrustedProxies(["10.0.0.0/33", "x", "::1/-1", "10.0.0.0/8"]) { invalid.append($0) }
        #expect(invalid == ["10.0.0.0/33", "x", "::1/-1"])
    }

    @Test(
        arguments: [
            ("max 100000", nil), ("150000 100000", 2), ("50000 100000", 1), ("400000 100000\n", 4), ("x y", nil),
        ] as [(String, Int?)])
    func theControlGroupsQuotaBoundsTheWorkers(_ text: String, _ expected: Int?) {
        #expect(AvailableCores.quota { $0 == "/sys/fs/cgroup/cpu.max" ? text : nil } == expected)
    }

    @Test func theOlderControlGroupsQuotaCountsToo() {
        let files = ["cpu.cfs_quota_us": "250000\n", "cpu.cfs_period_us": "100000\n"]
        #expect(AvailableCores.quota { path in files[String(path.split(separator: "/").last ?? "")] } == 3)
        #expect(AvailableCores.quota { _ in "-1" } == nil)
    }
}
