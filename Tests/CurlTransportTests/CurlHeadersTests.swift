import Testing

@testable import CurlTransport

@Suite struct CurlHeadersTests {
    @Test func keepsOrderAndDuplicates() {
        let headers: CurlHeaders = [("A", "1"), ("b", "2"), ("a", "3")]
        #expect(headers.map(\.name) == ["A", "b", "a"])
        #expect(headers.all(name: "a") == ["1", "3"])
        #expect(headers.first(name: "B") == "2")
        #expect(headers.first(name: "c") == nil)
    }

    @Test func namesCompareWithoutCaseButOnlyLetters() {
        let headers: CurlHeaders = [("X-[", "1"), ("Content-Type", "t")]
        #expect(headers.first(name: "x-{") == nil)
        #expect(headers.first(name: "CONTENT-type") == "t")
    }

    @Test func dropsSpaceAroundValues() {
        #expect(CurlHeaders([("a", " \t b c\t ")]).first(name: "a") == "b c")
        #expect(CurlHeaders([("a", "  ")]).first(name: "a") == "")
    }

    @Test func writesLinesAsLibcurlTakesThem() {
        let headers: CurlHeaders = [("Name", "value"), ("Empty", "")]
        #expect(String(decoding: headers.bytes, as: UTF8.self) == "Name: value\0Empty;\0")
    }

    @Test(arguments: ["a\r\nb", "a\nb", "a\rb", "a\0b"])
    func marksValuesThatWouldSplitTheRequest(_ value: String) {
        #expect(CurlHeaders([("ok", "1"), ("bad", value)]).invalidLine == "bad")
    }

    @Test(arguments: ["", "a b", "a:", "a\n", "ä"])
    func marksNamesThatAreNoTokens(_ name: String) {
        #expect(CurlHeaders([(name, "1")]).invalidLine == name)
    }

    @Test func replacesAndRemoves() {
        var headers: CurlHeaders = [("A", "1"), ("B", "2"), ("a", "3")]
        headers.set(name: "a", value: "4")
        #expect(headers.map { "\($0.name)=\($0.value)" } == ["B=2", "a=4"])
        headers.remove(name: "b")
        #expect(headers == [("a", "4")])
    }

    @Test func appendsWholeCollections() {
        var headers: CurlHeaders = [("A", "1")]
        headers.append(contentsOf: [("B", ""), ("C", "3")])
        #expect(headers.map { "\($0.name)=\($0.value)" } == ["A=1", "B=", "C=3"])
        headers.append(contentsOf: CurlHeaders([("D", "\n\0x")]))
        #expect(headers.invalidLine == "D")
    }
}
