import Foundation
import Testing

@testable import JSON

@Suite("Decoding and encoding types")
struct CodingTests {
    struct Project: Codable, Equatable {
        enum State: String, Codable { case open, closed }
        struct Owner: Codable, Equatable { var name: String }
        var name: String
        var count: Int
        var ratio: Double
        var state: State
        var owner: Owner?
        var tags: [String]
        var extra: JSONValue
        var map: [String: Int]
    }

    static let project = Project(
        name: "Q2", count: -3, ratio: 0.25, state: .closed, owner: .init(name: "Al"), tags: ["a", "b"],
        extra: ["x": [1, nil]], map: ["k": 1])

    @Test("a type round-trips, its members in the order of encoding")
    func roundTrip() throws {
        let value = try JSONValue(encoding: Self.project)
        #expect(
            value.text
                == #"{"name":"Q2","count":-3,"ratio":0.25,"state":"closed","owner":{"name":"Al"},"tags":["a","b"],"#
                + #""extra":{"x":[1,null]},"map":{"k":1}}"#)
        #expect(try value.decode() == Self.project)
        #expect(try JSONValue(encoding: [Self.project]).decode([Project].self) == [Self.project])
    }

    @Test("nil leaves its member out")
    func optionals() throws {
        var project = Self.project
        project.owner = nil
        let value = try JSONValue(encoding: project)
        #expect(value["owner"] == nil)
        #expect(try value.decode(Project.self) == project)
    }

    @Test("numbers inside trees keep their spelling")
    func verbatim() throws {
        struct Box: Codable { var value: JSONValue; var object: JSONObject }
        let text = #"{"value":[1.50,1e400],"object":{"n":0.10}}"#
        #expect(try JSONValue(encoding: JSONValue(parsing: text).decode(Box.self)).text == text)
    }

    @Test("trees pass through foreign coders by value")
    func foreignCoders() throws {
        let value: JSONValue = ["a": [1, 2.5, "x", nil, true], "o": ["k": -3]]
        let data = try JSONEncoder().encode(value)
        #expect(try JSONDecoder().decode(JSONValue.self, from: data) == value)
    }

    @Test("errors name the place and what was expected")
    func errors() throws {
        let value: JSONValue = [
            "name": "x", "count": 1, "ratio": 1, "state": "open", "tags": ["a", 2], "extra": 0, "map": [:],
        ]
        let error = #expect(throws: DecodingError.self) { try value.decode(Project.self) }
        guard case .typeMismatch(_, let context) = error else {
            Issue.record("unexpected \(String(describing: error))")
            return
        }
        #expect(context.codingPath.map(\.stringValue) == ["tags", "Index 1"])
        #expect(context.debugDescription == "expected string, found number")
    }

    @Test("integers must fit exactly")
    func integers() throws {
        #expect(try JSONValue(parsing: "255").decode(UInt8.self) == 255)
        #expect(try JSONValue(parsing: "2.0").decode(Int.self) == 2)
        #expect(try JSONValue(parsing: "18446744073709551615").decode(UInt64.self) == .max)
        #expect(throws: DecodingError.self) { try JSONValue(parsing: "256").decode(UInt8.self) }
        #expect(throws: DecodingError.self) { try JSONValue(parsing: "1.5").decode(Int.self) }
        #expect(throws: DecodingError.self) { try JSONValue(parsing: "-1").decode(UInt.self) }
        #expect(throws: DecodingError.self) { try JSONValue(parsing: "\"1\"").decode(Int.self) }
    }

    @Test("NaN and infinities are refused")
    func nonFinite() {
        #expect(throws: EncodingError.self) { try JSONValue(encoding: [Double.nan]) }
        #expect(throws: EncodingError.self) { try JSONValue(encoding: ["x": -Float.infinity]) }
    }

    @Test("single values, nested containers, dates and superclasses")
    func containers() throws {
        #expect(try JSONValue(encoding: 3) == 3)
        #expect(try JSONValue(encoding: Float(0.1)).text == "0.1")
        #expect(try JSONValue(encoding: [[1], []]).text == "[[1],[]]")
        let date = Date(timeIntervalSinceReferenceDate: 1.5)
        #expect(try JSONValue(encoding: date).decode(Date.self) == date)
        #expect(try JSONValue(encoding: [Int?](arrayLiteral: 1, nil)).text == "[1,null]")
        #expect(try JSONValue(parsing: "[1,null]").decode([Int?].self) == [1, nil])
    }
}
