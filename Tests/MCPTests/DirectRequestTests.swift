import JSON
import TestSupport
import Testing

@testable import MCP

/// What is read without trees is read as every other message is, or not at all.
@Suite struct DirectRequestTests {
    private static let meta =
        #"{"\#(MCPMeta.protocolVersion)":"2026-07-28","\#(MCPMeta.clientCapabilities)":{"roots":{}},"x":"é"}"#

    private func direct(_ body: [UInt8], _ metas: RequestMetaCache = RequestMetaCache()) -> DirectRequest? {
        body.withUnsafeBytes { DirectRequest($0, metas) }
    }

    private func ordinary(_ body: [UInt8]) -> JSONRPCRequest? {
        guard case .message(let element)? = try? JSONRPCBody(parsing: body, keepingArguments: RequestMetaCache()),
            case .request(let request)? = try? JSONRPCMessage(element)
        else { return nil }
        return request
    }

    /// Returns whether the body is read without trees; compares what is read.
    @discardableResult
    private func isDirect(_ body: [UInt8], _ comment: Comment? = nil) -> Bool {
        guard let direct = direct(body) else { return false }
        guard let request = ordinary(body) else {
            Issue.record("read, although it is no request: \(String(decoding: body, as: UTF8.self))")
            return true
        }
        #expect(direct.id == request.id, comment)
        #expect(direct.method == request.method, comment)
        #expect(direct.name == request.params?["name"]?.string ?? "", comment)
        #expect(direct.arguments == request.arguments, comment)
        #expect(direct.meta == request.meta, comment)
        #expect(direct.metadata == request.metadata, comment)
        return true
    }

    @Test(arguments: [
        #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        #"{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{}}"#,
        #" { "params" : { "_meta" : \#(meta) } , "method" : "tools/list" , "id" : -5 , "jsonrpc" : "2.0" } "#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"n\u0061me":"\u00e9\n","arguments":{"a":[1e2,null]}}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":\#(meta),"arguments":{},"name":"a"}}"#,
    ])
    func usualRequestsAreRead(_ text: String) { #expect(isDirect(Array(text.utf8))) }

    @Test(arguments: [
        "", "[]", "null", #"[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/list"} x"#,
        #"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#,
        #"{"id":1,"method":"tools/list"}"#,
        #"{"jsonrpc":"2.0","method":"tools/list"}"#,
        #"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#,
        #"{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}"#,
        #"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/list","more":1}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"a"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"a"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"arguments":{}}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"prompts/list"}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":1}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":[]}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":[]}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{"progressToken":1}}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","requestState":"x"}}"#,
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","inputResponses":{}}}"#,
    ])
    func everythingElseIsLeft(_ text: String) { #expect(!isDirect(Array(text.utf8))) }

    @Test func aLargeObjectOfMetadataIsLeft() {
        let members = (0..<1000).map { #""m\#($0)":0"# }.joined(separator: ",")
        let text = #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{\#(members)}}}"#
        #expect(!isDirect(Array(text.utf8)))
    }

    /// Of bodies that are changed at random, what is read is read as ever.
    @Test(arguments: [UInt64(1), 2, 3])
    func whatIsReadIsReadAsEver(_ seed: UInt64) {
        var random = SplitMix(seed: seed)
        let whole = Array(
            #"{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"a","arguments":{"b":"\n"},"_meta":\#(Self.meta)}}"#
                .utf8)
        let pieces = [#""id""#, #""name""#, "null", "{}", "[", "]", "}", "\"", "\\", ",", " ", "1", "\u{301}"].map {
            Array($0.utf8)
        }
        var read = 0
        for _ in 0..<3000 {
            var body = whole
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                let place = Int.random(in: 0..<body.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: body.remove(at: place)
                case 1: body[place] = UInt8.random(in: 0x20...0x7E, using: &random)
                default: body.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: place)
                }
            }
            if isDirect(body, "seed \(seed): \(String(decoding: body, as: UTF8.self))") { read += 1 }
        }
        #expect(read > 100)
    }
}
