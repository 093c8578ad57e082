import JSON
import MCP
import NIOCore
import Testing

@testable import MCPClient

/// The bytes of requests.
@Suite struct RequestEnvelopeTests {
    static let envelope = RequestEnvelope(
        fragments: EnvelopeFragments(
            clientInfo: Implementation(name: "gateway", version: "1.0"), capabilities: ClientCapabilities()))

    static func toolCall(
        _ version: MCPVersion, progress: Bool = false, traceparent: String? = nil, tool: String = "echo"
    ) -> String {
        String(
            buffer: envelope.toolCall(
                number: 42, tool: tool, arguments: ByteBuffer(string: #"{"q" : "\u00e9"}"#),
                meta: RequestEnvelope.Meta(version: version, progress: progress, traceparent: traceparent)))
    }

    @Test func aLegacyCallIsAnEnvelopeAroundTheCallersOwnBytes() {
        #expect(
            Self.toolCall(.v2025_11_25)
                == #"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"echo","arguments":{"q" : "\u00e9"}}}"#
        )
    }

    @Test func progressAndTraceTravelInMeta() {
        #expect(
            Self.toolCall(.v2025_11_25, progress: true, traceparent: "00-a-b-01").hasSuffix(
                #","_meta":{"progressToken":42,"traceparent":"00-a-b-01"}}}"#))
    }

    @Test func aContinuedCallCarriesItsAnswersAndItsKey() throws {
        let input = CallInput(responses: ["q": ["action": "decline"]], state: #""a\u0062\/c""#)
        var meta = RequestEnvelope.Meta(version: .v2025_11_25, progress: false)
        meta.idempotencyKey = "k"
        func call(_ meta: RequestEnvelope.Meta) -> String {
            String(
                buffer: Self.envelope.toolCall(
                    number: 1, tool: "t", arguments: ByteBuffer(string: "{}"), input: input, meta: meta))
        }
        #expect(
            call(meta).hasSuffix(
                #""arguments":{},"inputResponses":{"q":{"action":"decline"}},"requestState":"a\u0062\/c","#
                    + #""_meta":{"dev.chatgateway/idempotencyKey":"k"}}}"#))
        meta.version = .v2026_07_28
        meta.progress = true
        let modern = try JSONValue(parsing: call(meta))["params"]?["_meta"]
        #expect(modern?[MCPMeta.idempotencyKey] == "k" && modern?["progressToken"] == 1)
        #expect(input.members == ["inputResponses": ["q": ["action": "decline"]], "requestState": "ab/c"])
    }

    @Test func aModernCallCarriesItsMetadata() throws {
        let call = try JSONValue(parsing: Self.toolCall(.v2026_07_28, progress: true, traceparent: "t"))
        let meta = call["params"]?["_meta"]
        #expect(meta?[MCPMeta.protocolVersion] == "2026-07-28")
        #expect(meta?[MCPMeta.clientCapabilities] == [:])
        #expect(meta?[MCPMeta.clientInfo]?["name"] == "gateway")
        #expect(meta?["progressToken"] == 42)
        #expect(meta?["traceparent"] == "t")
    }

    @Test func aToolNameIsQuotedWhateverItHolds() throws {
        let name = "a\"b\\c\n\u{1}é"
        #expect(try JSONValue(parsing: Self.toolCall(.v2025_11_25, tool: name))["params"]?["name"]?.string == name)
    }

    @Test(arguments: [MCPVersion.v2025_11_25, .v2026_07_28])
    func anyRequestKeepsTheCallersMetaButNotTheReservedMembers(_ version: MCPVersion) throws {
        let params: JSONObject = [
            "uri": "x://y", "_meta": ["dev.chatgateway/a": 1, "progressToken": "mine", "traceparent": "forged"],
        ]
        let text = String(
            buffer: Self.envelope.request(
                number: 7, method: "resources/read", params: params,
                meta: RequestEnvelope.Meta(version: version, progress: false)))
        let request = try JSONValue(parsing: text)
        #expect(request["params"]?["uri"] == "x://y")
        #expect(request["params"]?["_meta"]?["dev.chatgateway/a"] == 1)
        #expect(request["params"]?["_meta"]?["progressToken"] == nil)
        #expect(request["params"]?["_meta"]?["traceparent"] == nil)
        #expect((request["params"]?["_meta"]?[MCPMeta.protocolVersion] != nil) == (version.era == .modern))
    }

    @Test func aRequestWithoutParamsHasNone() {
        let text = String(
            buffer: Self.envelope.request(
                number: 7, method: "ping", params: nil,
                meta: RequestEnvelope.Meta(version: .v2025_11_25, progress: false)))
        #expect(text == #"{"jsonrpc":"2.0","id":7,"method":"ping"}"#)
    }

    @Test func initializeSaysWhoAsks() throws {
        let request = try JSONValue(
            parsing: String(buffer: Self.envelope.initialize(number: 1, version: .v2025_11_25)))
        #expect(request["params"]?["protocolVersion"] == "2025-11-25")
        #expect(request["params"]?["clientInfo"]?["version"] == "1.0")
        #expect(request["params"]?["capabilities"] == [:])
    }

    @Test(arguments: [0, 7, 10, 99, 12_345, Int64.max])
    func numbersAreWrittenInDecimal(_ number: Int64) {
        var buffer = ByteBuffer()
        buffer.writeNumber(number)
        #expect(String(buffer: buffer) == String(number))
    }

    @Test func idsAreUniqueAcrossThreads() async {
        let ids = await withTaskGroup(of: [Int64].self) { group in
            for _ in 0..<8 { group.addTask { (0..<1000).map { _ in RequestNumber.next() } } }
            return await group.reduce(into: Set<Int64>()) { $0.formUnion($1) }
        }
        #expect(ids.count == 8000)
        #expect(ids.allSatisfy { $0 > 0 })
    }
}
