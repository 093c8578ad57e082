import JSON
import Testing

@testable import MCPServerHTTP

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
