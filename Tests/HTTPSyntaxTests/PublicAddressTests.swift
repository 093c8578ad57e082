import Foundation
import Testing

@testable import HTTPSyntax

@Suite struct PublicAddressTests {
    @Test(arguments: [
        ("127.0.0.1", false), ("127.255.255.254", false), ("0.0.0.0", false), ("10.1.2.3", false),
        ("172.16.0.1", false), ("172.31.255.255", false), ("172.32.0.1", true), ("192.168.1.1", false),
        ("169.254.169.254", false), ("100.64.0.1", false), ("198.18.0.1", false), ("224.0.0.1", false),
        ("255.255.255.255", false), ("192.0.2.1", false), ("93.184.216.34", true), ("8.8.8.8", true), ("::1", false),
        ("::", false), ("fe80::1", false), ("fc00::1", false), ("fd12::1", false), ("ff02::1", false),
        ("::ffff:127.0.0.1", false), ("::ffff:8.8.8.8", true), ("::127.0.0.1", false), ("64:ff9b::10.0.0.1", false),
        ("64:ff9b::8.8.8.8", true), ("2002:7f00:1::", false), ("2001:db8::1", false), ("2001::1", false),
        ("2606:4700::1111", true), ("3fff::1", false),
    ])
    func onlyPublicAddressesAreConnectedTo(text: String, isPublic: Bool) throws {
        var bytes = [UInt8](repeating: 0, count: text.contains(":") ? 16 : 4)
        #expect(inet_pton(text.contains(":") ? AF_INET6 : AF_INET, text, &bytes) == 1)
        #expect(PublicAddress.contains(bytes) == isPublic)
    }
}
