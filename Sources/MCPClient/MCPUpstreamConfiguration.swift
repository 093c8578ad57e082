package import CurlTransport
package import MCP

/// Everything that one upstream MCP server needs to be told apart and reached; validated by whoever reads it from a file.
package struct MCPUpstreamConfiguration: Sendable {
    /// Which revisions to speak.
    package enum Era: String, CaseIterable, Sendable {
        /// Probe with `server/discover`, fall back to `initialize`, remember.
        case auto
        /// Always `initialize`; never probe.
        case legacy
        /// Always per-request metadata; never fall back.
        case modern
    }

    /// Bounded label for logs and metrics, such as `tools`.
    package var name: String
    /// Endpoint, `http://` or `https://`, path included, such as `http://127.0.0.1:8001/mcp/`.
    package var url: String
    /// Connect to this socket instead of the URL's host and port; the URL still gives `Host` and the path.
    package var unixSocketPath: String?
    /// Name look-up, TCP and TLS together.
    package var connectTimeout: Duration
    /// Tool annotations of this upstream are believed: `readOnlyHint` and `idempotentHint` allow replays.
    package var trusted: Bool
    /// Largest number of times that such a call is sent again, after failures of the transport, when it may have run.
    package var replays = 3
    /// Other servers can be given a call: here it is sent again once, the rest of its replays is theirs.
    package var hasAlternatives = false
    /// Revisions that are tried.
    package var era: Era
    /// Revision that `initialize` asks for; the server may choose another legacy one.
    package var legacyVersion: MCPVersion
    /// `legacyVersion` is the only one that is asked for; else the older ones are tried when the server refuses it.
    package var isVersionFixed = false
    /// A longer answer is `invalid`. For a streamed answer the bound holds for each event and for the whole stream.
    package var maximumResponseBytes: Int
    /// Legacy sessions kept at most; the least recently used idle one beyond it is ended with `DELETE`.
    package var sessionLimit: Int
    /// A legacy session unused for so long is ended with `DELETE`.
    package var sessionIdle: Duration
    /// Time that a refused connection is tried again, always within the call's deadline.
    package var retryWindow: Duration
    /// First pause between two tries; doubles, with jitter.
    package var retryPause: Duration
    /// Budget of one handshake (probe, `initialize`, `notifications/initialized`), independent of who waits for it.
    package var handshakeTimeout: Duration
    /// Time that the tool catalog counts as fresh when the server gives no `ttlMs`.
    package var catalogLifetime: Duration
    /// Tools kept at most; more is a warning and the rest is dropped.
    package var catalogLimit: Int
    /// Bytes of all tools' definitions together; what comes after is dropped with a warning.
    package var catalogBytes: Int
    /// TLS towards this upstream; nil means libcurl's defaults with the system's authorities.
    package var tls: CurlTLS?
    /// Forward proxy URL, if any.
    package var proxy: String?

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
