import Glibc
import JSONConfiguration

/// TLS towards an upstream; paths are those of PEM files.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `caFile` | path | the system's | certificate authorities that the server's certificate is checked against |
/// | `certificateFile` | path | none | the gateway's own certificate, for servers that require one |
/// | `keyFile` | path | in `certificateFile` | its private key, not encrypted |
/// | `verify` | boolean | true | checks the certificate and the host's name |
/// | `pinnedKeys` | list | empty | public keys of which the server must have one: `sha256//BASE64` |
package struct UpstreamTLSConfiguration: Hashable, Sendable {
    /// Path of the trusted certificates; nil for the system's.
    package let caFile: String?
    /// Path of the client certificate.
    package let certificateFile: String?
    /// Path of the client certificate's private key.
    package let keyFile: String?
    /// True if the server's certificate and name are verified.
    package let verify: Bool
    /// Accepted public keys, as `sha256//` and Base64.
    package let pinnedKeys: [String]

    init(_ reader: ConfigurationReader) {
        caFile = reader.optionalString(
            "caFile",
            "PEM file of the certificate authorities that are trusted, instead of the system's.",
            example: "/etc/ssl/certs/company.pem")
        certificateFile = reader.optionalString(
            "certificateFile", "PEM file of the gateway's client certificate.", example: "/etc/chat-gateway/client.pem")
        keyFile = reader.optionalString(
            "keyFile", "PEM file of the client certificate's private key.", example: "/etc/chat-gateway/client-key.pem")
        verify = reader.bool(
            "verify", default: true, "false: the server's certificate is not verified. For tests only.")
        pinnedKeys = reader.strings(
            "pinnedKeys", default: [], "Public keys, as sha256//BASE64; the server must have one of them.")
        for (key, path) in [("caFile", caFile), ("certificateFile", certificateFile), ("keyFile", keyFile)] {
            // libcurl would report it only with the first call, and less clearly.
            guard let path, access(path, R_OK) != 0 else { continue }
            reader.fail(key, expected: "a readable file", found: "\(path) (\(String(cString: strerror(errno))))")
        }
        if keyFile != nil, certificateFile == nil {
            reader.fail("keyFile", expected: "a certificateFile beside it", found: "none")
        }
        for pin in pinnedKeys where !Self.isPin(pin) {
            reader.fail("pinnedKeys", expected: "sha256// and 44 characters of base64", found: "\"\(pin.prefix(80))\"")
        }
    }

    private static func isPin(_ text: String) -> Bool {
        let digest = text.dropFirst("sha256//".count)
        return text.hasPrefix("sha256//") && digest.utf8.count == 44 && digest.hasSuffix("=")
            && digest.dropLast().allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "+" || $0 == "/") }
    }
}
