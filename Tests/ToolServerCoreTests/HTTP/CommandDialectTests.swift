import JSON
import NIOHTTP1
import Testing

@testable import ToolServerCore

@Suite struct CommandDialectTests {
    @Test(
        arguments: [
            (#"{"command":"echo","arguments":{"message":"x"}}"#, ["message": "x"]),
            (#"{"name":"echo","arguments":{"message":"x"}}"#, ["message": "x"]),
            (#"{"name":"echo","arguments":"{\"message\":\"x\"}"}"#, ["message": "x"]),
            (#"{"name":"echo","arguments":""}"#, [:]), (#"{"name":"echo","arguments":null}"#, [:]),
            (#"{"command":"echo"}"#, [:]),
        ] as [(String, JSONObject)])
    func commandsAreRecognised(body: String, arguments: JSONObject) throws {
        let object = try #require(JSONValue(parsing: body).object)
        #expect(try CommandDialect.command(in: object) == .init(name: "echo", arguments: arguments))
    }

    @Test(arguments: [
        "{}", #"{"command":5}"#, #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, #"{"method":"x","name":"echo"}"#,
    ])
    func otherBodiesAreNoCommands(body: String) throws {
        let object = try #require(JSONValue(parsing: body).object)
        #expect(try CommandDialect.command(in: object) == nil)
    }

    @Test(arguments: [
        #"{"name":"echo","arguments":"{"}"#, #"{"name":"echo","arguments":[1]}"#, #"{"name":"e","arguments":5}"#,
    ])
    func argumentsThatAreNoObjectAreMalformed(body: String) throws {
        let object = try #require(JSONValue(parsing: body).object)
        #expect(throws: CommandDialect.Malformed.arguments) { try CommandDialect.command(in: object) }
    }
}

@Suite struct CrossOriginGuardTests {
    private let guardian = CrossOriginGuard(allowedOrigins: ["https://App.example"])

    @Test(
        arguments: [
            (["Host": "h:8001", "Origin": "http://h:8001"], false), (["Host": "h", "Origin": "http://h:80"], false),
            (["Host": "h:443", "Origin": "https://h"], false), (["Host": "H", "Origin": "http://h"], false),
            (["Host": "h:8001"], false), (["Host": "h", "Origin": "https://app.example"], false),
            (["Host": "inner:8001", "X-Forwarded-Host": "h", "Origin": "https://h"], false),
            (["Host": "h", "Sec-Fetch-Site": "same-origin"], false),
            (["Host": "h:8001", "Origin": "http://h:8002"], true),
            (["Host": "h", "Origin": "https://evil.example"], true),
            (["Host": "h", "Origin": "null"], true), (["Host": "h", "Origin": ""], true),
            (["Host": "h", "Origin": "http://h.evil.example"], true),
            (["Host": "h", "Sec-Fetch-Site": "cross-site"], true),
        ] as [(HTTPHeaders, Bool)])
    func foreignPagesAreTold(headers: HTTPHeaders, isForeign: Bool) {
        #expect(guardian.isForeign(headers) == isForeign)
    }

    @Test(arguments: [
        ("/mcp", Route.mcp), ("/mcp/", .mcp), ("/mcp/session/new", .newSession), ("/mcp/echo", .tool("echo")),
        ("/mcp/echo/", .tool("echo")), ("/mcp/a/b", .unknown), ("/mcp//", .unknown), ("/auth/login", .logIn),
        ("/auth/logout", .logOut), ("/", .unknown), ("/MCP", .unknown), ("/mcp2", .unknown), ("", .unknown),
    ])
    func pathsAreRouted(path: String, route: Route) {
        #expect(Route(path: path[...]) == route)
    }
}
