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
        self.init(ttl: result["ttlMs"], scope: result["cacheScope"])
    }

    /// Reads the hint of a result that is text; nil when it has no usable one.
    package init?(result: JSONObjectText) {
        self.init(ttl: result["ttlMs"], scope: result["cacheScope"])
    }

    private init?(ttl: JSONValue?, scope: JSONValue?) {
        guard let ttl = ttl?.int, ttl >= 0 else { return nil }
        self.init(
            ttlMilliseconds: ttl, scope: scope?.string.flatMap(CacheScope.init(rawValue:)) ?? .private)
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
        self.init(value: result["resultType"])
    }

    /// Reads the type of a received result that is text.
    ///
    /// - Returns: Nil for an unknown or malformed type; such a result is invalid.
    package init?(of result: JSONObjectText) {
        self.init(value: result["resultType"])
    }

    private init?(value: JSONValue?) {
        guard let value else {
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

    /// Returns the result of another server in a revision, like ``complete(_:for:serverInfo:cache:)``:
    /// what has to be there and is not is joined to its text.
    ///
    /// - Parameter meta: The `_meta` of a result that has none: an object with the server's name.
    package static func complete(
        _ result: JSONObjectText, for version: MCPVersion, meta: JSONFragment
    ) -> JSONObjectText {
        guard version.era == .modern else { return result }
        var completed = result
        if completed.kind(of: "resultType") == nil {
            completed.join("resultType", .string(ResultType.complete.rawValue))
        }
        if var own = completed.text(of: "_meta") {
            own.join(MCPMeta.serverInfo, meta.value[MCPMeta.serverInfo] ?? .null)
            completed.join("_meta", own.fragment)
        } else {
            completed.join("_meta", meta)
        }
        return completed
    }

    /// Returns a result without content: `{}`, in the modern era with its type.
    package static func empty(for version: MCPVersion) -> JSONObject {
        complete([:], for: version)
    }
}
