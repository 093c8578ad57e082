import CurlTransport
import MCP

/// What a handshake yields: how to talk to the upstream in the name of one credential partition. Immutable and shared
/// by all calls of the partition on all shards. In the modern era one serves every partition.
final class UpstreamConnection: Sendable {
    let version: MCPVersion
    /// Legacy only; nil when the server works without session ids.
    let sessionID: String?
    /// Endpoint, a remembered redirect applied.
    let url: String
    /// Tells a connection apart from the one that replaces it, so that many calls that find out about one dead session
    /// at the same time discard it once.
    let generation: UInt64
    /// Result of `initialize` or `server/discover`, JSON text; empty where the handshake had none.
    let description: [UInt8]
    /// The revision that `initialize` asked for; nil in the modern era.
    let requested: MCPVersion?
    /// What every request over this connection carries.
    let headers: CurlHeaders

    var era: MCPEra { version.era }

    init(
        version: MCPVersion, sessionID: String?, url: String, generation: UInt64, description: [UInt8] = [],
        requested: MCPVersion? = nil
    ) {
        self.requested = requested
        self.version = version
        self.sessionID = sessionID
        self.url = url
        self.generation = generation
        self.description = description
        var headers = Self.plainHeaders
        headers.append(name: MCPHeader.protocolVersion, value: version.rawValue)
        if let sessionID { headers.append(name: MCPHeader.sessionID, value: sessionID) }
        self.headers = headers
    }

    /// What a request without a connection carries (`initialize`).
    static let plainHeaders: CurlHeaders = [
        (name: "Content-Type", value: "application/json"),
        (name: "Accept", value: "application/json, text/event-stream"),
    ]

    func moved(to url: String) -> UpstreamConnection {
        UpstreamConnection(
            version: version, sessionID: sessionID, url: url, generation: generation, description: description,
            requested: requested)
    }

    /// Whether a request refused over `other` could fare differently over this one.
    func differs(from other: UpstreamConnection) -> Bool {
        version != other.version || (sessionID == nil) != (other.sessionID == nil) || url != other.url
    }
}
