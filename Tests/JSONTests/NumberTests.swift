import Testing

@testable import JSON

@Suite("Numbers keep their text and compare by value")
struct NumberTests {
    private func number(_ text: String) throws -> JSONNumber { try #require(JSONNumber(text)) }

    @Test("text that is no JSON number is none", arguments: ["", " 1", "1 ", "01", "1.", "NaN", "0x1", "\"1\"", "+1"])
    func invalid(text: String) {
        #expect(JSONNumber(text) == nil)
    }

    @Test(
        "equal values in different spellings",
        arguments: [
            ("1", "1.0"), ("1", "10e-1"), ("100", "1e2"), ("0", "-0"), ("0", "0.000e99"), ("-1.50", "-15e-1"),
            ("123456789012345678901234567890", "12345678901234567890123456789e1"), ("1E400", "10e399"),
        ])
    func equal(left: String, right: String) throws {
        let (left, right) = (try number(left), try number(right))
        #expect(left == right)
        #expect(left.hashValue == right.hashValue)
        #expect(!(left < right) && !(right < left))
    }

    @Test(
        "order is that of the exact values",
        arguments: [
            ("1", "2"), ("-2", "-1"), ("-1", "0"), ("0", "1e-400"), ("9007199254740992", "9007199254740993"),
            ("1e399", "1e400"), ("-1e400", "-1e399"), ("0.1", "0.11"), ("9", "10"), ("99.5", "100"), ("-10", "-9.99"),
            ("1.2", "1.20000000000000000001"), ("1e-99999999999999999999", "1"), ("1", "1e99999999999999999999"),
        ])
    func ordered(less: String, more: String) throws {
        let (less, more) = (try number(less), try number(more))
        #expect(less < more)
        #expect(!(more < less))
        #expect(less != more)
    }

    @Test(
        "integers in any spelling",
        arguments: [
            ("42", 42), ("-0", 0), ("1e3", 1000), ("1.50e2", 150), ("9223372036854775807", Int.max),
            ("-9223372036854775808", Int.min), ("1.5", nil), ("9223372036854775808", nil), ("1e400", nil),
            ("1e-1", nil), ("0e999999999999", 0),
        ] as [(String, Int?)])
    func integers(text: String, expected: Int?) throws {
        #expect(try number(text).int == expected)
    }

    @Test(
        "integrality", arguments: [("1.0", true), ("1e5", true), ("12345678901234567890123", true), ("1.5e0", false)])
    func integrality(text: String, expected: Bool) throws {
        #expect(try number(text).isInteger == expected)
    }

    @Test("doubles become the shortest text, integral ones without a fraction")
    func doubles() {
        #expect(JSONNumber(50.0).text == "50")
        #expect(JSONNumber(-0.0).text == "0")
        #expect(JSONNumber(0.1).text == "0.1")
        #expect(JSONNumber(1e300).text == "1e+300")
        #expect(JSONNumber(Double.leastNonzeroMagnitude).double == .leastNonzeroMagnitude)
        #expect(JSONNumber(1e300) == JSONNumber("1E300"))
        #expect(JSONNumber(Double.nan).text == "0")
        #expect(JSONNumber(Double.infinity).double == .greatestFiniteMagnitude)
    }

    @Test(
        "multiples are exact decimals",
        arguments: [
            ("10", "5", true), ("10", "3", false), ("0.3", "0.1", true), ("4.35", "0.01", true),
            ("0.0075", "0.0001", true),
            ("1", "0.3", false), ("-6", "2", true), ("0", "7", true), ("1e30", "10", true), ("7", "0", false),
            ("1e300", "1e-300", true),
        ])
    func multiples(text: String, divisor: String, expected: Bool) throws {
        #expect(try number(text).isMultiple(of: number(divisor)) == expected)
    }
}
