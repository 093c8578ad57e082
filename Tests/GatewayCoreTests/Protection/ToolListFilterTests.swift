import NIOCore
import ProcessMemory
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
        guard let rest = filter.rest() else { return nil }
        return output + String(buffer: rest)
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

    private static let list = #"{"result":{"tools":[{"name":"hidden"}]}}"#

    /// Some clients read what is no JSON here, and would find a list in it.
    @Test(
        arguments: [
            "\u{FEFF}" + list, list + "x", #"{"result":{"tools":[{"name":"hidden"}],"x":NaN}}"#, " [" + list,
            String(list.dropLast()), "\0" + list,
            #"{"x":"# + String(repeating: "[", count: 600) + String(repeating: "]", count: 600) + ","
                + list.dropFirst(),
        ])
    func whatBeginsLikeJSONAndCannotBeReadIsWithheld(_ document: String) {
        #expect(filter([document], isEventStream: false, limit: 10_000) == nil)
        #expect(filter(["data: \(document)\n\n"], isEventStream: true, limit: 10_000) == nil)
        #expect(filter(["data: \(document)\n"], isEventStream: true, limit: 10_000) == nil)
    }

    @Test func whatWasAnnouncedAsSomethingElseIsFilteredToo() {
        let filtered = #"{"result":{"tools":[]}}"#
        #expect(filter(["data: \(Self.list)\n\n"], isEventStream: false) == "data: \(filtered)\n\n")
        #expect(filter(["id: 1\ndata: \(Self.list)"], isEventStream: false) == "id: 1\ndata: \(filtered)\n\n")
        #expect(filter([Self.list], isEventStream: true) == filtered)
        #expect(filter([Self.list, "\n\n"], isEventStream: true) == filtered + "\n\n")
        #expect(filter(["[[\(Self.list)]]"], isEventStream: false) == "[[\(filtered)]]")
        let plain = "retry: 1\n\ndata: plain\n\n"
        #expect(filter([plain], isEventStream: false) == plain)
    }

    @Test func aDeepDocumentIsFilteredToo() {
        let deep = #"{"x":"# + String(repeating: "[", count: 200) + String(repeating: "]", count: 200) + ","
        let expected = deep + #""result":{"tools":[]}}"#
        #expect(filter([deep + Self.list.dropFirst()], isEventStream: false) == expected)
    }

    @Test func theFirstLineAndTheLastEventOfAStreamCount() {
        let filtered = #"data: {"result":{"tools":[]}}"# + "\n\n"
        #expect(filter(["\u{FEFF}data: \(Self.list)\n\n"], isEventStream: true) == "\u{FEFF}" + filtered)
        #expect(filter(["data: \(Self.list)\n"], isEventStream: true) == filtered)
        #expect(filter(["data: \(Self.list)"], isEventStream: true) == filtered)
    }

    @Test(arguments: [false, true]) func whatIsHeldBackDrawsFromTheBudget(_ isEventStream: Bool) {
        let budget = MemoryBudget(limit: 256 << 10)
        do {
            var filter = ToolListFilter(
                PassThroughTools(allowlist: ToolAllowlist(allow: ["a"], deny: []), pinning: nil),
                isEventStream: isEventStream, limit: 16 << 20, memory: budget)
            let piece = ByteBuffer(string: String(repeating: "x", count: 100 << 10))
            #expect(filter.feed(piece) != nil)
            #expect(filter.feed(piece) != nil)
            #expect(budget.statistics.used > 0)
            #expect(!filter.isStarved)
            #expect(filter.feed(piece) == nil)
            #expect(filter.isStarved)
        }
        #expect(budget.statistics.used == 0)
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
