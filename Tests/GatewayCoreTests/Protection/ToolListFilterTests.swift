import NIOCore
import Testing

@testable import GatewayCore

@Suite struct ToolListFilterTests {
    private func filter(_ pieces: [String], isEventStream: Bool, limit: Int = 1000) -> String? {
        var filter = ToolListFilter(
            PassThroughTools(allowlist: ToolAllowlist(allow: ["*"], deny: ["hidden*"]), pinning: nil),
            isEventStream: isEventStream, limit: limit)
        var output = ""
        for piece in pieces {
            guard let bytes = filter.feed(ByteBuffer(string: piece)) else { return nil }
            output += String(buffer: bytes)
        }
        return output + String(buffer: filter.finish())
    }

    @Test(
        arguments: [
            (#"{"result":{"tools":[{"name":"hidden"}]}}"#, #"{"result":{"tools":[]}}"#),
            (
                #"{"result":{"tools":[{"name":"a"}, {"name":"hidden1"} ,{"name":"b"}]}}"#,
                #"{"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#
            ),
            // However it is spelled, and whichever of equal keys a reader takes.
            (#"{"r\u0065sult":{"t\u006fols":[{"n\u0061me":"hi\u0064den"}]}}"#, #"{"r\u0065sult":{"t\u006fols":[]}}"#),
            (
                #"{"result":{"tools":[{"name":"hidden"}],"tools":[{"name":"hidden"}]}}"#,
                #"{"result":{"tools":[],"tools":[]}}"#
            ),
            (#"{"result":{"tools":[{"name":"a","name":"hidden"}]}}"#, #"{"result":{"tools":[]}}"#),
            (#"[{"result":{"tools":[{"name":"hidden"}]}},{"result":1}]"#, #"[{"result":{"tools":[]}},{"result":1}]"#),
            // Everything else is as it was.
            (#"{"result":{"tools":[ {"name":"a"} ]}}"#, #"{"result":{"tools":[ {"name":"a"} ]}}"#),
            (#"{"params":{"tools":[{"name":"hidden"}]}}"#, #"{"params":{"tools":[{"name":"hidden"}]}}"#),
            ("not JSON", "not JSON"), ("", ""),
        ])
    func hiddenToolsAreTakenOut(_ document: String, _ expected: String) {
        #expect(filter([document], isEventStream: false) == expected)
        #expect(filter(document.map { String($0) }, isEventStream: false) == expected)
    }

    @Test(arguments: ["\n", "\r\n", "\r"])
    func eventsAreFilteredOneByOne(_ end: String) throws {
        let events = [
            ": comment", "", "event: message", "id: 1", #"data: {"result":{"tools":[{"name":"hidden"},"#,
            #"data: {"name":"a"}]}}"#, "", "data: plain", "", "",
        ].joined(separator: end)
        let whole = try #require(filter([events], isEventStream: true))
        let lines = whole.split(omittingEmptySubsequences: true) { $0.isNewline }
        #expect(
            lines == [
                ": comment", "event: message", "id: 1", #"data: {"result":{"tools":[{"name":"a"}]}}"#, "data: plain",
            ])
        // In whatever pieces it comes.
        #expect(filter(events.unicodeScalars.map { String($0) }, isEventStream: true) == whole)
    }

    @Test func whatHasNothingHiddenIsByteForByteAsItWas() {
        let events = "\u{FEFF}retry: 5\r\n\r\ndata:{\"result\":{\"tools\":[]}}\r\n\r\ndata: half"
        #expect(filter([events], isEventStream: true) == events)
    }

    @Test func noMoreIsHeldThanTheLimit() {
        #expect(filter([String(repeating: "a", count: 1001)], isEventStream: false) == nil)
        #expect(filter(["data: " + String(repeating: "a", count: 1001)], isEventStream: true) == nil)
        #expect(filter(["data: a\n\n" + String(repeating: ":\n\n", count: 900)], isEventStream: true) != nil)
    }
}
