/// Addresses of the public Internet: all except those of this machine, its networks and a provider's own services.
package enum PublicAddress {
    /// Returns whether an address in network order, four or sixteen bytes, is public (RFC 6890 and later
    /// registrations).
    package static func contains(_ bytes: [UInt8]) -> Bool {
        switch bytes.count {
        case 4: return isPublic4(bytes)
        case 16:
            if bytes[..<10].allSatisfy({ $0 == 0 }) {
                // ::ffff:a.b.c.d is an IPv4 address; ::, ::1 and the other old forms are not public.
                return bytes[10] == 0xFF && bytes[11] == 0xFF && isPublic4(Array(bytes[12...]))
            }
            // 64:ff9b::/96 is translated to the IPv4 address at its end.
            if bytes[..<12].elementsEqual([0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]) {
                return isPublic4(Array(bytes[12...]))
            }
            // 2002::/16 contains an IPv4 address after the prefix.
            if bytes[0] == 0x20, bytes[1] == 0x02 { return isPublic4(Array(bytes[2..<6])) }
            // 2001::/23 (Teredo and other special uses), 2001:db8::/32, 3fff::/20: only the rest of 2000::/3 is global.
            if bytes[0] == 0x20, bytes[1] == 0x01, bytes[2] < 2 || (bytes[2] == 0x0D && bytes[3] == 0xB8) {
                return false
            }
            if bytes[0] == 0x3F, bytes[1] == 0xFF, bytes[2] < 0x10 { return false }
            return bytes[0] & 0xE0 == 0x20
        default: return false
        }
    }

    private static func isPublic4(_ bytes: [UInt8]) -> Bool {
        switch (bytes[0], bytes[1], bytes[2]) {
        case (0, _, _), (10, _, _), (127, _, _), (169, 254, _), (172, 16...31, _), (192, 168, _): false
        case (100, 64...127, _), (192, 0, 0), (192, 0, 2), (192, 88, 99), (198, 18...19, _), (198, 51, 100): false
        case (203, 0, 113), (224...255, _, _): false
        default: true
        }
    }
}
