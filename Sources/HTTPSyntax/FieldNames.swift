/// Names of header fields with a special meaning in HTTP.
package enum FieldNames {
    /// Fields of one connection, RFC 9110 section 7.6.1: they are never forwarded.
    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    ]

    /// Returns whether a field belongs to one connection and is never forwarded.
    package static func isHopByHop(_ name: String) -> Bool { hopByHop.contains(name.lowercased()) }

    /// Returns the fields that a `Connection` field names, in lower case: they belong to the connection too. Options
    /// that are not fields are left out.
    package static func nominated(byConnection value: String) -> [String] {
        if HTTPSyntax.name(value, is: "keep-alive") { return [] }
        return value.listElements.map { $0.lowercased() }.filter { $0 != "close" && $0 != "keep-alive" }
    }
}
