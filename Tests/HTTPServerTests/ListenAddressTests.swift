import HTTPServer
import Testing

struct ListenAddressTests {
    @Test(arguments: [
        ("127.0.0.1:8080", HTTPListenAddress.hostPort("127.0.0.1", 8080), "127.0.0.1:8080"),
        ("localhost:0", .hostPort("localhost", 0), "localhost:0"),
        ("[::1]:65535", .hostPort("::1", 65535), "[::1]:65535"),
        (":80", .hostPort("0.0.0.0", 80), "0.0.0.0:80"),
        ("*:80", .hostPort("0.0.0.0", 80), "0.0.0.0:80"),
        ("unix:/run/gateway.sock", .unixSocket(path: "/run/gateway.sock"), "unix:/run/gateway.sock"),
    ])
    func readsAddresses(text: String, expected: HTTPListenAddress, description: String) throws {
        let address = try HTTPListenAddress(parsing: text)
        #expect(address == expected)
        #expect(address.description == description)
    }

    @Test(arguments: [
        ("8080", "HOST:PORT or unix:PATH"), ("host:", "a port between"), ("host:x", "a port between"),
        ("host:65536", "a port between"), ("host:-1", "a port between"), ("::1:80", "brackets"), ("[]:80", "[IPv6"),
        ("[::1:80", "[IPv6"), ("unix:", "a path"), ("", "HOST:PORT"),
    ])
    func saysWhatItExpected(text: String, expected: String) {
        let error = #expect(throws: HTTPListenError.self) { try HTTPListenAddress(parsing: text) }
        #expect(error?.description.hasPrefix("cannot listen on \(text): expected \(expected)") == true)
    }
}
