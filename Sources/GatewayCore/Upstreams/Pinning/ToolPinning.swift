package import JSON
import Logging
package import MCP
import MCPAggregator
import MCPClient
import Synchronization

/// Hides the tools of an upstream whose definitions are new or have changed since they were pinned. Any thread.
///
/// Nothing is hidden while there is no lock file, and of a trusted upstream nothing ever is.
package final class ToolPinning: ToolReview {
    /// A tool that is hidden, with the definition that the server sent.
    package struct HiddenTool: Hashable, Sendable {
        /// Name that the upstream uses.
        package let tool: ExactString
        /// SHA-256 of the definition.
        package let digest: String
        /// True for a tool that was never pinned; false for one whose definition has changed.
        package let isNew: Bool
    }

    private struct State {
        /// Hashes of the pinned definitions by tool; nil: nothing is hidden.
        var pins: [ExactString: Set<String>]?
        /// Tools that the gateway's own lists lack, by the revision of the list; nil stands for the checks of the upstream.
        var hidden: [MCPVersion?: (tools: [HiddenTool], at: ContinuousClock.Instant)] = [:]
        /// Tools that calls of the chat API may not use: what the last check of the upstream hid.
        var refused: Set<ExactString> = []
        /// Outcome of the last check, with the serial number of the catalog that it listed.
        var checked: (serial: Int, admitted: ToolCatalog, hidden: [HiddenTool])?
        /// Findings that are in the log already.
        var logged: Set<HiddenTool> = []
    }

    private let upstream: String
    private let logger: Logger
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state = Mutex(State())
    /// Age from which a list says nothing any more: no client of its revision has come since.
    private static let oldest = Duration.seconds(600)
    /// Lines of the log that are remembered, so that each is written once.
    private static let maximumLogged = 10_000

    init(
        upstream: String, logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        self.upstream = upstream
        self.logger = logger
        self.now = now
    }

    /// Takes over what has been pinned.
    ///
    /// - Parameter tools: The upstream's part of the lock file; nil: nothing is hidden.
    /// - Returns: False if that is what was in force before.
    func replace(with tools: ToolLock.Tools?) -> Bool {
        let pins = tools?.mapValues { Set($0.map(\.digest)) }
        return state.withLock { state in
            guard state.pins != pins else { return false }
            state = State(pins: pins)
            return true
        }
    }

    /// The hidden tools as the gateway's own lists show them, by name.
    package var hidden: [HiddenTool] {
        let now = now()
        let lists = state.withLock { Array($0.hidden.values) }.filter { now - $0.at < Self.oldest }
        let tools = Dictionary(lists.flatMap(\.tools).map { ($0.tool, $0) }) { first, _ in first }
        return tools.values.sorted { $0.tool.text.utf8.lexicographicallyPrecedes($1.tool.text.utf8) }
    }

    /// True if there is a lock file that concerns the upstream.
    package var isActive: Bool { state.withLock { $0.pins != nil } }

    /// Returns whether a tool of that definition may be shown.
    func allows(_ definition: JSONValue) -> Bool {
        guard let pins = state.withLock({ $0.pins }) else { return true }
        return Self.hiddenTool(definition, pins) == nil
    }

    /// Returns whether a front that sees no definitions may call a tool: it must have been pinned, and not be known to have
    /// changed since.
    func allowsCall(of tool: String) -> Bool {
        state.withLock { state in
            guard let pins = state.pins else { return true }
            let name = ExactString(tool)
            return pins[name] != nil && !state.refused.contains(name)
        }
    }

    package func admitted(_ tools: [JSONValue], version: MCPVersion, isOwn: Bool) -> [JSONValue] {
        guard let pins = state.withLock({ $0.pins }) else { return tools }
        let hidden = tools.map { Self.hiddenTool($0, pins) }
        note(hidden.compactMap { $0 }, from: version, isOwn)
        return zip(tools, hidden).filter { $0.1 == nil }.map(\.0)
    }

    /// Returns the catalog that a check has read without the tools that are hidden.
    func admitted(_ catalog: ToolCatalog) -> ToolCatalog {
        let (known, checked) = state.withLock { ($0.pins, $0.checked) }
        guard let pins = known else { return catalog }
        if let checked, checked.serial == catalog.serial {
            note(checked.hidden, from: nil, true)
            return checked.admitted
        }
        var hidden: [HiddenTool] = []
        let admitted = catalog.filter { entry in
            guard let found = Self.hiddenTool(entry.source, pins) else { return true }
            hidden.append(found)
            return false
        }
        note(hidden, from: nil, true)
        state.withLock { state in
            state.refused = Set(hidden.map(\.tool))
            // Other pins may have come into force meanwhile.
            if state.pins == pins { state.checked = (catalog.serial, admitted, hidden) }
        }
        return admitted
    }

    private static func hiddenTool(_ definition: JSONValue, _ pins: [ExactString: Set<String>]) -> HiddenTool? {
        let name = ExactString(definition["name"]?.string ?? "")
        let digest = ToolLock.Definition(definition).digest
        guard let pinned = pins[name] else { return HiddenTool(tool: name, digest: digest, isNew: true) }
        return pinned.contains(digest) ? nil : HiddenTool(tool: name, digest: digest, isNew: false)
    }

    private func note(_ hidden: [HiddenTool], from source: MCPVersion?, _ isOwn: Bool) {
        let now = now()
        let new = state.withLock { state in
            if isOwn { state.hidden[source] = (hidden, now) }
            let new = hidden.filter { !state.logged.contains($0) }
            if state.logged.count + new.count > Self.maximumLogged { state.logged = [] }
            state.logged.formUnion(new.prefix(Self.maximumLogged))
            return new
        }
        for tool in new {
            logger.warning(
                tool.isNew ? "tool is hidden, it was never pinned" : "tool is hidden, its definition has changed",
                metadata: [
                    "upstream": "\(upstream)", "tool": "\(tool.tool.text.printable)", "tool.sha256": "\(tool.digest)",
                ])
        }
    }
}
