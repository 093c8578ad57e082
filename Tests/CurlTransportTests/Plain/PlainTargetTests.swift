import Testing

@testable import CurlTransport

@Suite struct PlainTargetTests {
    @Test(
        arguments: [
            ("http://example.com", "example.com", 80, " / HTTP/1.1", "Host: example.com"),
            (
                "http://example.com:8080/a/../b?x=%20", "example.com", 8080, " /a/../b?x=%20 HTTP/1.1",
                "Host: example.com:8080"
            ),
            ("http://127.0.0.1:80/", "127.0.0.1", 80, " / HTTP/1.1", "Host: 127.0.0.1"),
            ("http://[::1]:81?q", "::1", 81, " /?q HTTP/1.1", "Host: [::1]:81"),
            ("http://a-b_c.local/x", "a-b_c.local", 80, " /x HTTP/1.1", "Host: a-b_c.local"),
        ]) func partsOfAURL(_ url: String, _ host: String, _ port: Int, _ line: String, _ field: String) throws
    {
        let target = try #require(PlainTarget(url: url, socketPath: nil))
        #expect(target.key == PlainTarget.Key(host: host, port: port, socketPath: nil))
        #expect(String(decoding: target.line, as: UTF8.self) == line + "\r\n")
        #expect(String(decoding: target.host, as: UTF8.self) == field + "\r\n")
    }

    @Test(
        arguments: [
            "https://example.com/", "HTTP://example.com/", "http://", "http:///x", "http://user@example.com/",
            "http://example.com/#f", "http://example.com/a b", "http://example.com/\u{E9}", "http://ex\u{E4}mple.com/",
            "http://example.com:0/", "http://example.com:65536/", "http://example.com:/", "http://example.com:8x/",
            "http://127.1/", "http://0x7f.0.0.1/", "http://0x7f000001/", "http://2130706433/", "http://127.0.0.01/",
            "http://127.0.0.256/", "http://1.2.3.4.5/", "http://example.com./", "http://[::1/", "http://[::1%25lo]/",
            "http://[localhost]/", "http://%6cocalhost/", "http://a/\r\nX: y", "http://a/\0",
        ]) func otherFormsAreLeftToLibcurl(_ url: String)
    {
        #expect(PlainTarget(url: url, socketPath: nil) == nil)
    }
}
