import JSON
import MCP

/// JSON Web Tokens in compact form (RFC 7515, section 7.1), as a client signs them.
enum SignedToken {
    /// Returns a signed token.
    ///
    /// - Throws: The error of the cryptographic library.
    static func make(header: JSONObject, claims: JSONObject, key: ClientAssertion.Key) throws -> String {
        let text = [header, claims].map { Base64URL.encode(JSONValue.object($0).serialized) }.joined(separator: ".")
        return text + "." + Base64URL.encode(try key.signature(for: Array(text.utf8)))
    }
}
