import NIOCore
import Testing

@testable import GatewayCore

@Suite struct ResponseComparisonTests {
    private func differences(_ old: String, _ new: String, _ oldStatus: Int = 200, _ newStatus: Int = 200) -> [String] {
        ResponseComparison.differences(
            old: ComparedResponse(status: oldStatus, body: ByteBuffer(string: old)),
            new: ComparedResponse(status: newStatus, body: ByteBuffer(string: new))
        ).map(\.description)
    }

    @Test(arguments: [
        (#"{"a":1,"b":[true,null]}"#, #"{ "b" : [ true, null ], "a" : 1.0 }"#, []),
        (#"{"a":"\u0141"}"#, #"{"a":"Ł"}"#, []),
        ("Missing query", "Missing query", []),
        ("", "", []),
        (#"{"replies":[{"name":"a"}]}"#, #"{"replies":[{"name":"b"}]}"#, ["/replies/0/name value"]),
        (#"{"replies":["a"]}"#, #"{"replies":[1]}"#, ["/replies/0 type"]),
        (#"{"replies":["a","b","c"]}"#, #"{"replies":["a"]}"#, ["/replies/1 missing"]),
        (#"{"replies":[]}"#, #"{"replies":["a","b"]}"#, ["/replies/0 added"]),
        (#"{"a":1,"b":2}"#, #"{"a":1,"c":2}"#, ["/b missing", "/c added"]),
        (#"{"a":null}"#, "{}", ["/a missing"]),
        ("text", "other", ["value"]),
        ("text", "{}", ["type"]),
        (#"{"x@example.com":1,"Jan Novák":2,"123":3}"#, "{}", ["/* missing", "/* missing", "/* missing"]),
    ])
    func differencesArePlacesAndKinds(_ old: String, _ new: String, _ expected: [String]) {
        #expect(differences(old, new) == expected)
    }

    @Test func aStatusIsADifferenceOfItsOwn() {
        #expect(differences("{}", "{}", 200, 400) == ["status"])
        #expect(differences(#"{"a":1}"#, #"{"a":2}"#, 200, 400) == ["status", "/a value"])
    }

    @Test func theNumberOfDifferencesIsBounded() {
        let old = "[" + (0..<1000).map { "\($0)" }.joined(separator: ",") + "]"
        let new = "[" + (0..<1000).map { "\($0 + 1)" }.joined(separator: ",") + "]"
        #expect(differences(old, new).count == ResponseComparison.limit)
    }

    @Test func noValueIsEverShown() {
        let secret = "s3cr3t value"
        let found = differences(#"{"a":"\#(secret)","\#(secret)":1}"#, #"{"a":"x"}"#)
        #expect(found == ["/a value", "/* missing"])
    }
}
