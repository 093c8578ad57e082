package import Crypto
import MCP

/// Identity of a caller's session: two callers share an upstream session only when their partitions are equal.
///
/// A keyed hash (HMAC-SHA256, a random key per process) over exactly the credentials that are forwarded, so that a
/// partition can be stored and compared without storing the credentials.
package struct CredentialPartition: Hashable, Sendable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    private static let key = SymmetricKey(size: .bits256)

    /// Partition of callers without credentials.
    package static let anonymous = CredentialPartition(words: (0, 0, 0, 0))

    private init(words: (UInt64, UInt64, UInt64, UInt64)) {
        self.words = words
    }

    /// - Parameters:
    ///   - cookies: Forwarded part of the `Cookie` header, exactly as it is sent; nil or empty when nothing is.
    ///   - authorization: Value of the `Authorization` header.
    ///   - further: Other headers that identify the caller.
    package init(
        cookies: String?, authorization: String?, further: [(name: String, value: String)] = []
    ) {
        self.init(cookies: cookies, authorization: authorization, further: further, under: Self.key)
    }

    /// Creates the partition that all processes with a key compute for these credentials.
    package init(
        cookies: String?, authorization: String?, further: [(name: String, value: String)], under key: SymmetricKey
    ) {
        let cookies = cookies ?? ""
        let authorization = authorization ?? ""
        if cookies.isEmpty, authorization.isEmpty, further.isEmpty {
            self = .anonymous
            return
        }
        var hash = HMAC<SHA256>(key: key)
        // The length separates a cookie that ends like a token from a token that begins like a cookie.
        HashedTexts.feed(CollectionOfOne(cookies)) { hash.update(data: $0) }
        // The case of a scheme does not matter, that of everything else does.
        let scheme = authorization.prefix { $0 != " " }
        for text in [scheme.lowercased()[...], authorization.dropFirst(scheme.count)] {
            var text = text
            text.withUTF8 { hash.update(data: UnsafeRawBufferPointer($0)) }
        }
        // The lengths contain NUL, which no header does, so that the text before them cannot be taken for a part of
        // this.
        HashedTexts.feed(further.flatMap { [$0.name.lowercased(), $0.value] }) { hash.update(data: $0) }
        self.words = hash.finalize().withUnsafeBytes { bytes in
            (
                bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
            )
        }
    }

    /// The hash, 32 bytes.
    package var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in withUnsafeBytes(of: word) { Array($0) } }
    }

    package static func == (left: CredentialPartition, right: CredentialPartition) -> Bool {
        left.words == right.words
    }

    package func hash(into hasher: inout Hasher) {
        // Already uniformly distributed: the first word suffices.
        hasher.combine(words.0)
    }
}

/// Headers of a caller that are sent with every message on the caller's behalf.
package struct ForwardedCredentials: Sendable {
    /// Credentials, sent with the handshake and with every later message of the session: `Cookie`, `Authorization`, and
    /// other headers that identify the caller.
    package var credentials: [(name: String, value: String)]
    /// Headers of one request only, such as `Accept-Language` and trace headers; not part of the partition.
    package var perRequest: [(name: String, value: String)]
    /// Partition of sessions that the credentials select.
    package let partition: CredentialPartition
    /// The caller's bearer token, where it is exchanged for another one; it is not sent itself.
    package var subjectToken: String?

    /// Credentials of an anonymous caller: none.
    package static let anonymous = ForwardedCredentials(cookies: nil, authorization: nil)

    /// - Parameters:
    ///   - cookies: Value of the `Cookie` header to send: only the forwarded cookies. Empty means none.
    ///   - authorization: Value of the `Authorization` header to send.
    ///   - further: Other headers that identify the caller.
    ///   - perRequest: Further headers, already filtered by the caller; never hop-by-hop ones.
    ///   - partition: `CredentialPartition` of the same credentials, where it is known; nil: it is computed.
    package init(
        cookies: String?, authorization: String?, further: [(name: String, value: String)] = [],
        perRequest: [(name: String, value: String)] = [],
        partition: CredentialPartition? = nil
    ) {
        var credentials: [(name: String, value: String)] = []
        if let cookies, !cookies.isEmpty { credentials.append((name: "Cookie", value: cookies)) }
        if let authorization, !authorization.isEmpty {
            credentials.append((name: "Authorization", value: authorization))
        }
        self.credentials = credentials + further
        self.perRequest = perRequest
        self.partition =
            partition ?? CredentialPartition(cookies: cookies, authorization: authorization, further: further)
    }
}
