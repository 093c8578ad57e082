import Testing

@testable import MCPClient

@Suite struct RedirectTests {
    @Test(
        arguments: [
            ("http://h:8001/mcp/", "http://h:8001/mcp", "http://h:8001/mcp"),
            ("http://h:8001/mcp/", "/mcp", "http://h:8001/mcp"),
            ("http://H/mcp/", "http://h:80/mcp", "http://h:80/mcp"),
            ("https://h/mcp/", "https://h:443/x?y=1", "https://h:443/x?y=1"),
            ("http://h/a/b", "c", "http://h/a/c"), ("http://h", "c", "http://h/c"),
            ("http://h/a/", "//h/x", "http://h/x"), ("http://[::1]:80/a", "http://[::1]/b", "http://[::1]/b"),
            ("http://h?x=1", "/b", "http://h/b"),
        ])
    func aLocationWithinTheOriginIsATarget(_ url: String, _ location: String, _ target: String) {
        #expect(Redirect.target(location, from: url) == target)
    }

    @Test(
        arguments: [
            "http://other/mcp", "https://h/mcp", "http://h:81/mcp", "//other/mcp", "ftp://h/mcp", "javascript:alert(1)",
            "http://h@other/mcp", "http://user@h/mcp", "http://h\\@other/", "", "/a\r\nX: y", "/a b", "http:///mcp",
        ])
    func anythingElseIsNot(_ location: String) {
        #expect(Redirect.target(location, from: "http://h/mcp/") == nil)
    }
}
