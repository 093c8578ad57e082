import Testing
import ToolServerTestSupport

/// What a client that guesses passwords is told.
@Suite struct LoginDelayTests {
    @Test func aGuesserIsTold429WithRetryAfterAndOthersLogIn() async throws {
        try await ToolFixture.serving { client, _ in
            let wrong = #"{"username":"alice","password":"guess"}"#
            let guesser = [("X-Forwarded-For", "192.0.2.66")]
            for _ in 0..<5 { #expect(try await client.post("/auth/login", wrong, headers: guesser).status == 401) }
            let refused = try await client.post("/auth/login", wrong, headers: guesser)
            #expect(refused.status == 429)
            #expect(refused.header("Retry-After").flatMap { Int($0) }.map { (1...2).contains($0) } == true)
            #expect(try refused.json["error"]?.string?.isEmpty == false)
            let right = try await client.post(
                "/auth/login", #"{"username":"alice","password":"alice's password"}"#,
                headers: [("X-Forwarded-For", "198.51.100.7")])
            #expect(right.status == 200)
        }
    }

    @Test func theNumbersAreConfigured() async throws {
        try await ToolFixture.serving(["login": ["attempts": 1, "delay": "100s", "maxDelay": "200s"]]) { client, _ in
            let wrong = #"{"username":"alice","password":"guess"}"#
            #expect(try await client.post("/auth/login", wrong).status == 401)
            let refused = try await client.post("/auth/login", wrong)
            #expect(refused.status == 429)
            #expect(refused.header("Retry-After").flatMap { Int($0) }.map { (90...101).contains($0) } == true)
        }
    }
}
