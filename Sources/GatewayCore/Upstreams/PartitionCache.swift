import MCPClient

/// Remembers the partitions of callers seen lately, since a keyed hash costs more than all other work on a request's
/// headers. Bounded; confined to its worker.
///
/// Finding an entry compares the credentials themselves, so that a collision of hashes can never join two callers.
struct PartitionCache {
    private struct Entry {
        let cookies: String?
        let authorization: String?
        let partition: CredentialPartition
    }

    private var entries: [Entry?]
    /// Longer credentials are not kept: the memory belongs to whoever sends requests.
    private static let longest = 512

    /// - Parameter capacity: A power of two.
    init(capacity: Int = 1024) {
        entries = Array(repeating: nil, count: capacity)
    }

    mutating func partition(cookies: String?, authorization: String?) -> CredentialPartition {
        let length = (cookies?.utf8.count ?? 0) + (authorization?.utf8.count ?? 0)
        guard length > 0 else { return .anonymous }
        guard length <= Self.longest else { return CredentialPartition(cookies: cookies, authorization: authorization) }
        var hasher = Hasher()
        hasher.combine(cookies)
        hasher.combine(authorization)
        let place = hasher.finalize() & (entries.count - 1)
        if let entry = entries[place], entry.cookies == cookies, entry.authorization == authorization {
            return entry.partition
        }
        let partition = CredentialPartition(cookies: cookies, authorization: authorization)
        entries[place] = Entry(cookies: cookies, authorization: authorization, partition: partition)
        return partition
    }
}
