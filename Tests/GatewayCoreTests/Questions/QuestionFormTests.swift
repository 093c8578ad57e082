import Foundation
import JSON
import MCP
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import GatewayCore

/// A tool's question as a front-end draws it, and the check of its values.
@Suite struct QuestionFormTests {
    private func makeForm(_ properties: JSONObject, required: JSONValue = []) -> QuestionForm? {
        QuestionForm(
            ElicitParameters(
                message: "?",
                requestedSchema: ["type": "object", "properties": .object(properties), "required": required]))
    }

    private func field(_ property: JSONValue, isRequired: Bool = false) throws -> JSONValue {
        let form = try #require(makeForm(["f": property], required: isRequired ? ["f"] : []))
        return try #require(form.json(id: "i", expires: "e")["fields"]?[0])
    }

    struct Kind: Sendable, CustomTestStringConvertible {
        let schema: JSONValue
        let field: JSONObject
        let fits: [JSONValue]
        let fails: [JSONValue]
        var testDescription: String { schema.text }
    }

    static let kinds: [Kind] = [
        Kind(
            schema: ["type": "string"], field: ["kind": "text", "label": "f"], fits: ["", "x", "\u{1F600}"],
            fails: [1, true, .null, [], [:]]),
        Kind(
            schema: [
                "type": "string", "title": "Name", "description": "Of whom", "minLength": 2, "maxLength": 3,
                "default": "ab", "pattern": "^[a-z]*$",
            ],
            field: [
                "kind": "text", "label": "Name", "hint": "Of whom", "default": "ab", "minLength": 2, "maxLength": 3,
                "pattern": "^[a-z]*$",
            ], fits: ["ab", "abc"], fails: ["a", "abcd", "AB"]),
        Kind(
            schema: ["type": "string", "format": "email"], field: ["kind": "text", "label": "f", "format": "email"],
            fits: ["a@b.example"], fails: ["a", "@", "a@", "@b", "a@b@c", "a b@c"]),
        Kind(
            schema: ["type": "string", "format": "uri"], field: ["kind": "text", "label": "f", "format": "uri"],
            fits: ["https://a.example/b", "mailto:a@b.example"], fails: ["a", ":a", "a b:c", "https://a b"]),
        Kind(
            schema: ["type": "string", "format": "date"], field: ["kind": "text", "label": "f", "format": "date"],
            fits: ["2026-07-28"], fails: ["2026-02-30", "yesterday"]),
        Kind(
            schema: ["type": "string", "format": "date-time"],
            field: ["kind": "text", "label": "f", "format": "date-time"], fits: ["2026-07-28T09:30:00Z"],
            fails: ["2026-07-28"]),
        Kind(
            schema: ["type": "number", "minimum": 0, "maximum": 1, "default": 0.5],
            field: ["kind": "number", "label": "f", "minimum": 0, "maximum": 1, "default": 0.5], fits: [0, 0.25, 1],
            fails: [-1, 1.5, "0.5"]),
        Kind(
            schema: ["type": "integer"], field: ["kind": "integer", "label": "f"], fits: [7, -7, 7.0],
            fails: [7.5, "7"]),
        Kind(
            schema: ["type": "boolean", "default": true], field: ["kind": "boolean", "label": "f", "default": true],
            fits: [true, false], fails: ["true", 1]),
        Kind(
            schema: ["type": "string", "enum": ["a", "b"]],
            field: [
                "kind": "choice", "label": "f",
                "options": [["value": "a", "label": "a"], ["value": "b", "label": "b"]],
            ], fits: ["a", "b"], fails: ["c", 1]),
        Kind(
            schema: ["type": "string", "enum": ["a", "b"], "enumNames": ["An A"]],
            field: [
                "kind": "choice", "label": "f",
                "options": [["value": "a", "label": "An A"], ["value": "b", "label": "b"]],
            ], fits: ["a"], fails: ["An A"]),
        Kind(
            schema: ["type": "string", "oneOf": [["const": "a", "title": "An A"], ["const": "b"]]],
            field: [
                "kind": "choice", "label": "f",
                "options": [["value": "a", "label": "An A"], ["value": "b", "label": "b"]],
            ], fits: ["a", "b"], fails: ["c"]),
        Kind(
            schema: [
                "type": "array", "minItems": 1, "maxItems": 2, "items": ["type": "string", "enum": ["a", "b", "c"]],
            ],
            field: [
                "kind": "choices", "label": "f", "minItems": 1, "maxItems": 2,
                "options": [
                    ["value": "a", "label": "a"], ["value": "b", "label": "b"], ["value": "c", "label": "c"],
                ],
            ], fits: [["a"], ["a", "c"]], fails: [[], ["a", "b", "c"], ["d"], "a"]),
        Kind(
            schema: ["type": "array", "items": ["anyOf": [["const": "a", "title": "An A"]]]],
            field: ["kind": "choices", "label": "f", "options": [["value": "a", "label": "An A"]]],
            fits: [["a"], []], fails: [["b"]]),
    ]

    @Test(arguments: kinds) func aFieldIsShownAndChecked(_ kind: Kind) throws {
        for isRequired in [false, true] {
            var expected: JSONObject = ["name": "f", "required": .bool(isRequired)]
            for (key, value) in kind.field { expected[key] = value }
            #expect(try field(kind.schema, isRequired: isRequired) == .object(expected))
        }
        let form = try #require(makeForm(["f": kind.schema]))
        for value in kind.fits {
            #expect(try form.result(.accept, values: ["f": value]).content == ["f": value])
        }
        for value in kind.fails {
            let error = try #require(throws: GatewayError.self) { try form.result(.accept, values: ["f": value]) }
            #expect(error.label == .invalidArgument)
            #expect(error.message.hasPrefix("f"), "\(value) \(error.message)")
        }
    }

    @Test func noFieldsAreNoValues() throws {
        let form = try #require(makeForm([:]))
        #expect(form.json(id: "i", expires: "e")["fields"] == [])
        #expect(try form.result(.accept, values: nil).content == [:])
        #expect(try form.result(.accept, values: .null).content == [:])
        #expect(try form.result(.decline, values: "whatever").content == nil)
    }

    @Test(
        arguments: [
            ["type": "object"], ["type": "array"], ["type": "array", "items": ["type": "string"]], ["type": "null"],
            ["type": "file"], true, "string",
        ] as [JSONValue])
    func aFieldThatCannotBeShownIsLeftOutUnlessItIsRequired(_ schema: JSONValue) throws {
        #expect(makeForm(["f": schema, "g": ["type": "string"]], required: ["f"]) == nil)
        let form = makeForm(["f": schema, "g": ["type": "string"]])
        // A schema that is none at all makes the whole question unreadable.
        guard schema.object != nil || schema == true, schema["type"] != "file" else { return }
        #expect(form?.json(id: "i", expires: "e")["fields"]?.array?.map { $0["name"] } == ["g"])
    }

    @Test func aFormHasBounds() {
        let many = JSONObject((0...QuestionForm.fieldLimit).map { ("f\($0)", ["type": "string"]) })
        #expect(makeForm(many) == nil)
        #expect(makeForm(["f": ["type": "string"]], required: ["other"]) == nil)
    }

    @Test(
        arguments: [
            ("https://a.example", true), ("http://localhost:8080/x?y#z", true),
            ("https://a.example/" + String(repeating: "x", count: 8192), false),
            ("javascript:alert(1)", false), ("data:text/html,x", false), ("https:", false), ("https:///x", false),
            ("https://user@a.example", false), ("https://bank.example:x@evil.example/", false),
            ("https://a.example/\u{0A}", false), ("https://a.example/ b", false), ("/relative", false), ("", false),
        ])
    func onlyAddressesOfTheWebAreShown(_ url: String, _ isShown: Bool) {
        let form = QuestionForm(ElicitParameters(message: "?", mode: .url(url, elicitationID: nil)))
        #expect((form != nil) == isShown)
    }

    // MARK: What is remembered

    @Test func usedQuestionsAreRememberedUntilTheyExpire() {
        let clock = QuestionGateway.Clock()
        let uses = ProcessQuestionUses(limit: 3, now: { clock.now })
        let loop = EmbeddedEventLoop()
        func claim(_ name: String, _ seconds: Double = 10) -> QuestionClaim? {
            var outcome: QuestionClaim?
            uses.claim(name, until: clock.now + seconds, on: loop) { outcome = $0 }
            return outcome
        }
        #expect(claim("a") == .granted)
        #expect(claim("a") == .used)
        uses.release("a")
        #expect(claim("a") == .granted)
        #expect(claim("b") == .granted)
        #expect(claim("c") == .granted)
        #expect(claim("d") == .unavailable, "none is forgotten for another")
        #expect(claim("a") == .used)
        clock.advance(by: 10)
        #expect(claim("d") == .granted)
        #expect(uses.count == 1)
        clock.advance(by: 10)
        for number in 0..<5000 {
            #expect(claim("x\(number)", 1) == .granted)
            clock.advance(by: 1)
        }
        #expect(uses.count <= 2)
    }

    @Test func aPendingQuestionReadsWhatItWrites() throws {
        let part = PendingQuestion.Part(
            key: "k", parameters: ElicitParameters(message: "?", mode: .url("https://a.example", elicitationID: nil)))
        let question = PendingQuestion(
            call: "c", number: 3, round: 2, caller: "d", type: "t", upstream: "u", tool: "f", expiry: 7,
            arguments: #"{"a": 1.0, "b":"\u00e9"}"#, state: #""s\u0041""#, responses: ["x": ["action": "decline"]],
            open: [part, part])
        #expect(PendingQuestion(question.json.serialized) == question)
        let next = question.answered(ElicitResult(action: .accept, content: ["v": 1]))
        #expect(next.open == [part] && next.number == 4 && next.name == "c.4")
        #expect(next.responses["k"] == ["action": "accept", "content": ["v": 1]])
        for wrong in ["", "{}", "[]", #"{"c":"x"}"#] { #expect(PendingQuestion(Array(wrong.utf8)) == nil) }
        var empty = question
        empty.open = []
        #expect(PendingQuestion(empty.json.serialized) == nil)
    }
}
