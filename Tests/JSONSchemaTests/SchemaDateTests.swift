import JSON
import Testing

@testable import JSONSchema

@Suite("Formats of dates")
struct SchemaDateTests {
    @Test(
        "days of the Gregorian calendar",
        arguments: [
            ("2026-01-31", true), ("2024-02-29", true), ("2000-02-29", true), ("1900-02-29", false),
            ("2026-02-29", false), ("2026-04-31", false), ("2026-13-01", false), ("2026-00-10", false),
            ("2026-01-00", false), ("2026-01-32", false), ("0000-01-01", true), ("9999-12-31", true), ("", false),
            ("2026-1-31", false), ("26-01-31", false), ("2026-01-31 ", false), (" 2026-01-31", false),
            ("2026-01-31T00:00:00Z", false), ("2026/01/31", false), ("２０２６-01-31", false), ("-2026-01-31", false),
            ("2026-01-31'; DROP TABLE x", false), ("2026-01-3\u{0661}", false),
        ])
    func dates(text: String, isDate: Bool) {
        #expect(JSONSchemaDateFormat.date.matches(text) == isDate)
    }

    @Test(
        "instants with their offset",
        arguments: [
            ("2026-01-31T08:00:00Z", true), ("2026-01-31t08:00:00z", true), ("2026-01-31T08:00:00+02:00", true),
            ("2026-01-31T08:00:00.123456789-23:59", true), ("2026-01-31T08:00:00.1Z", true),
            ("2026-01-31T23:59:60Z", true), ("2026-01-31T08:59:60Z", false), ("2026-02-01T00:59:60+01:00", true),
            ("2026-01-31T23:59:60+01:00", false), ("2026-01-31T15:59:60-08:00", true),
            ("2026-01-31T08:00:00", false), ("2026-01-31 08:00:00Z", false), ("2026-01-31T08:00Z", false),
            ("2026-01-31T24:00:00Z", false), ("2026-01-31T08:60:00Z", false), ("2026-01-31T08:00:61Z", false),
            ("2026-01-31T08:00:00.Z", false), ("2026-01-31T08:00:00+24:00", false),
            ("2026-01-31T08:00:00+0200", false), ("2026-01-31T08:00:00+02", false), ("2026-02-30T08:00:00Z", false),
            ("2026-01-31T08:00:00Z ", false), ("2026-01-31T08:00:00ZZ", false), ("2026-01-31T", false), ("", false),
        ])
    func instants(text: String, isInstant: Bool) {
        #expect(JSONSchemaDateFormat.dateTime.matches(text) == isInstant)
    }

    @Test("a fraction without end is not read")
    func longFraction() {
        let text = "2026-01-31T08:00:00." + String(repeating: "1", count: 1_000_000) + "Z"
        #expect(!JSONSchemaDateFormat.dateTime.matches(text))
    }

    @Test("formats are asserted where that is asked for, and annotations elsewhere")
    func assertion() throws {
        let schema: JSONValue = [
            "properties": ["day": ["type": "string", "format": "date"], "who": ["format": "uuid"]]
        ]
        let value: JSONValue = ["day": "tomorrow", "who": "me"]
        #expect(try JSONSchema(schema).validate(value).isEmpty)
        let violations = try JSONSchema(schema, assertsDates: true).validate(value)
        #expect(violations.map(\.message) == ["day: expected a date, such as 2026-01-31, found \"tomorrow\""])
        #expect(violations.map(\.keyword) == ["format"])
        #expect(try JSONSchema(schema, assertsDates: true).isValid(["day": "2026-01-31", "who": 5]))
        // What is no string has no format.
        #expect(try JSONSchema(["format": "date"], assertsDates: true).isValid(5))
    }

    @Test("the check without a tree leaves formats to the tree")
    func quick() throws {
        let schema = try JSONSchema(
            ["type": "object", "properties": ["day": ["type": "string", "format": "date"]]], assertsDates: true)
        let text = Array(#"{"day":"never"}"#.utf8)
        let result = try text.withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            return schema.quickValidate(object: try scanner.document(), in: bytes)
        }
        #expect(result == nil)
    }
}
