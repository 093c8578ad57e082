import Observability
import Testing

@Suite struct DurationTests {
    @Test("Nanoseconds are whole, on both sides of what fits into 64 bits of attoseconds")
    func nanoseconds() {
        #expect(Duration.zero.nanoseconds == 0)
        #expect(Duration(secondsComponent: 0, attosecondsComponent: 999_999_999).nanoseconds == 0)
        #expect(Duration.nanoseconds(1).nanoseconds == 1)
        #expect(Duration.nanoseconds(-1500).nanoseconds == -1500)
        #expect(Duration.nanoseconds(9_223_372_036).nanoseconds == 9_223_372_036)
        #expect(Duration.nanoseconds(9_223_372_037).nanoseconds == 9_223_372_037)
        #expect(Duration.seconds(30).nanoseconds == 30_000_000_000)
        #expect(Duration.seconds(-30).nanoseconds == -30_000_000_000)
    }

    @Test("What does not fit is the largest value")
    func overflow() {
        #expect(Duration.seconds(Int64.max / 1_000_000_000 + 1).nanoseconds == .max)
        #expect(Duration(secondsComponent: .max, attosecondsComponent: 0).nanoseconds == .max)
    }
}
