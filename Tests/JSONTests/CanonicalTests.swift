import JSON
import Testing

/// RFC 8785.
@Suite struct CanonicalTests {
    private func canonical(_ text: String) throws -> String {
        String(decoding: try JSONValue(parsing: Array(text.utf8)).canonical, as: UTF8.self)
    }

    /// The example of section 3.2.2.
    @Test func theExampleOfTheSpecification() throws {
        let text = #"""
            {
              "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
              "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
              "literals": [null, true, false]
            }
            """#
        let expected =
            #"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#
            + #""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        #expect(try canonical(text) == expected)
    }

    /// Section 3.2.3: by UTF-16 code units, where a surrogate pair comes before U+FB33.
    @Test func membersAreSortedByCodeUnits() throws {
        let text =
            #"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#
        let value = try JSONValue(parsing: Array(try canonical(text).utf8))
        #expect(value.object?.values.compactMap(\.int) == [2, 4, 6, 7, 1, 5, 3])
    }

    @Test(arguments: [
        ("0", "0"), ("-0", "0"), ("-0.0", "0"), ("1", "1"), ("1.0", "1"), ("10e-1", "1"), ("-1.50", "-1.5"),
        ("123456789012", "123456789012"), ("1e20", "100000000000000000000"), ("1e21", "1e+21"), ("1.5e300", "1.5e+300"),
        ("0.000001", "0.000001"), ("1e-7", "1e-7"), ("1.25e-7", "1.25e-7"), ("9007199254740992", "9007199254740992"),
        ("5e-324", "5e-324"), ("1.7976931348623157e308", "1.7976931348623157e+308"), ("100", "100"),
        ("0.1", "0.1"), ("12.5", "12.5"),
        ("0.1000000000000000055511151231257827", "0.1"),
        // No double: the text stays.
        ("9007199254740993", "9007199254740993"), ("1e400", "1e400"),
    ])
    func numbers(_ written: String, _ expected: String) throws {
        #expect(try canonical(written) == expected)
    }

    @Test func spellingsOfAValueAreOneText() throws {
        #expect(
            try canonical(#"{"b":[1.0,{"y":"\u0041","x":null}],"a":1e2}"#)
                == canonical(#"{ "a" : 100, "b" : [ 1, { "x" : null, "y" : "A" } ] }"#))
    }

    @Test func sortingKeepsTheValue() throws {
        let value: JSONValue = ["b": [["d": 1, "c": 2]], "a": "x"]
        #expect(value.sorted == value)
        #expect(value.sorted.text == #"{"a":"x","b":[{"c":2,"d":1}]}"#)
    }
}
