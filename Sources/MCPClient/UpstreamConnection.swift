import CurlTransport
import MCP

/// Result of a handshake: version, session and headers for one credential partition. Immutable and shared by all calls
/// of the partition on all workers. In the modern era one serves every partition.
final class UpstreamConnection: Sendable {
    let version: MCPVersion
    /// Session id of a legacy server; nil when it works without session ids.
    let sessionID: String?
    /// URL of the endpoint, after a redirect.
    let url: String
    /// Number that distinguishes a connection from its replacement, so that many calls that notice one lost session at
    /// the same time discard it once.
    let generation: UInt64
    /// Result of `initialize` or `server/discover`, as JSON text; empty where the handshake had none.
    let description: [UInt8]
    /// Revision that `initialize` requested; nil in the modern era.
    let requested: MCPVersion?
    /// Headers of every request over this connection.
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

    /// Headers of a request without a connection (`initialize`).
    static let plainHeaders: CurlHeaders = [
        (name: "Content-Type", value: "application/json"),
        (name: "Accept", value: "application/json, text/event-stream"),
    ]

    func moved(to url: String) -> UpstreamConnection {
        UpstreamConnection(
            version: version, sessionID: sessionID, url: url, generation: generation, description: description,
            requested: requested)
    }

    /// Returns whether a request refused over `other` might be accepted over this one.
    func differs(from other: UpstreamConnection) -> Bool {
        version != other.version || (sessionID == nil) != (other.sessionID == nil) || url != other.url
    }
}
