import Testing

@testable import HTTPSyntax

@Suite struct AllowedHostsTests {
    @Test(
        arguments: [
            ("localhost", true), ("LOCALHOST:8080", true), ("a.localhost", true), ("localhost.", true),
            ("127.0.0.1:1", true), ("127.9.9.9", true), ("[::1]:8080", true), ("[::ffff:127.0.0.1]", true),
            ("evil.example", false), ("localhost.evil.example", false), ("127.0.0.1.evil.example", false),
            ("evil-localhost", false), (".localhost", false), ("128.0.0.1", false), ("[::2]", false), ("", false),
            ("localhost:8080:1", false), ("localhost:x", false), ("localhost@evil.example", false), ("::1", false),
            ("2130706433", false), ("0x7f000001", false),
        ])
    func aMachineHasItsOwnNames(_ host: String, _ isAllowed: Bool) {
        #expect(AllowedHosts.loopback.allows(host) == isAllowed)
    }

    @Test(
        arguments: [
            ("chat.example", true), ("CHAT.example:8443", true), ("chat.example.", true), ("a.wild.example", true),
            ("a.b.wild.example:1", true), ("wild.example", false), ("xwild.example", false), ("10.1.2.3:9090", true),
            ("11.1.2.3", false), ("[2001:db8::1]", true), ("[2001:db8:0::1]:1", true), ("ported.example", true),
            ("ported.example:2", true), ("any.example:9", true), ("chat.example.evil", false), ("localhost", false),
        ])
    func entriesAreNamesAddressesAndRanges(_ host: String, _ isAllowed: Bool) {
        let hosts = AllowedHosts([
            "Chat.Example", "*.wild.example", "10.0.0.0/8", "[2001:db8::1]", "ported.example:1", "any.example:*",
        ]) { Issue.record("\($0)") }
        #expect(hosts.allows(host) == isAllowed)
    }

    @Test(arguments: ["", "http://a", "a/b", "a b", "*.", "*.*.a", "a*", "10.0.0.0/99", "a:99999", "ä.example"])
    func whatIsNoHostIsReported(_ entry: String) {
        var invalid: [String] = []
        _ = AllowedHosts([entry]) { invalid.append($0) }
        #expect(invalid == [entry])
    }
}

@Suite struct SiteRuleTests {
    private static let ok = "https://ok.example"
    private static let shared = "https://shared.example"
    private static let near = Peer.address(IPAddress("127.0.0.1")!)

    private func rule(
        _ hosts: [String] = [], _ listeners: [ListenerScope] = [.loopback], credentials: Bool = false
    ) -> SiteRule {
        SiteRule(
            hosts: hosts.isEmpty ? nil : AllowedHosts(hosts) { Issue.record("\($0)") }, listeners: listeners,
            allowedOrigins: [Self.ok], sharedOrigins: [Self.shared], sharesCredentials: credentials,
            ambient: AmbientCredentials(fields: ["X-Auth-User"]))
    }

    private func refusal(
        _ rule: SiteRule, _ method: String, _ fields: [(String, String)], from peer: Peer? = near
    ) -> SiteRule.Refusal? {
        let request = fields.map { (name: $0.0, value: $0.1) }
        return rule.refusal(of: SiteFields(request), method: method, from: peer, request: request)
    }

    @Test func theHostsSuitTheListener() {
        let evil = [("Host", "evil.example")]
        #expect(refusal(rule(), "GET", evil) == .host)
        #expect(refusal(rule([], [.network]), "GET", evil) == nil)
        #expect(refusal(rule([], [.loopback, .network]), "GET", evil) == nil)
        #expect(refusal(rule([], [.unixSocket]), "GET", evil, from: .unixSocket) == nil)
        #expect(refusal(rule([], [.loopback, .unixSocket]), "GET", evil, from: .unixSocket) == nil)
        #expect(refusal(rule([], [.loopback, .unixSocket]), "GET", evil) == .host)
        // Configured ones hold everywhere.
        for listener in [ListenerScope.loopback, .network, .unixSocket] {
            let rule = rule(["chat.example"], [listener])
            #expect(refusal(rule, "GET", evil, from: .unixSocket) == .host)
            #expect(refusal(rule, "GET", [("Host", "localhost")]) == .host)
            #expect(refusal(rule, "OPTIONS", evil) == .host)
            #expect(refusal(rule, "GET", [("Host", "chat.example:8")]) == nil)
        }
    }

    @Test func aRequestWithoutAHostIsNone() {
        #expect(refusal(rule(), "GET", []) == .noHost && refusal(rule(), "OPTIONS", [("Host", "")]) == .noHost)
        #expect(refusal(rule([], [.unixSocket]), "GET", [], from: .unixSocket) == .noHost)
        #expect(SiteRule.Refusal.noHost.status == 400 && SiteRule.Refusal.host.status == 403)
    }

    @Test(
        arguments: [
            (["http://localhost:8080"], nil, true), (["https://LOCALHOST:8080"], nil, true),
            (["http://localhost"], nil, false), (["http://localhost:8081"], nil, false), (["null"], nil, false),
            ([""], nil, false), (["http://evil.example:8080"], nil, false), ([ok], nil, true), ([ok], "Cookie", true),
            (["https://OK.example:443"], nil, true), (["http://ok.example"], nil, false), ([shared], nil, true),
            ([shared], "Cookie", false), ([shared], "Authorization", false), ([shared], "X-Auth-User", false),
            ([shared], "X-API-Key", true), (["http://localhost:8080", "http://evil.example"], nil, false),
        ] as [([String], String?, Bool)])
    func anOriginIsTheHostsOrAnAllowedOne(_ origins: [String], _ credential: String?, _ isAllowed: Bool) {
        let fields =
            [("Host", "localhost:8080")] + origins.map { ("Origin", $0) } + (credential.map { [($0, "Basic x")] } ?? [])
        for method in ["GET", "HEAD", "POST", "DELETE", "PURGE"] {
            #expect((refusal(rule(), method, fields) == nil) == isAllowed, "\(method)")
        }
        #expect(refusal(rule(), "OPTIONS", fields) == nil)
        if origins == [Self.shared] { #expect(refusal(rule(credentials: true), "POST", fields) == nil) }
    }

    @Test(
        arguments: [
            ("Cookie", "a=b", true), ("Authorization", "Basic eA==", true), ("Authorization", "nEGOTIATE x", true),
            ("Authorization", "bearer t", false), ("X-Auth-User", "ada", true), ("X-Auth-User", "", false),
            ("Client-Cert", ":x:", true), ("X-Forwarded-Client-Cert", "x", true),
            ("X-SSL-Client-Verify", "SUCCESS", true),
            ("X-SSL-Client-Verify", "NONE", false), ("X-API-Key", "k", false), ("Accept", "*/*", false),
        ])
    func withoutAnOriginTheBrowsersWordCountsBesideWhatComesUnasked(
        _ name: String, _ value: String, _ isAmbient: Bool
    ) {
        let host = ("Host", "localhost")
        for (site, isForeign) in [
            ("cross-site", true), ("Same-Site", true), ("same-origin", false), ("none", false), ("", false),
        ] {
            let fields = [host, (name, value), ("Sec-Fetch-Site", site)]
            for method in ["POST", "DELETE"] {
                #expect((refusal(rule(), method, fields) == .origin) == (isAmbient && isForeign), "\(method) \(site)")
            }
            for method in ["GET", "HEAD", "OPTIONS"] { #expect(refusal(rule(), method, fields) == nil) }
        }
        #expect(refusal(rule(), "POST", [host, (name, value)]) == nil)
    }

    @Test func aTrustedProxysHostIsOneToo() {
        let fields = [
            ("Host", "inner:8080"), ("X-Forwarded-Host", "x, chat.example"), ("Origin", "https://chat.example"),
        ]
        let hosts = ["inner", "chat.example"]
        #expect(refusal(rule(hosts), "POST", fields) == nil)
        #expect(refusal(rule(hosts), "POST", fields, from: .unixSocket) == nil)
        #expect(refusal(rule(hosts), "POST", fields, from: .address(IPAddress("192.0.2.1")!)) == .origin)
        #expect(refusal(rule(["inner"]), "POST", fields) == .origin)
        #expect(refusal(rule([], [.network]), "POST", fields) == nil)
    }

    @Test func aStarSharesWithAllButNotTheCredentials() {
        let rule = SiteRule(hosts: nil, listeners: [.loopback], sharedOrigins: ["*"])
        for origin in ["https://any.example", "null"] {
            let fields = [("Host", "localhost"), ("Origin", origin)]
            #expect(refusal(rule, "POST", fields) == nil)
            #expect(refusal(rule, "POST", fields + [("Cookie", "a=b")]) == .origin)
        }
    }
}
