import Glibc
import MCPClient

/// Cache of the partitions of recent callers, since a keyed hash costs more than all other work on a request's headers.
/// Bounded; confined to its worker.
///
/// Finding an entry compares the credentials themselves, so that a collision of hashes can never confuse two callers.
struct PartitionCache {
    private struct Entry {
        let cookies: String?
        let authorization: String?
        let partition: CredentialPartition
    }

    private var entries: [Entry?]
    /// Largest length in bytes of credentials that are kept; otherwise clients would decide how much memory is used.
    private static let longest = 512

    /// - Parameter capacity: A power of two.
    init(capacity: Int = 1024) {
        entries = Array(repeating: nil, count: capacity)
    }

    mutating func partition(cookies: String?, authorization: String?) -> CredentialPartition {
        let length = (cookies?.utf8.count ?? 0) + (authorization?.utf8.count ?? 0)
        guard length > 0 else { return .anonymous }
        guard length <= Self.longest else { return CredentialPartition(cookies: cookies, authorization: authorization) }
        // Compared as bytes: texts that Unicode considers equal are different credentials.
        var hasher = Hasher()
        Self.combine(cookies, &hasher)
        Self.combine(authorization, &hasher)
        let place = hasher.finalize() & (entries.count - 1)
        if let entry = entries[place], Self.equal(entry.cookies, cookies),
            Self.equal(entry.authorization, authorization)
        {
            return entry.partition
        }
        let partition = CredentialPartition(cookies: cookies, authorization: authorization)
        entries[place] = Entry(cookies: cookies, authorization: authorization, partition: partition)
        return partition
    }

    private static func combine(_ text: String?, _ hasher: inout Hasher) {
        guard var text else { return hasher.combine(-1) }
        hasher.combine(text.utf8.count)
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }

    private static func equal(_ left: String?, _ right: String?) -> Bool {
        switch (left, right) {
        case (var left?, var right?): left.withUTF8 { left in right.withUTF8 { equal(left, $0) } }
        case (nil, nil): true
        default: false
        }
    }

    private static func equal(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        guard let first = left.baseAddress, let second = right.baseAddress else { return true }
        return memcmp(first, second, left.count) == 0
    }
}
