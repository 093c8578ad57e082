/// The two ways of opening a conversation.
package enum MCPEra: Hashable, Sendable {
    /// An `initialize` handshake, then perhaps a session: revisions up to 2025-11-25.
    case legacy
    /// No handshake, metadata on each request: 2026-07-28.
    case modern
}

/// A protocol revision that is supported.
package enum MCPVersion: String, CaseIterable, Comparable, Sendable, CustomStringConvertible {
    // Dates read as dates only with their separators.
    // swift-format-ignore: AlwaysUseLowerCamelCase
    case v2024_11_05 = "2024-11-05"
    // swift-format-ignore: AlwaysUseLowerCamelCase
    case v2025_03_26 = "2025-03-26"
    // swift-format-ignore: AlwaysUseLowerCamelCase
    case v2025_06_18 = "2025-06-18"
    // swift-format-ignore: AlwaysUseLowerCamelCase
    case v2025_11_25 = "2025-11-25"
    // swift-format-ignore: AlwaysUseLowerCamelCase
    case v2026_07_28 = "2026-07-28"

    /// Newest revision with a handshake.
    package static let latestLegacy = MCPVersion.v2025_11_25
    /// Newest revision without a handshake.
    package static let latestModern = MCPVersion.v2026_07_28
    /// Revisions with a handshake, oldest first.
    package static let legacy: [MCPVersion] = allCases.filter { $0.era == .legacy }
    /// Revisions without one, oldest first.
    package static let modern: [MCPVersion] = allCases.filter { $0.era == .modern }

    /// Era that the revision belongs to.
    package var era: MCPEra { self >= .v2026_07_28 ? .modern : .legacy }
    package var description: String { rawValue }

    package static func < (left: MCPVersion, right: MCPVersion) -> Bool { left.position < right.position }

    package func hash(into hasher: inout Hasher) { hasher.combine(position) }

    /// Place among the revisions, oldest first: compared and hashed in place of the text, several times for each request.
    private var position: Int {
        switch self {
        case .v2024_11_05: 0
        case .v2025_03_26: 1
        case .v2025_06_18: 2
        case .v2025_11_25: 3
        case .v2026_07_28: 4
        }
    }

    /// Returns the revision to answer `initialize` with: the same when it is a supported legacy revision, else the
    /// latest legacy one (lifecycle, version negotiation).
    package static func negotiated(requested: String) -> MCPVersion {
        guard let version = MCPVersion(rawValue: requested), version.era == .legacy else { return latestLegacy }
        return version
    }
}

/// Features of a revision; the conversions of messages test only these.
extension MCPVersion {
    /// True if the revision has tool annotations.
    package var hasToolAnnotations: Bool { self >= .v2025_03_26 }
    /// True if the revision has audio content.
    package var hasAudio: Bool { self >= .v2025_03_26 }
    /// True if the revision has the server capability `completions`.
    package var hasCompletionsCapability: Bool { self >= .v2025_03_26 }
    /// True if progress notifications have a `message`.
    package var hasProgressMessages: Bool { self >= .v2025_03_26 }
    /// True if a body may be an array of messages: only in 2025-03-26.
    package var hasBatches: Bool { self == .v2025_03_26 }
    /// True if the revision has `title`, `_meta` on definitions and content, and `lastModified`.
    package var hasTitles: Bool { self >= .v2025_06_18 }
    /// True if the revision has `structuredContent` and output schemas.
    package var hasStructuredContent: Bool { self >= .v2025_06_18 }
    /// True if results may contain resource links.
    package var hasResourceLinks: Bool { self >= .v2025_06_18 }
    /// True if the revision has elicitation.
    package var hasElicitation: Bool { self >= .v2025_06_18 }
    /// True if completion requests have a `context`.
    package var hasCompletionContext: Bool { self >= .v2025_06_18 }
    /// True if the revision has icons.
    package var hasIcons: Bool { self >= .v2025_11_25 }
    /// True if the revision has elicitation in the mode `url`.
    package var hasURLElicitation: Bool { self >= .v2025_11_25 }
    /// True if sampling requests may contain tools.
    package var hasSamplingTools: Bool { self >= .v2025_11_25 }
    /// True if invalid tool arguments give results with `isError`; -32602 before.
    package var reportsBadArgumentsAsToolErrors: Bool { self >= .v2025_11_25 }
    /// True if resumable streams have a priming event and `retry`.
    package var hasPrimingEvents: Bool { self == .v2025_11_25 }
    /// True if structured content may be of any type, and so output schemas; only objects before.
    package var hasAnyStructuredContent: Bool { self >= .v2026_07_28 }
}
