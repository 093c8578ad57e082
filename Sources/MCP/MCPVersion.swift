/// The two ways of opening a conversation.
package enum MCPEra: Hashable, Sendable {
    /// An `initialize` handshake, then perhaps a session: revisions up to 2025-11-25.
    case legacy
    /// No handshake, metadata on each request: 2026-07-28.
    case modern
}

/// A protocol revision that both processes speak.
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

    package static func < (left: MCPVersion, right: MCPVersion) -> Bool {
        left.rawValue < right.rawValue  // Dates in ISO 8601 sort as text.
    }

    /// Returns the revision that `initialize` answers: the same when it is a legacy revision spoken here, else
    /// the latest legacy one (lifecycle, version negotiation).
    package static func negotiated(requested: String) -> MCPVersion {
        guard let version = MCPVersion(rawValue: requested), version.era == .legacy else { return latestLegacy }
        return version
    }
}

/// What a revision knows; the renderings of messages ask here and nowhere else.
extension MCPVersion {
    /// Tool annotations, audio content, completions as a capability, messages on progress.
    package var hasToolAnnotations: Bool { self >= .v2025_03_26 }
    /// Presence of audio content.
    package var hasAudio: Bool { self >= .v2025_03_26 }
    /// Presence of the server's capability `completions`.
    package var hasCompletionsCapability: Bool { self >= .v2025_03_26 }
    /// Presence of `message` in progress notifications.
    package var hasProgressMessages: Bool { self >= .v2025_03_26 }
    /// Arrays of messages in one body: received in 2025-03-26 only.
    package var hasBatches: Bool { self == .v2025_03_26 }
    /// `title`, `_meta` on definitions and content, `lastModified`.
    package var hasTitles: Bool { self >= .v2025_06_18 }
    /// Presence of `structuredContent` and output schemas.
    package var hasStructuredContent: Bool { self >= .v2025_06_18 }
    /// Presence of resource links in results.
    package var hasResourceLinks: Bool { self >= .v2025_06_18 }
    /// Presence of elicitation.
    package var hasElicitation: Bool { self >= .v2025_06_18 }
    /// Presence of `context` in completion requests.
    package var hasCompletionContext: Bool { self >= .v2025_06_18 }
    /// Presence of icons.
    package var hasIcons: Bool { self >= .v2025_11_25 }
    /// Presence of elicitation in the mode `url`.
    package var hasURLElicitation: Bool { self >= .v2025_11_25 }
    /// Presence of tools in sampling requests.
    package var hasSamplingTools: Bool { self >= .v2025_11_25 }
    /// Bad tool arguments are results with `isError` from here on, -32602 before.
    package var reportsBadArgumentsAsToolErrors: Bool { self >= .v2025_11_25 }
    /// The priming event and `retry` on resumable streams.
    package var hasPrimingEvents: Bool { self == .v2025_11_25 }
    /// Structured content of any kind, output schemas of any type; objects only before.
    package var hasAnyStructuredContent: Bool { self >= .v2026_07_28 }
}
