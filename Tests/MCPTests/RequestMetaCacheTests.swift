import JSON
import Testing

@testable import MCP

@Suite struct RequestMetaCacheTests {
    private static func request(_ meta: String, arguments: String = "{}") -> [UInt8] {
        Array(
            #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":\#(arguments),"_meta":\#(meta)}}"#
                .utf8)
    }

    private static func metadata(_ name: String) -> String {
        #"{"\#(MCPMeta.protocolVersion)":"2026-07-28","\#(MCPMeta.clientCapabilities)":{},"name":"\#(name)"}"#
    }

    private func read(_ body: [UInt8], _ cache: RequestMetaCache?) throws -> JSONRPCRequest {
        guard case .message(let element) = try JSONRPCBody(parsing: body, keepingArguments: cache),
            case .request(let request) = try JSONRPCMessage(element)
        else { throw MCPDecodingError("no request") }
        return request
    }

    @Test func whatIsReadAgainIsTheSame() throws {
        let cache = RequestMetaCache()
        // More texts than are kept, some of them too long to be kept.
        for turn in 0..<2 {
            for number in 0..<100 {
                let name = String(repeating: "x", count: number * 20) + "\(number)"
                let request = try read(Self.request(Self.metadata(name)), cache)
                #expect(request.meta["name"]?.string == name, "turn \(turn)")
                #expect(request.metadata?.protocolVersion == "2026-07-28")
                let plain = try read(Self.request(Self.metadata(name)), nil)
                #expect(plain.meta == request.meta)
                #expect(plain.metadata == nil)
            }
        }
    }

    @Test(arguments: ["{}", "[]", "null", #"{"\#(MCPMeta.protocolVersion)":1}"#])
    func whatIsNoMetadataOfTheRevisionHasNone(_ meta: String) throws {
        let cache = RequestMetaCache()
        for _ in 0..<2 {
            let request = try read(Self.request(meta), cache)
            #expect(request.metadata == nil)
            #expect(request.params?["_meta"]?.text == meta)
        }
    }

    @Test func argumentsAreKeptAsText() throws {
        let text = #"{ "a":1.0,"a":"\u0041" }"#
        let kept = try read(Self.request("{}", arguments: text), RequestMetaCache())
        #expect(kept.arguments.map { String(decoding: $0.bytes, as: UTF8.self) } == text)
        #expect(kept.params?["arguments"] == nil)
        #expect(kept.wholeParams?["arguments"] == ["a": "A"])
        #expect(kept.json["params"]?["arguments"] == ["a": "A"])
        let plain = try read(Self.request("{}", arguments: text), nil)
        #expect(plain.arguments == nil)
        #expect(plain.params?["arguments"] == ["a": "A"])
    }

    @Test func theLastOfTwoMembersCounts() throws {
        let body =
            #"{"jsonrpc":"2.0","id":1,"method":"m","params":{"arguments":{"n":1},"_meta":\#(Self.metadata("a"))},"params":{"_meta":{}}}"#
        let request = try read(Array(body.utf8), RequestMetaCache())
        #expect(request.arguments == nil)
        #expect(request.metadata == nil)
        #expect(request.params == ["_meta": [:]])
    }

    /// What is read into values on an event loop is bounded; the arguments of calls are not read there.
    @Test func valuesBesideTheArgumentsAreBounded() throws {
        func isExcessive(_ body: String, _ metas: RequestMetaCache? = RequestMetaCache()) throws -> Bool {
            let read = try JSONRPCBody(parsing: Array(body.utf8), keepingArguments: metas)
            return if case .excessive = read { true } else { false }
        }
        let many = (0..<6000).map { #""k\#($0)":0"# }.joined(separator: ",")
        let list = "[" + String(repeating: "0,", count: JSONRPCBody.maximumValues) + "0]"
        let call = #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","#
        #expect(try isExcessive(call + #""_meta":{\#(many)}}}"#))
        #expect(try isExcessive(call + #""x":\#(list)}}"#))
        #expect(try isExcessive(#"{"jsonrpc":"2.0","id":1,"result":\#(list)}"#))
        #expect(try isExcessive(#"[{"jsonrpc":"2.0","id":1,"result":\#(list)}]"#))
        #expect(try isExcessive(list))
        // Arguments stay text; texts are one value, whatever is in them.
        #expect(try !isExcessive(call + #""arguments":\#(list)}}"#))
        #expect(try !isExcessive("[" + call + #""arguments":\#(list)}}]"#))
        #expect(try !isExcessive(#"{"command":"a","arguments":\#(list)}"#))
        let text = String(repeating: #",:[{\""#, count: JSONRPCBody.maximumValues)
        #expect(try !isExcessive(call + #""_meta":{"a":"\#(text)"}}}"#))
        // Where everything is read anyway, beside the event loops, nothing else is counted than the memory.
        #expect(try !isExcessive(call + #""_meta":{\#(many)}}}"#, nil))
    }
}
