import Testing

@testable import Redis

@Suite struct RedisReplyTests {
    private func replies(_ text: String, pieces: Int) throws -> [RedisReply] {
        let reader = try RedisReplyReader()
        var replies: [RedisReply] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            try bytes[start..<min(start + pieces, bytes.count)].withUnsafeBytes { try reader.feed($0) }
            while let reply = try reader.next() { replies.append(reply) }
        }
        return replies
    }

    @Test(arguments: [1, 2, 3, 7, 1000]) func repliesComeHoweverTheirBytesAreDivided(pieces: Int) throws {
        let text =
            "+OK\r\n:-42\r\n$5\r\na\r\nb\0\r\n$-1\r\n*3\r\n:1\r\n$0\r\n\r\n*1\r\n+x\r\n-NOSCRIPT no\r\n*-1\r\n*0\r\n"
        let found = try replies(text, pieces: pieces)
        #expect(
            found == [
                .text(Array("OK".utf8)), .integer(-42), .text(Array("a\r\nb\0".utf8)), .null,
                .array([.integer(1), .text([]), .array([.text(Array("x".utf8))])]), .error("NOSCRIPT no"), .null,
                .array([]),
            ])
    }

    @Test(arguments: ["HTTP/1.1 200 OK\r\n\r\n", ":x\r\n", "*99999999999999999999\r\n", "$-7\r\n"])
    func whatIsNoReplyIsRefused(text: String) {
        #expect(throws: RedisReplyReader.Malformed.self) { try replies(text, pieces: 1000) }
    }

    /// An array of 64 numbers.
    private static let array = "*64\r\n" + String(repeating: ":1\r\n", count: 64)

    /// The memory of a reply is bounded by what the commands can be answered with, not by what the server announces.
    @Test(arguments: [
        "*65\r\n", "*2147483647\r\n", "*1\r\n*1000000\r\n", String(repeating: "*64\r\n", count: 6) + "*65\r\n",
        "+" + String(repeating: "x", count: RedisReplyReader.maximumBytes),
        "$2000000000\r\n" + String(repeating: "x", count: RedisReplyReader.maximumBytes),
        "*64\r\n" + String(repeating: "*64\r\n" + String(repeating: Self.array, count: 64), count: 5),
    ])
    func aReplyThatIsTooLargeIsRefused(text: String) {
        #expect(throws: RedisReplyReader.Malformed.self) { try replies(text, pieces: 1000) }
    }

    @Test func manyRepliesMayComeTogether() throws {
        let one = "*64\r\n" + String(repeating: ":1\r\n", count: 64)
        let count = 3 * RedisReplyReader.maximumBytes / one.utf8.count
        #expect(try replies(String(repeating: one, count: count), pieces: .max / 2).count == count)
        #expect(try replies(String(repeating: one, count: count), pieces: 777).count == count)
    }

    @Test(arguments: [
        ("redis://localhost", "redis://localhost:6379/0"), ("redis://10.0.0.1:7000/3", "redis://10.0.0.1:7000/3"),
        ("redis://[::1]:6380/", "redis://[::1]:6380/0"), ("redis://[fe80::1]", "redis://[fe80::1]:6379/0"),
    ])
    func addressesAreRead(text: String, expected: String) throws {
        #expect(try #require(RedisAddress(text)).description == expected)
    }

    @Test(arguments: [
        "", "localhost", "http://localhost", "rediss://localhost", "redis://", "redis://:6379", "redis://a:0",
        "redis://a:65536", "redis://a:x", "redis://a/x", "redis://a/-1", "redis://a/16384", "redis://u:p@a",
        "redis://a?x",
        "redis://a b", "redis://::1", "redis://[::1", "redis://[a]", "redis://a/1/2", "redis://a:99999999999999999999",
    ])
    func whatIsNoAddressIsRefused(text: String) { #expect(RedisAddress(text) == nil) }
}
