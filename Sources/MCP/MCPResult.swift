package import JSON

/// Caches that may share a result (2026-07-28, Caching).
package enum CacheScope: String, Hashable, Sendable {
    /// No user's data in it: any client or intermediary may keep it.
    case `public`
    /// Only within the same authorization context.
    case `private`
}

/// Permission to reuse a result (2026-07-28, Caching).
package struct CacheHint: Hashable, Sendable {
    /// Milliseconds, never negative; 0 is stale at once.
    package let ttlMilliseconds: Int
    /// Caches that may keep the result.
    package let scope: CacheScope

    /// Allows caches to keep a result.
    package init(ttlMilliseconds: Int, scope: CacheScope) {
        self.ttlMilliseconds = max(0, ttlMilliseconds)
        self.scope = scope
    }

    /// Stale at once, and nobody else's.
    package static let none = CacheHint(ttlMilliseconds: 0, scope: .private)

    /// Nil when the result carries no usable hint: treat it as `.none`.
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
    /// - Returns: nil for an unknown or malformed type; such a result is invalid.
    package init?(of result: JSONObject) {
        guard let value = result["resultType"] else {
            self = .complete
            return
        }
        guard let type = value.string.flatMap(ResultType.init(rawValue:)) else { return nil }
        self = type
    }
}

/// Adds the members that 2026-07-28 wants in every result.
package enum MCPResult {
    /// The result as `version` wants it: in the modern era with `resultType` (kept when already there), the server's
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

    /// A result without content: `{}`, in the modern era with its type.
    package static func empty(for version: MCPVersion) -> JSONObject {
        complete([:], for: version)
    }
}
