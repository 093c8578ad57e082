import Testing

@testable import Observability

@Suite struct TraceContextTests {
    private let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test func aValidHeaderGoesThroughUnchanged() throws {
        let context = try #require(TraceContext(traceparent: valid))
        #expect(context.traceparent == valid)
        #expect(context.isSampled)
        #expect(context.traceID == "0af7651916cd43dd8448eb211c80319c")
    }

    @Test func aChildKeepsTheTraceAndHasItsOwnSpan() throws {
        let context = try #require(TraceContext(traceparent: valid))
        let child = context.child()
        #expect(child.traceID == context.traceID)
        #expect(child.spanID != context.spanID)
        #expect(TraceContext(traceparent: TraceContext.new().traceparent) != nil)
    }

    @Test(arguments: [
        "", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
    ])
    func anInvalidHeaderIsNoContext(text: String) {
        #expect(TraceContext(traceparent: text) == nil)
    }

    @Test func aLaterVersionMayCarryMore() {
        #expect(TraceContext(traceparent: "cc" + valid.dropFirst(2) + "-more") != nil)
    }
}

@Suite struct RequestIdentifierTests {
    @Test(arguments: ["abc", "a-b_c.d:e/f+g=", String(repeating: "x", count: 128)])
    func aSaneIdentifierIsKept(text: String) {
        #expect(RequestIdentifier.accept(text) == text)
    }

    @Test(arguments: ["", "a b", "a\r\nb", "é", "\"", String(repeating: "x", count: 129)])
    func anythingElseIsReplaced(text: String) {
        let identifier = RequestIdentifier.accept(text)
        #expect(identifier != text)
        #expect(identifier.utf8.count == 32)
    }
}

@Suite struct TimestampTests {
    @Test func timesAreRFC3339InUTC() {
        #expect(Timestamp.string(seconds: 1_785_230_999, milliseconds: 7) == "2026-07-28T09:29:59.007Z")
        #expect(Timestamp.now().utf8.count == 24)
    }
}
