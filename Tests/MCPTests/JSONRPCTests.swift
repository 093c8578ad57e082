import JSON
import Testing

@testable import MCP

@Suite("JSON-RPC envelopes")
struct JSONRPCTests {
    @Test("requests, notifications and responses are told apart and survive a round trip")
    func kinds() throws {
        let texts = [
            #"{"jsonrpc":"2.0","id":31,"method":"tools/list"}"#,
            #"{"jsonrpc":"2.0","id":"31","method":"tools/call","params":{"name":"echo"}}"#,
            #"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            #"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            #"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"m","data":[1]}}"#,
            #"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"}}"#,
        ]
        for text in texts {
            let message = try JSONRPCMessage(JSONValue(parsing: text))
            #expect(message.json.text == text)
            #expect(message.serialized == Array(text.utf8))
        }
        guard case .request(let request) = try JSONRPCMessage(JSONValue(parsing: texts[1])) else {
            Issue.record("no request")
            return
        }
        #expect(request.id == "31")
        #expect(request.id != 31)
    }

    @Test("null params count as absent")
    func nullParams() throws {
        let message = try JSONRPCMessage(["jsonrpc": "2.0", "method": "m", "params": nil])
        #expect(message == .notification(JSONRPCNotification(method: "m")))
    }

    @Test(
        "what is no envelope is refused with the prescribed code",
        arguments: [
            ("[]", -32600), ("1", -32600), ("{}", -32600), (#"{"method":"m"}"#, -32600),
            (#"{"jsonrpc":"1.0","method":"m"}"#, -32600), (#"{"jsonrpc":2.0,"method":"m"}"#, -32600),
            (#"{"jsonrpc":"2.0","method":1}"#, -32600), (#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, -32600),
            (#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, -32600),
            (#"{"jsonrpc":"2.0","id":true,"method":"m"}"#, -32600),
            (#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, -32600),
            (#"{"jsonrpc":"2.0","id":99999999999999999999,"method":"m"}"#, -32600),
            (#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#, -32602),
            (#"{"jsonrpc":"2.0","id":1,"method":"m","params":"x"}"#, -32602),
            (#"{"jsonrpc":"2.0","id":1}"#, -32600), (#"{"jsonrpc":"2.0","result":{}}"#, -32600),
            (#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1}}"#, -32600),
            (#"{"jsonrpc":"2.0","id":1,"error":{"message":"no code"}}"#, -32600),
            (#"{"jsonrpc":"2.0","id":1,"error":"text"}"#, -32600),
        ])
    func refused(text: String, code: Int) throws {
        let value = try JSONValue(parsing: text)
        let error = #expect(throws: JSONRPCError.self) { try JSONRPCMessage(value) }
        #expect(error?.code == code)
    }

    @Test("the id for an error is read even from broken envelopes")
    func idOfBroken() throws {
        #expect(JSONRPCMessage.requestID(of: ["id": 7, "method": 1]) == 7)
        #expect(JSONRPCMessage.requestID(of: ["id": "x"]) == "x")
        #expect(JSONRPCMessage.requestID(of: ["id": nil]) == nil)
        #expect(JSONRPCMessage.requestID(of: [1]) == nil)
    }

    @Test(
        "ids are strings or integers",
        arguments: [("1", RequestID.integer(1)), ("1.0", 1), ("\"1\"", "1"), ("\"\"", "")])
    func ids(text: String, expected: RequestID) throws {
        #expect(try RequestID(JSONValue(parsing: text)) == expected)
    }

    @Test("errors have the codes of the specification")
    func codes() {
        #expect(JSONRPCError.parseError.code == -32700)
        #expect(JSONRPCError.invalidRequest.code == -32600)
        #expect(JSONRPCError.methodNotFound("m").code == -32601)
        #expect(JSONRPCError.invalidParams("m").code == -32602)
        #expect(JSONRPCError.internalError.code == -32603)
        #expect(JSONRPCError.headerMismatch("m").code == -32020)
        #expect(JSONRPCError.missingClientCapability([:]).code == -32021)
        #expect(JSONRPCError.unsupportedVersion(requested: "x", supported: []).code == -32022)
        #expect(JSONRPCError.resourceNotFound("u", for: .v2025_11_25).code == -32002)
        #expect(JSONRPCError.resourceNotFound("u", for: .v2026_07_28).code == -32602)
        #expect(JSONRPCError.resourceNotFound("u", for: .v2026_07_28).data == ["uri": "u"])
        #expect(JSONRPCError.requestCancelled.code == -32800)
        #expect(JSONRPCError(code: -32021, message: "").knownCode == .missingClientCapability)
        #expect(JSONRPCError(code: 1, message: "").knownCode == nil)
    }
}

@Suite("Revisions and methods")
struct VersionTests {
    @Test("eras and order")
    func eras() {
        #expect(MCPVersion.allCases == MCPVersion.allCases.sorted())
        #expect(MCPVersion.legacy == [.v2024_11_05, .v2025_03_26, .v2025_06_18, .v2025_11_25])
        #expect(MCPVersion.modern == [.v2026_07_28])
        #expect(MCPVersion.latestLegacy.era == .legacy)
        #expect(MCPVersion.allCases.filter(\.hasBatches) == [.v2025_03_26])
    }

    @Test(
        "negotiation answers with a legacy revision",
        arguments: [
            ("2024-11-05", MCPVersion.v2024_11_05), ("2025-06-18", .v2025_06_18), ("2026-07-28", .v2025_11_25),
            ("2099-01-01", .v2025_11_25), ("", .v2025_11_25),
        ])
    func negotiation(requested: String, expected: MCPVersion) {
        #expect(MCPVersion.negotiated(requested: requested) == expected)
    }

    @Test("methods belong to eras")
    func methods() {
        for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"] {
            #expect(MCPMethod.isRequest(method, in: .v2025_11_25))
            #expect(!MCPMethod.isRequest(method, in: .v2026_07_28))
        }
        for method in ["server/discover", "subscriptions/listen"] {
            #expect(!MCPMethod.isRequest(method, in: .v2025_11_25))
            #expect(MCPMethod.isRequest(method, in: .v2026_07_28))
        }
        #expect(MCPMethod.isRequest("tools/call", in: .v2024_11_05))
        #expect(!MCPMethod.isRequest("sampling/createMessage", in: .v2025_11_25))
        #expect(MCPMethod.nameParameter(of: "resources/read") == "uri")
        #expect(MCPMethod.nameParameter(of: "prompts/get") == "name")
        #expect(MCPMethod.nameParameter(of: "tools/list") == nil)
    }
}
