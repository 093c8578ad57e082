import Testing

@testable import GatewayCore

@Suite struct PassThroughPathTests {
    @Test(arguments: [
        "/mcp/..", "/mcp/../auth/x", "/mcp/./x", "/mcp/.", "/mcp/a/../../x", "/mcp//x", "/mcp/x//", "/mcp/%2e%2e/x",
        "/mcp/%2E%2e", "/mcp/a%2fb", "/mcp/a%2Fb", "/mcp/a%5cb", "/mcp/a\\b", "/mcp/%252e%252e/", "/mcp/%00",
        "/mcp/%0d%0a",
        "/mcp/..;/x", "/mcp/.;a/x", "/mcp/%zz", "/mcp/%2", "/mcp/a#b", "/mcp/a b", "/mcp/\u{E9}", "/mcp/%7f",
        "/mcp/%25%32%65", "/auth/../mcp/",
    ])
    func aTrickIsRefused(_ path: String) {
        #expect(!PassThroughPath.isSafe(path[...]))
    }

    @Test(arguments: [
        "/mcp", "/mcp/", "/mcp/echo", "/mcp/session/new", "/auth/login", "/mcp/a.b", "/mcp/...", "/mcp/..a", "/mcp/a..",
        "/mcp/%C3%A9", "/mcp/100%25", "/mcp/a%20b", "/mcp/~x_-!$&'()*+,;=:@",
    ])
    func anOrdinaryPathPasses(_ path: String) {
        #expect(PassThroughPath.isSafe(path[...]))
    }

    @Test(
        arguments: [
            ("/mcp", "mcp"), ("/mcp/", "mcp"), ("/mcp/x", "mcp"), ("/auth/login", "auth"), ("/mcpx", nil),
            ("/MCP/", nil), ("/.well-known/oauth-protected-resource", "metadata"),
            ("/.well-known/oauth-protected-resource/mcp", "metadata"),
            ("/.well-known/oauth-authorization-server", "metadata"), ("/.well-known/openid-configuration", "metadata"),
            ("/.well-known/openid-configurations", nil), ("/.well-known/security.txt", nil), ("/oauth", nil),
            ("/oauth/token", "oauth"), ("/OAuth/token", nil),
            ("/auth", nil), ("/%6dcp/", nil), ("//mcp/", nil), ("/api/mcp/", nil), ("/", nil),
        ] as [(String, String?)])
    func thePrefixDecides(_ path: String, _ expected: String?) {
        #expect(PassThroughPath.prefix(of: path[...])?.rawValue == expected)
    }

    @Test(arguments: [
        ("/mcp", "/mcp/", "/mcp/"), ("/mcp/", "/mcp", "/mcp"), ("/mcp/x", "/mcp", "/mcp/x"),
        ("/mcp/x", "/tools/v1/mcp/", "/tools/v1/mcp/x"), ("/mcp", "/rpc", "/rpc"), ("/mcp/", "/rpc", "/rpc"),
        ("/mcp/", "/", "/"), ("/mcp", "/", "/"), ("/mcp/x", "/", "/x"),
    ])
    func mcpStandsForTheEndpoint(_ path: String, _ endpoint: String, _ expected: String) {
        #expect(PassThroughPath.upstreamPath(path[...], .mcp, endpoint: endpoint) == expected)
        #expect(PassThroughPath.upstreamPath("/auth/login", .auth, endpoint: endpoint) == "/auth/login")
    }

    @Test(
        arguments: [
            ("/mcp", "/mcp/", "/mcp"), ("/mcp/", "/mcp", "/mcp/"), ("/rpc/x?y=1", "/rpc", "/mcp/x?y=1"),
            ("/rpc?y=1", "/rpc/", "/mcp?y=1"), ("/rpcx", "/rpc", nil), ("/login", "/rpc", nil), ("/x", "/", "/mcp/x"),
        ] as [(String, String, String?)])
    func aRedirectInsideTheEndpointStaysInsideTheGateways(_ path: String, _ endpoint: String, _ expected: String?) {
        #expect(PassThroughPath.gatewayPath(path[...], endpoint: endpoint) == expected)
    }
}
