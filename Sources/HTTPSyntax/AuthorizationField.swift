/// The `Authorization` field, RFC 9110 section 11.6.2: a scheme, compared without case, and the credentials after white
/// space.
package struct AuthorizationField: Hashable, Sendable {
    /// The scheme in lower case.
    package let scheme: String
    /// Everything after the scheme, without white space at its ends.
    package let credentials: String
    /// The scheme as the client wrote it.
    private let written: String

    /// Reads the value of a field; nil for an empty one.
    package init?(_ value: some StringProtocol) {
        let value = String(value).trimmingWhiteSpace
        guard !value.isEmpty else { return nil }
        let end = value.utf8.firstIndex(where: HTTPSyntax.isSpaceOrTab) ?? value.endIndex
        written = String(value[..<end])
        scheme = written.lowercased()
        credentials = String(value[end...].trimmingWhiteSpace)
    }

    /// True if the credentials are a bearer token, which a page sends on purpose. Credentials that browsers add to
    /// every request by themselves (Basic, Digest, Negotiate) are not.
    package var isBearer: Bool { scheme == "bearer" }

    /// Normalized spelling of the field: a known scheme as its specification writes it, one space, the credentials.
    package var text: String {
        let scheme =
            switch scheme {
            case "bearer": "Bearer"
            case "basic": "Basic"
            default: written
            }
        return credentials.isEmpty ? scheme : "\(scheme) \(credentials)"
    }

    /// Returns the normalized spelling of a field's value, the value itself where that is normalized; nil for an empty
    /// one.
    package static func normalized(_ value: String) -> String? {
        // Nearly every client writes it so.
        if value.hasPrefix("Bearer "), value.utf8.dropFirst(7).allSatisfy({ $0 > 0x20 }) { return value }
        return AuthorizationField(value)?.text
    }

    package static func == (left: AuthorizationField, right: AuthorizationField) -> Bool {
        left.scheme.utf8.elementsEqual(right.scheme.utf8) && left.credentials.utf8.elementsEqual(right.credentials.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        for byte in scheme.utf8 { hasher.combine(byte) }
        for byte in credentials.utf8 { hasher.combine(byte) }
    }
}
