package import CurlTransport
package import MCP
package import ProcessMemory

/// Settings of one upstream MCP server; validated by the reader of the configuration file.
package struct MCPUpstreamConfiguration: Sendable {
    /// Revisions to use.
    package enum Era: String, CaseIterable, Sendable {
        /// Probe with `server/discover`, continue with `initialize` if necessary, remember the era.
        case auto
        /// Send `initialize` without a probe.
        case legacy
        /// Send per-request metadata, never `initialize`.
        case modern
    }

    /// Label for logs and metrics, such as `tools`; a bounded set.
    package var name: String
    /// Endpoint, `http://` or `https://`, path included, such as `http://127.0.0.1:8001/mcp/`.
    package var url: String
    /// Path of a socket to connect to in place of the URL's host and port; the URL still determines `Host` and the
    /// path.
    package var unixSocketPath: String?
    /// Time limit of name resolution, TCP and TLS together.
    package var connectTimeout: Duration
    /// True if the tool annotations of this upstream are trusted: `readOnlyHint` and `idempotentHint` allow
    /// repetitions.
    package var trusted: Bool
    /// Largest number of times that such a call is repeated, after failures of the transport, when it may have run.
    package var replays = 3
    /// True if other servers can take a call: here it is repeated once, the other repetitions are left to them.
    package var hasAlternatives = false
    /// Revisions that are tried.
    package var era: Era
    /// Revision that `initialize` requests; the server may choose another legacy one.
    package var legacyVersion: MCPVersion
    /// True if only `legacyVersion` is requested; else the older ones are tried when the server refuses it.
    package var isVersionFixed = false
    /// Largest answer in bytes; a larger one is `invalid`. For a streamed answer the limit applies to each event and to
    /// the whole stream.
    package var maximumResponseBytes: Int
    /// Largest number of legacy sessions; beyond it the least recently used idle one is ended with `DELETE`.
    package var sessionLimit: Int
    /// Time without use after which a legacy session is ended with `DELETE`.
    package var sessionIdle: Duration
    /// Time in which a refused connection is tried again, always within the call's deadline.
    package var retryWindow: Duration
    /// First pause between two attempts; it doubles, with jitter.
    package var retryPause: Duration
    /// Time limit of one handshake (probe, `initialize`, `notifications/initialized`), independent of the calls that
    /// wait for it.
    package var handshakeTimeout: Duration
    /// Time for which the tool catalog is fresh when the server gives no `ttlMs`.
    package var catalogLifetime: Duration
    /// Largest number of tools; further ones are dropped with a warning.
    package var catalogLimit: Int
    /// Largest size of all tools' definitions together, in bytes; further ones are dropped with a warning.
    package var catalogBytes: Int
    /// Budget of the process, from which answers and the tool catalog draw.
    package var memory = MemoryBudget.unlimited
    /// Queue on which the list of tools is read.
    package var lists = ParsingQueue.lists
    /// TLS settings for this upstream; nil: libcurl's defaults with the system's authorities.
    package var tls: CurlTLS?
    /// Forward proxy URL, if any.
    package var proxy: String?
    /// Change of every request before it is sent, such as a signature over it; nil: none.
    package var signing: (@Sendable (_ request: inout CurlRequest) -> Void)?

    /// Describes an upstream.
    package init(
        name: String, url: String, unixSocketPath: String? = nil, connectTimeout: Duration = .seconds(2),
        trusted: Bool = false, era: Era = .auto, legacyVersion: MCPVersion = .latestLegacy,
        maximumResponseBytes: Int = 16 * 1024 * 1024,
        sessionLimit: Int = 10_000, sessionIdle: Duration = .seconds(30 * 60), retryWindow: Duration = .seconds(2),
        retryPause: Duration = .milliseconds(25), handshakeTimeout: Duration = .seconds(10),
        catalogLifetime: Duration = .seconds(300), catalogLimit: Int = 10_000,
        catalogBytes: Int = 8 * 1024 * 1024, tls: CurlTLS? = nil,
        proxy: String? = nil
    ) {
        self.name = name
        self.url = url
        self.unixSocketPath = unixSocketPath
        self.connectTimeout = connectTimeout
        self.trusted = trusted
        self.era = era
        self.legacyVersion = legacyVersion
        self.maximumResponseBytes = maximumResponseBytes
        self.sessionLimit = sessionLimit
        self.sessionIdle = sessionIdle
        self.retryWindow = retryWindow
        self.retryPause = retryPause
        self.handshakeTimeout = handshakeTimeout
        self.catalogLifetime = catalogLifetime
        self.catalogLimit = catalogLimit
        self.catalogBytes = catalogBytes
        self.tls = tls
        self.proxy = proxy
    }
}
