import MCP

/// Era of an upstream, as far as it has been proven. At most one probe runs at a time.
struct EraMemory {
    enum Knowledge {
        case unknown
        /// The handshake with this ticket is finding out.
        case probing(ticket: UInt64)
        case modern(UpstreamConnection)
        case legacy
    }

    private(set) var knowledge: Knowledge = .unknown
    /// Endpoint to use, after a redirect that was followed.
    private(set) var url: String
    let configuredURL: String
    let era: MCPUpstreamConfiguration.Era
    /// Revision that `initialize` requests: the configured one, or another that the server accepted instead.
    private(set) var legacyVersion: MCPVersion
    private let configuredVersion: MCPVersion

    init(url: String, era: MCPUpstreamConfiguration.Era, legacyVersion: MCPVersion = .latestLegacy) {
        self.url = url
        self.legacyVersion = legacyVersion
        configuredVersion = legacyVersion
        self.configuredURL = url
        self.era = era
        reset()
    }

    mutating func probe(ticket: UInt64) {
        // The redirect is forgotten too: the server behind the URL may be another one.
        url = configuredURL
        knowledge = .probing(ticket: ticket)
    }

    mutating func learn(_ connection: UpstreamConnection) {
        url = connection.url
        if let requested = connection.requested { legacyVersion = requested }
        knowledge = connection.era == .modern ? .modern(connection) : .legacy
    }

    /// Ends a probe without proof.
    mutating func failed(ticket: UInt64) {
        if case .probing(ticket) = knowledge { reset() }
    }

    /// Forgets a wrong era: the next handshake probes.
    mutating func forget() {
        if case .probing = knowledge { return }
        reset()
    }

    mutating func moved(to url: String) {
        self.url = url
        if case .modern(let connection) = knowledge { knowledge = .modern(connection.moved(to: url)) }
    }

    private mutating func reset() {
        url = configuredURL
        legacyVersion = configuredVersion
        knowledge = era == .legacy ? .legacy : .unknown
    }
}
