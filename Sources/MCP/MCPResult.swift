package import JSON

/// Caches that may share a result (2026-07-28, Caching).
package enum CacheScope: String, Hashable, Sendable {
    /// The result contains no user's data: any client or intermediary may store it.
    case `public`
    /// The result may be stored only within the same authorization context.
    case `private`
}

/// Rule for reusing a result (2026-07-28, Caching).
package struct CacheHint: Hashable, Sendable {
    /// Time for which the result may be reused, in milliseconds, never negative; 0: not at all.
    package let ttlMilliseconds: Int
    /// Caches that may keep the result.
    package let scope: CacheScope

    /// Allows caches to keep a result.
    package init(ttlMilliseconds: Int, scope: CacheScope) {
        self.ttlMilliseconds = max(0, ttlMilliseconds)
        self.scope = scope
    }

    /// Hint that forbids reuse and sharing.
    package static let none = CacheHint(ttlMilliseconds: 0, scope: .private)

    /// Reads the hint of a result; nil when it has no usable one, which counts as `.none`.
    package init?(result: JSONObject) {
        guard let ttl = result["ttlMs"]?.int, ttl >= 0 else { return nil }
        self.init(
            ttlMilliseconds: ttl,
            scope: result["cacheScope"]?.string.flatMap(CacheScope.init(rawValue:)) ?? .private)
    }
}

/// `resultType` of 2026-07-28.
package enum ResultType: String, Hashable, Sendable {
    case complete
    case inputRequired = "input_required"

    /// Reads the type of a received result: absent means complete.
    ///
    /// - Returns: Nil for an unknown or malformed type; such a result is invalid.
    package init?(of result: JSONObject) {
        guard let value = result["resultType"] else {
            self = .complete
            return
        }
        guard let type = value.string.flatMap(ResultType.init(rawValue:)) else { return nil }
        self = type
    }
}

/// Members that 2026-07-28 requires in every result.
package enum MCPResult {
    /// Returns the result in a revision: in the modern era with `resultType` (kept when already present), the server's
    /// name in `_meta`, and the cache hint; unchanged in the legacy era.
    package static func complete(
        _ result: JSONObject, for version: MCPVersion, serverInfo: Implementation? = nil, cache: CacheHint? = nil
    ) -> JSONObject {
        guard version.era == .modern else { return result }
        var completed = result
        if completed["resultType"] == nil { completed["resultType"] = .string(ResultType.complete.rawValue) }
        if let cache {
            completed["ttlMs"] = .number(cache.ttlMilliseconds)
            completed["cacheScope"] = .string(cache.scope.rawValue)
        }
        if let serverInfo {
            var meta = completed["_meta"]?.object ?? [:]
            meta[MCPMeta.serverInfo] = serverInfo.json(for: version)
            completed["_meta"] = .object(meta)
        }
        return completed
    }

    /// Returns a result without content: `{}`, in the modern era with its type.
    package static func empty(for version: MCPVersion) -> JSONObject {
        complete([:], for: version)
    }
}
