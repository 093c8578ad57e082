import Testing

@testable import HTTPSyntax

@Suite struct AuthenticationChallengeTests {
    private func read(_ fields: String...) -> [AuthenticationChallenge] { AuthenticationChallenge.read(fields) }

    @Test func parametersBelongToTheirScheme() {
        let challenges = read(#"Basic realm="a, b", Bearer realm=c , scope="x y",error=invalid_token, Negotiate"#)
        #expect(challenges.map(\.scheme) == ["basic", "bearer", "negotiate"])
        #expect(challenges[0].parameters == ["realm": "a, b"])
        #expect(challenges[1].parameters == ["realm": "c", "scope": "x y", "error": "invalid_token"])
        #expect(challenges[2].parameters == [:])
    }

    @Test func eachFieldBeginsAnew() {
        let challenges = read("Bearer", "scope=x", "BEARER Scope = y")
        #expect(challenges.map(\.scheme) == ["bearer", "bearer"])
        #expect(challenges.map(\.parameters) == [[:], ["scope": "y"]])
    }

    @Test(
        arguments: [
            (#"Bearer a="\"x\\y\"""#, #""x\y""#), (#"Bearer a="x", a="y""#, "x"), (#"Bearer a=x=y"#, nil),
            (#"Bearer a="x"#, nil), (#"Bearer a=x"y""#, nil), (#"Bearer a="x\"#, nil), ("Bearer =x", nil),
            (#"Bearer a="""#, ""), ("Bearer\ta=x", "x"), ("Bearer abc==", nil), ("", nil), (",,,", nil), ("=", nil),
            ("a=x", nil), ("ü a=x", nil),
        ] as [(String, String?)])
    func valuesAreTokensOrQuoted(_ field: String, _ value: String?) {
        #expect(read(field).first?.parameters["a"] == value)
    }

    @Test func theirNumberIsBounded() {
        let many = Array(repeating: "Bearer a=x", count: 100).joined(separator: ", ")
        #expect(read(many).count == AuthenticationChallenge.limit)
        #expect(AuthenticationChallenge.read(Array(repeating: many, count: 100)).count == AuthenticationChallenge.limit)
    }
}
