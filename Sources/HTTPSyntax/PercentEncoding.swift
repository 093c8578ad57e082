/// Percent-encoding (RFC 3986, section 2.1) of every byte that is not unreserved, so that any text stays one segment,
/// one parameter or one form value.
package enum PercentEncoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Returns the UTF-8 of a text with every byte encoded that is not unreserved.
    package static func encode(_ text: some Sequence<UInt8>) -> String {
        var encoded: [UInt8] = []
        for byte in text {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.append(byte)
            default:
                encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    /// Returns fields as `application/x-www-form-urlencoded`.
    package static func form(_ fields: [(name: String, value: String)]) -> String {
        fields.map { encode($0.name.utf8) + "=" + encode($0.value.utf8) }.joined(separator: "&")
    }
}
