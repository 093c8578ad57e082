import Testing

@testable import ToolServerCore

@Suite struct RouteTests {
    @Test(arguments: [
        ("/mcp", Route.mcp), ("/mcp/", .mcp), ("/mcp/session/new", .newSession), ("/mcp/echo", .tool("echo")),
        ("/mcp/echo/", .tool("echo")), ("/mcp/a/b", .unknown), ("/mcp//", .unknown), ("/auth/login", .logIn),
        ("/auth/logout", .logOut), ("/", .unknown), ("/MCP", .unknown), ("/mcp2", .unknown), ("", .unknown),
    ])
    func pathsAreRouted(path: String, route: Route) {
        #expect(Route(path: path[...]) == route)
    }
}
