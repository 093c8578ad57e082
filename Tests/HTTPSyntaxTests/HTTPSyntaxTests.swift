import Testing

@testable import HTTPSyntax

@Suite struct HTTPSyntaxTests {
    private static let alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

    @Test func theClassesHoldWhatTheirGrammarsList() {
        for byte in UInt8.min ... .max {
            #expect(HTTPSyntax.isTokenByte(byte) == (Self.alphanumeric + "!#$%&'*+-.^_`|~").utf8.contains(byte))
            #expect(HTTPSyntax.host.contains(byte) == (Self.alphanumeric + "!$%&'()*+-.:;=[]_~").utf8.contains(byte))
            #expect(HTTPSyntax.token68.contains(byte) == (Self.alphanumeric + "-._~+/=").utf8.contains(byte))
        }
        #expect(HTTPSyntax.isToken("X-Auth_User") && !HTTPSyntax.isToken("") && !HTTPSyntax.isToken("a b"))
        #expect(!HTTPSyntax.isToken("é") && !HTTPSyntax.isToken("a\0"))
    }

    @Test func onlyTheCaseOfASCIILettersIsIgnored() {
        #expect(HTTPSyntax.equals("Mcp-NAME", "mCP-name"))
        #expect(!HTTPSyntax.equals("a[", "a{") && !HTTPSyntax.equals("a", "ab"))
        // The long s and the Kelvin sign are other letters, and composition makes another name.
        #expect(!HTTPSyntax.equals("co\u{17F}t", "cost") && !HTTPSyntax.name("\u{212A}ey", is: "key"))
        #expect(!HTTPSyntax.equals("\u{E9}", "e\u{301}"))
        #expect(HTTPSyntax.hasPrefix("MCP-x", "mcp-") && !HTTPSyntax.hasPrefix("mcp", "mcp-"))
    }

    @Test(
        arguments: [
            ("a, b ,c", ["a", "b", "c"]), (" , a,,\tb\t", ["a", "b"]), ("", []), (",", []),
            ("\"a,b\", c", ["\"a,b\"", "c"]), ("\"a\\\",b\", c", ["\"a\\\",b\"", "c"]), ("\"a, b", ["\"a, b"]),
        ] as [(String, [String])])
    func aListIsItsElements(_ text: String, _ expected: [String]) {
        #expect(text.listElements.map { String($0) } == expected)
    }

    @Test func whiteSpaceIsSpacesAndTabs() {
        #expect(" \ta b\t ".trimmingWhiteSpace == "a b" && " \t".trimmingWhiteSpace == "")
        #expect("\u{A0}a\n".trimmingWhiteSpace == "\u{A0}a\n")
    }

    @Test(
        arguments: [
            ("text/event-stream", true, true), ("TEXT/Event-Stream; q=0.5", true, true), ("*/*", false, true),
            ("text/*", false, true), ("text/event-stream;q=0", false, false),
            ("text/event-stream; Q = 0.000", false, false),
            ("application/json", false, false), ("*/*, text/event-stream;q=0", false, false),
            ("text/*;q=0, */*", false, false), ("text/event-stream;q=x", true, true),
            ("text/event-stream;quality=0", true, true), ("text/event-streams", false, false),
        ] as [(String, Bool, Bool)])
    func anAcceptFieldNamesOrAccepts(_ value: String, _ names: Bool, _ accepts: Bool) {
        #expect(AcceptField.names("text/event-stream", in: value) == names)
        #expect(AcceptField.accepts("text/event-stream", in: [value]) == accepts)
    }

    @Test func severalAcceptFieldsAreOneList() {
        #expect(AcceptField.accepts("text/event-stream", in: ["application/json", "text/event-stream"]))
        #expect(!AcceptField.accepts("text/event-stream", in: []))
    }

    @Test func aCodingIsAcceptedByNameOrByTheStar() {
        #expect(AcceptField.acceptsCoding(["gzip"], in: ["br, GZIP"]))
        #expect(AcceptField.acceptsCoding(["gzip"], in: ["*"]) && !AcceptField.acceptsCoding(["gzip"], in: []))
        #expect(!AcceptField.acceptsCoding(["gzip"], in: ["gzip;q=0", "*"]))
    }
}

@Suite struct AddressTests {
    @Test(
        arguments: [
            ("10.1.0.0/18", "10.1.63.255", true), ("10.1.0.0/18", "10.1.64.0", false), ("::1", "::1", true),
            ("2001:db8::/32", "2001:db8::5", true), ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("0.0.0.0/0", "::1", false), ("0.0.0.0/0", "255.255.255.255", true), ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/9", "10.128.0.1", false), ("192.0.2.7", "192.0.2.8", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true), ("2001:db8::/33", "2001:db8:8000::1", false),
        ])
    func aRangeHoldsWhatSharesItsBits(_ range: String, _ address: String, _ holds: Bool) throws {
        let range = try #require(IPAddressRange(range))
        #expect(range.contains(try #require(IPAddress(address))) == holds)
        if let number = Self.number(address) { #expect(range.contains(ipv4: number) == holds) }
    }

    private static func number(_ text: String) -> UInt32? {
        var text = text
        return text.withUTF8 { IPAddress.number(ofIPv4: UnsafeRawBufferPointer($0)) }
    }

    @Test(
        arguments: [
            ("0.0.0.0", 0), ("127.0.0.1", 0x7F00_0001), ("255.255.255.255", 0xFFFF_FFFF), ("1.2.3", nil),
            ("1.2.3.4.", nil), ("1.2.3.4.5", nil), ("1..2.3", nil), (".1.2.3", nil), ("1.2.3.", nil), ("01.2.3.4", nil),
            ("1.2.3.256", nil), ("1.2.3.4294967297", nil), ("1.2.3.-1", nil), ("a.b.c.d", nil), ("::1", nil), ("", nil),
        ] as [(String, UInt32?)])
    func aNumberStandsForTheCanonicalTextAlone(_ text: String, _ expected: UInt32?) {
        #expect(Self.number(text) == expected)
    }

    @Test(
        arguments: [
            "", "x", "10.0.0.0/33", "::1/-1", "::1/+1", "10.0.0.0/", "10.0.0.0/8/8", "127.1", "1.2.3.4\0",
            "10.0.0.0/99999999999999999999", "::1%eth0", "0x7f.0.0.1", "host", "::1/129", "unix:/s",
        ])
    func whatIsNoRangeIsRefused(_ text: String) {
        #expect(IPAddressRange(text) == nil)
        #expect(PeerRange(text) == nil)
    }

    @Test func aPeerOnASocketIsItsOwnRange() throws {
        #expect(try #require(PeerRange("unix")).contains(.unixSocket))
        #expect(try #require(PeerRange("0.0.0.0/0")).contains(.unixSocket) == false)
        #expect(TrustedProxies([]).contains(.unixSocket) && !TrustedProxies().contains(nil))
    }

    @Test(
        arguments: [
            ("Chat.Example", "chat.example", nil), ("chat.example.:8080", "chat.example", 8080),
            ("[::1]:443", "::1", 443), ("[0:0::1]", "::1", nil), ("127.0.0.1:", "127.0.0.1", nil),
        ] as [(String, String, Int?)])
    func anAuthorityIsAHostAndAPort(_ text: String, _ host: String, _ port: Int?) throws {
        let authority = try #require(Authority(text))
        #expect(authority.host == host && authority.port == port)
    }

    @Test(
        arguments: [
            "", ":80", "a b", "a/b", "user@a", "a,b", "::1", "[::1", "[a]", "a:99999", "a:-1", "a:1:2", "a%00", ".",
            "a\\b", "*.a", "ä.example",
        ])
    func whatIsNoAuthorityIsRefused(_ text: String) {
        #expect(Authority(text) == nil)
    }

    @Test(
        arguments: [
            ("https://chat.example", "chat.example", true), ("https://chat.example", "chat.example:443", true),
            ("http://chat.example:80", "chat.example", true), ("https://chat.example", "chat.example:80", false),
            ("http://chat.example:8080", "chat.example", false), ("http://Chat.Example", "CHAT.example.", true),
            ("http://evil.example", "chat.example", false), ("http://chat.example.evil", "chat.example", false),
        ])
    func anOriginIsSameAsItsHost(_ origin: String, _ host: String, _ isSame: Bool) throws {
        #expect(try #require(WebOrigin(origin)).isSame(as: try #require(Authority(host))) == isSame)
    }

    @Test(arguments: ["null", "", "chat.example", "://a", "http://", "http://a/", "http://a,http://b", "ht tp://a"])
    func whatIsNoOriginIsRefused(_ text: String) {
        #expect(WebOrigin(text) == nil)
    }
}

@Suite struct CredentialFieldTests {
    @Test(
        arguments: [
            (["sessionid=T"], "T"), (["sessionid=junk; sessionid=T"], "T"),
            (["sessionid=junk", "a=b; sessionid=T"], "T"),
            (["sessionid=\"T\""], "T"), ([" sessionid \t= T ;"], "T"), (["Sessionid=T"], nil), (["sessionid"], nil),
            (["sessionid="], ""), (["sessionid=a=b"], "a=b"), (["sessionid=\"a b\""], "\"a b\""),
            (["sessionid=\""], "\""), (["xsessionid=T"], nil), ([], nil),
        ] as [([String], String?)])
    func aCookieIsOneValueHoweverItIsSpelled(_ fields: [String], _ expected: String?) {
        #expect(CookieField.value(of: "sessionid", in: fields) == expected)
    }

    @Test(
        arguments: [
            ("Bearer T", "Bearer T"), ("bEARER   T", "Bearer T"), ("bearer\tT ", "Bearer T"),
            ("BASIC  eA==", "Basic eA=="),
            ("Token x", "Token x"), ("Negotiate", "Negotiate"), ("Bearer", "Bearer"),
        ])
    func anAuthorizationHasOneSpelling(_ value: String, _ expected: String) {
        #expect(AuthorizationField.normalized(value) == expected)
    }

    @Test func compositionMakesAnotherCredential() {
        #expect(AuthorizationField("Bearer \u{E9}") != AuthorizationField("Bearer e\u{301}"))
        #expect(AuthorizationField("") == nil && AuthorizationField("Basic x")?.isBearer == false)
    }
}
