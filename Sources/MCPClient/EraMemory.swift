import MCP

/// Which era an upstream speaks, as far as it has been proven. Single-flight: at most one probe at a time.
struct EraMemory {
    enum Knowledge {
        case unknown
        /// The handshake with this ticket finds out.
        case probing(ticket: UInt64)
        case modern(UpstreamConnection)
        case legacy
    }

    private(set) var knowledge: Knowledge = .unknown
    /// Endpoint to use, a redirect once followed included.
    private(set) var url: String
    let configuredURL: String
    let era: MCPUpstreamConfiguration.Era

    init(url: String, era: MCPUpstreamConfiguration.Era) {
        self.url = url
        self.configuredURL = url
        self.era = era
        reset()
    }

    mutating func probe(ticket: UInt64) {
        // Asked anew, the redirect is too: the server behind the URL may be another one.
        url = configuredURL
        knowledge = .probing(ticket: ticket)
    }

    mutating func learn(_ connection: UpstreamConnection) {
        url = connection.url
        knowledge = connection.era == .modern ? .modern(connection) : .legacy
    }

    /// A probe ended without proof.
    mutating func failed(ticket: UInt64) {
        if case .probing(ticket) = knowledge { reset() }
    }

    /// The memory proved wrong: whoever comes next probes.
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
        knowledge = era == .legacy ? .legacy : .unknown
    }
}
