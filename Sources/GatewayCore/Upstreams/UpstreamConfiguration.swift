import JSON
package import JSONConfiguration
package import MCP
package import MCPAggregator
import NIOCore

/// A set of tools that the gateway calls: an MCP server, the old backend, or an HTTP API.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `kind` | `mcp`, `chat`, `http` | `mcp` | an MCP server, a backend that takes chat payloads, an HTTP API |
/// | `tools` | map | none | kinds `chat` and `http`: ``ToolConfiguration`` by name |
/// | `url` | URL | – | `http://…`, `https://…` or `unix:/path/to/socket` |
/// | `command`, `args` | string, list | none | a stdio server that the gateway starts, in place of `url` |
/// | `env`, `directory` | map, path | none | its variables beside `PATH`, `HOME` and `LANG`; its working directory |
/// | `perCaller` | boolean | false | each caller with credentials has a process of its own |
/// | `processes` | integer | 16 | `perCaller`: such processes at a time |
/// | `processIdle` | duration | 10 min | `perCaller`: after which an unused process is ended |
/// | `urls` | list of URLs | none | further servers with the same tools; each call goes to the least busy one |
/// | `path` | string | `/mcp/`, `/api/chat/` of kind `chat` | path of the endpoint behind a Unix socket |
/// | `trusted` | boolean | false | trusts the server: its tools' annotations count, the top-level `forward` applies |
/// | `forward` | section | – | ``ForwardConfiguration`` for this upstream alone, instead of the top-level one |
/// | `headers` | map of secrets | none | fixed headers; they replace forwarded ones |
/// | `token` | section | – | ``TokenConfiguration``: a token of the gateway's own, or one exchanged for the caller's |
/// | `era` | `auto`, `legacy`, `modern` | `auto` | protocol era of the server |
/// | `protocolVersion` | a revision | negotiated | the only protocol revision that is used with the server |
/// | `replays` | integer | 3 | times that a read-only call is sent again after its connection failed |
/// | `connectTimeout` | duration | 2 s | time for opening a connection |
/// | `probeInterval` | duration | 5 s | time between two health checks |
/// | `retryWindow` | duration | 2 s | time for which a refused connection is tried again |
/// | `sessionLimit` | integer | 10 000 | largest number of MCP sessions at the server |
/// | `sessionIdle` | duration | 30 min | time after which an unused session is ended |
/// | `concurrency` | integer | 1024 | calls in progress at once, divided among the workers; 0: no limit |
/// | `queue` | integer | 1024 | calls that wait while `concurrency` is used up; more are refused with 503 |
/// | `queueTimeout` | duration | 1 s | longest time that a call waits in the queue, within its own deadline |
/// | `breaker` | section | – | ``BreakerConfiguration`` |
/// | `tls` | section | – | ``UpstreamTLSConfiguration`` |
///
/// Only an upstream of kind `mcp` has sessions: for the others `era`, `protocolVersion`, `replays`, `retryWindow`,
/// `sessionLimit` and `sessionIdle` are errors.
package struct UpstreamConfiguration: Hashable, Sendable {
    /// Protocol that the upstream speaks.
    package enum Kind: String, CaseIterable, Sendable { case mcp, chat, http }
    /// Revisions of MCP that are tried.
    package enum Era: String, CaseIterable, Sendable { case auto, legacy, modern }

    /// Name by which other parts of the configuration refer to the upstream.
    package let name: String
    /// Protocol that the upstream speaks.
    package let kind: Kind
    /// The first server; passed-through requests are sent to it while it can be reached.
    package let address: UpstreamAddress
    /// All servers, the first one included.
    package let addresses: [UpstreamAddress]
    /// True if the annotations of its tools are trusted, and the top-level forwarding rules apply to it.
    package let isTrusted: Bool
    /// Command of a stdio server that the gateway starts; nil for a server with an address.
    package let command: StdioUpstream.Command?
    /// Bounds of the processes where each caller has one of its own; nil: all callers share one.
    package let perCaller: StdioUpstream.PerCaller?
    /// Forwarding rules of its own; a list that they omit is empty. Nil: the rules for all upstreams.
    package let forward: ForwardConfiguration?
    /// Fixed headers.
    package let headers: [FixedHeader]
    /// Source of a token for the upstream; nil: none.
    package let token: TokenConfiguration?
    /// Tools of an upstream that does not speak MCP, in the file's order.
    package let tools: [ToolConfiguration]
    /// Revisions of MCP that are tried.
    package let era: Era
    /// The only revision that is used with the server; nil: the latest that both support.
    package let protocolVersion: MCPVersion?
    /// Largest number of times that a call which may have run is repeated.
    package let replays: Int
    /// Time limit of opening a connection.
    package let connectTimeout: Duration
    /// Time between two probes.
    package let probeInterval: Duration
    /// Time after a call's start in which it may be repeated.
    package let retryWindow: Duration
    /// Largest number of sessions.
    package let sessionLimit: Int
    /// Time after which an unused session is ended.
    package let sessionIdle: Duration
    let balancing: LoadBalancerState.Policy
    /// Time limit of waiting for a place.
    package let queueTimeout: Duration
    /// TLS settings; nil for the defaults.
    package let tls: UpstreamTLSConfiguration?

    init(name: String, _ reader: ConfigurationReader) {
        self.name = name
        let kind = reader.choice(
            "kind", default: Kind.mcp,
            "Protocol of the server. mcp: MCP; chat: the old chat API; http: an HTTP API.")
        self.kind = kind
        command = Self.command(reader)
        perCaller = Self.perCaller(reader, hasCommand: command != nil)
        let url = Self.url(
            reader, isOptional: command != nil,
            "URL of the server: http://HOST[:PORT]/PATH, https://… or unix:/path/to/socket.")
        let path = reader.string(
            "path", default: kind == .chat ? "/api/chat/" : kind == .http ? "/" : "/mcp/",
            "Path of the server's endpoint, where url is a Unix socket.")
        if let address = UpstreamAddress(url, socketEndpoint: path) {
            self.address = address
        } else {
            if !url.isEmpty {
                reader.fail("url", expected: "http://HOST[:PORT]/PATH, https://… or unix:/path", found: "\"\(url)\"")
            }
            self.address = UpstreamAddress(origin: "http://127.0.0.1:8001", endpoint: "/mcp/", socketPath: nil)
        }
        let further = reader.strings(
            "urls", default: [],
            "URLs of further servers with the same tools; calls are balanced over all of them.")
        addresses =
            [address]
            + further.compactMap { url in
                let address = UpstreamAddress(url, socketEndpoint: path)
                if address == nil {
                    reader.fail(
                        "urls", expected: "http://HOST[:PORT]/PATH, https://… or unix:/path", found: "\"\(url)\"")
                }
                return address
            }
        balancing = LoadBalancerState.Policy(
            concurrency: reader.integer(
                "concurrency", default: 1024, in: 0...1_000_000,
                "Largest number of calls in progress at a time, divided equally among the workers, at least one each. "
                    + "0: no limit."),
            queue: reader.integer(
                "queue", default: 1024, in: 0...1_000_000,
                "Largest number of calls that wait while concurrency is used up; more are refused with 503."),
            breaker: reader.section(
                "breaker",
                "Circuit breaker: after failed connections, calls fail at once for a while."
            ) {
                BreakerConfiguration($0).policy
            })
        queueTimeout = reader.duration(
            "queueTimeout", default: .seconds(1), in: .milliseconds(1)...(.seconds(3600)),
            "Longest time that a call waits in the queue, within its own deadline; then it is refused with 503.")
        isTrusted = reader.bool(
            "trusted", default: false,
            "true: the server is the company's own. The annotations of its tools are believed, and the top-level "
                + "forward applies to it. false: of a caller's request only Accept-Language and trace headers go "
                + "there, unless the upstream has a forward of its own.")
        forward = reader.optionalSection(
            "forward", "Cookies and headers of a caller that go to this upstream, instead of the top-level forward."
        ) { ForwardConfiguration($0, isOwn: true) }
        headers = reader.secretSources("headers", "Fixed headers by name; they replace forwarded ones.")
            .map { FixedHeader(name: $0.name, value: $0.value) }
        for header in headers where ForwardConfiguration.isRefused(header.name) && header.name.lowercased() != "cookie"
        {
            reader.fail("headers", expected: "an end-to-end header's name", found: "\"\(header.name)\"")
        }
        for header in headers where !header.value.value.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 9 }) {
            reader.fail("headers.\(header.name)", expected: "text without control characters", found: "one")
        }
        token =
            reader.optionalSection(
                "token", "Access token that the gateway fetches for this upstream: clientCredentials or exchange."
            ) {
                TokenConfiguration.read($0)
            } ?? nil
        if let token, token.grant == .exchange, token.issuer == nil, token.tokenURL == nil, !isTrusted {
            // The upstream would choose who gets its callers' tokens.
            reader.fail(
                "token.exchange.issuer", expected: "an issuer or a tokenURL for an upstream that is not trusted",
                found: "neither")
        }
        era = reader.choice(
            "era", default: Era.auto,
            "Era of MCP that the server speaks: legacy (to 2025-11-25), modern (from 2026-07-28), or auto, which asks "
                + "the server.")
        protocolVersion = Self.protocolVersion(reader, era)
        replays = reader.integer(
            "replays", default: 3, in: 0...100,
            "How often a call of a read-only or idempotent tool of a trusted upstream is sent again after its "
                + "connection failed; then it fails.")
        connectTimeout = reader.duration(
            "connectTimeout", default: .seconds(2), in: .milliseconds(1)...(.seconds(60)),
            "Time limit for opening a connection; beyond it the server counts as unreachable.")
        probeInterval = reader.duration(
            "probeInterval", default: .seconds(5), in: .milliseconds(10)...(.seconds(3600)),
            "Interval of checking the server's health and its tools.")
        retryWindow = reader.duration(
            "retryWindow", default: .seconds(2), in: .zero...(.seconds(60)),
            "Time for which a refused connection is tried again, within the call's deadline; then the call fails with "
                + "502.")
        sessionLimit = reader.integer(
            "sessionLimit", default: 10_000, in: 1...1_000_000,
            "Largest number of MCP sessions that the gateway holds at the server; beyond it the longest unused one is "
                + "ended.")
        sessionIdle = reader.duration(
            "sessionIdle", default: .seconds(1800), in: .seconds(1)...(.seconds(86400)),
            "Time after which an unused MCP session is ended.")
        tools = reader.map("tools", "Tools that an upstream of kind chat or http offers, by name.", of: "tool") {
            name, reader in
            ToolConfiguration(name, kind: kind, reader)
        }.map(\.value)
        if kind == .mcp, reader.isPresent("tools") {
            reader.fail("tools", expected: "only for an upstream of kind \"chat\" or \"http\"", found: "kind \"mcp\"")
        }
        if kind == .http, tools.isEmpty { reader.fail("tools", expected: "at least one tool", found: "none") }
        tls = reader.optionalSection("tls", "Settings of TLS connections to the server.") {
            UpstreamTLSConfiguration($0)
        }
        for key in ["era", "protocolVersion", "replays", "retryWindow", "sessionLimit", "sessionIdle"]
        where kind != .mcp && reader.isPresent(key) {
            reader.fail(key, expected: "only for an upstream of kind \"mcp\"", found: "kind \"\(kind.rawValue)\"")
        }
    }
}

/// A fixed header of the calls of one upstream.
package struct FixedHeader: Hashable, Sendable {
    package let name: String
    /// Value of the header; read again from its file when the upstream refuses the credentials.
    package let value: SecretSource
}

extension UpstreamConfiguration {
    private static func url(_ reader: ConfigurationReader, isOptional: Bool, _ documentation: String) -> String {
        guard isOptional else {
            return reader.requiredString(
                "url", documentation, example: "http://127.0.0.1:8001/mcp/", isAlternative: true)
        }
        if reader.optionalString("url", documentation, example: "http://127.0.0.1:8001/mcp/") != nil {
            reader.fail("url", expected: "either a url or a command", found: "both")
        }
        return ""
    }

    private static func command(_ reader: ConfigurationReader) -> StdioUpstream.Command? {
        let command = reader.optionalString(
            "command", "Path or name of a stdio server that the gateway starts and ends, in place of url.",
            example: "mcp-server-files")
        let arguments = reader.strings("args", default: [], "Arguments of the command.")
        let environment = reader.json(
            "env", "Variables of the server's environment beside PATH, HOME and LANG: an object of strings.",
            example: ["LOG_LEVEL": "warning"])
        let directory = reader.optionalString(
            "directory", "Working directory of the server; the gateway's own if not set.", example: "/srv/files")
        let variables = (environment?.object ?? [:]).compactMap { key, value in value.string.map { (key, $0) } }
        if let environment, environment.object?.count != variables.count {
            reader.fail("env", expected: "an object of strings", found: "something else")
        }
        guard let command else {
            for key in ["args", "env", "directory"] where reader.isPresent(key) {
                reader.fail(key, expected: "a command beside it", found: "none")
            }
            return nil
        }
        return StdioUpstream.Command(
            command: command, arguments: arguments,
            environment: Dictionary(variables) { _, last in last }, directory: directory)
    }

    private static func perCaller(_ reader: ConfigurationReader, hasCommand: Bool) -> StdioUpstream.PerCaller? {
        let isOn = reader.bool(
            "perCaller", default: false,
            "true: each caller with credentials has a process of its own, so that what the server remembers of one caller "
                + "does not reach another. Callers without credentials share one.")
        let processes = reader.integer(
            "processes", default: 16, in: 1...10_000,
            "Processes of callers at a time, with perCaller. For one more, the unused one that was used longest ago is "
                + "ended; if all are busy, the request fails as overloaded.")
        let idle = reader.duration(
            "processIdle", default: .seconds(600), in: .milliseconds(10)...(.seconds(86_400)),
            "Time after which an unused process is ended, with perCaller.")
        for key in ["perCaller", "processes", "processIdle"] where reader.isPresent(key) && !hasCommand {
            reader.fail(key, expected: "a command beside it", found: "none")
        }
        for key in ["processes", "processIdle"] where reader.isPresent(key) && hasCommand && !isOn {
            reader.fail(key, expected: "\"perCaller\": true beside it", found: "none")
        }
        return isOn ? StdioUpstream.PerCaller(processes: processes, idle: idle) : nil
    }

    private static func protocolVersion(_ reader: ConfigurationReader, _ era: Era) -> MCPVersion? {
        let names = MCPVersion.allCases.map(\.rawValue).joined(separator: ", ")
        guard
            let name = reader.optionalString(
                "protocolVersion",
                "The only protocol revision in which the server is spoken to, one of \(names); not set: negotiated.",
                example: "2025-06-18")
        else { return nil }
        guard let version = MCPVersion(rawValue: name) else {
            reader.fail("protocolVersion", expected: "one of \(names)", found: "\"\(name)\"")
            return nil
        }
        if era != .auto, (era == .modern) != (version.era == .modern) {
            reader.fail(
                "protocolVersion", expected: "a revision of the era \"\(era.rawValue)\"", found: "\"\(name)\"")
        }
        return version
    }

    /// True if its tools are hidden until they are pinned, where there is a lock file: the server is not ours.
    package var isPinnable: Bool { kind == .mcp && !isTrusted }

    /// Returns the forwarding rules for this upstream; nil when the top-level ones apply unchanged.
    func forward(from topLevel: ForwardConfiguration) -> ForwardConfiguration? {
        // A server over stdio receives nothing of a caller: what tells callers apart stays here.
        let isBelieved = isTrusted || perCaller != nil
        let rules = forward ?? (isBelieved ? topLevel : .untrusted)
        // A replaced header is not forwarded, so that it does not distinguish callers either.
        var replaced = Set(headers.map { $0.name.lowercased() })
        if token != nil { replaced.insert("authorization") }
        if forward == nil, isBelieved, replaced.isEmpty { return nil }
        return rules.removing(replaced)
    }
}

/// Settings of the circuit breaker: it opens after `failures` consecutive calls that did not reach the server (default
/// 5; 0: never), for `pause` (default 1 s) or until a check succeeds.
package struct BreakerConfiguration: Hashable, Sendable {
    /// Number of consecutive failures that open the breaker.
    package let failures: Int
    /// Time that the breaker stays open.
    package let pause: Duration

    init(_ reader: ConfigurationReader) {
        failures = reader.integer(
            "failures", default: 5, in: 0...1_000_000,
            "Number of calls in a row that did not reach the server, after which the breaker opens. 0: it never opens.")
        pause = reader.duration(
            "pause", default: .seconds(1), in: .milliseconds(1)...(.seconds(3600)),
            "Time for which the breaker stays open; then one call tries again.")
    }

    var policy: CircuitBreaker.Policy { CircuitBreaker.Policy(failures: failures, pause: TimeAmount(pause)) }
}

extension LoadBalancerState.Policy {
    /// Returns a worker's part of the bounds.
    func shared(by workers: Int) -> Self {
        var policy = self
        policy.concurrency = (concurrency + workers - 1) / workers
        policy.queue = (queue + workers - 1) / workers
        return policy
    }
}

/// Address of a server of an upstream.
package struct UpstreamAddress: Hashable, Sendable {
    /// Scheme and authority, such as `http://127.0.0.1:8001`; `http://localhost` behind a socket.
    package let origin: String
    /// The MCP endpoint's path, such as `/mcp/`.
    package let endpoint: String
    /// Path of the Unix socket; nil for TCP.
    package let socketPath: String?

    /// The endpoint's URL.
    package var url: String { origin + endpoint }

    /// Creates an address from its parts.
    package init(origin: String, endpoint: String, socketPath: String?) {
        self.origin = origin
        self.endpoint = endpoint
        self.socketPath = socketPath
    }

    /// Parses a URL or `unix:/path`; nil when it is not one of a supported kind. Credentials, queries and fragments are
    /// refused: a secret in a URL would appear in logs.
    package init?(_ text: String, socketEndpoint: String = "/mcp/") {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        if text.hasPrefix("unix:") {
            var path = text.dropFirst("unix:".count)
            if path.hasPrefix("//") { path = path.dropFirst(2) }
            guard path.hasPrefix("/"), path.count > 1, path.utf8.count <= 107, socketEndpoint.hasPrefix("/") else {
                return nil
            }
            self.init(origin: "http://localhost", endpoint: socketEndpoint, socketPath: String(path))
            return
        }
        let lower = text.lowercased()
        guard let scheme = ["http://", "https://"].first(where: { lower.hasPrefix($0) }) else { return nil }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let path = rest.dropFirst(authority.count)
        guard Self.isAuthority(authority), !path.contains("?"), !path.contains("#") else { return nil }
        self.init(origin: scheme + authority.lowercased(), endpoint: path.isEmpty ? "/" : String(path), socketPath: nil)
    }

    private static func isAuthority(_ text: Substring) -> Bool {
        guard !text.contains("@"), !text.isEmpty else { return false }
        var port = Substring()
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return false }
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return false }
            port = rest.dropFirst()
        } else {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2, let host = parts.first, !host.isEmpty else { return false }
            port = parts.count == 2 ? parts[1] : ""
            if parts.count == 2, port.isEmpty { return false }
        }
        return port.isEmpty || (Int(port).map { (1...65_535).contains($0) } ?? false)
    }
}
