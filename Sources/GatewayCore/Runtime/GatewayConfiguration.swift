package import HTTPSyntax
package import JSON
package import JSONConfiguration
package import Logging
package import MCPServerHTTP
package import ServiceRuntime

/// `gateway.json` as the gateway reads it.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `listen` | address | `127.0.0.1:8080` | address at which the gateway accepts clients |
/// | `admin` | address or `off` | `127.0.0.1:9090` | address of health, readiness and metrics |
/// | `workers` | integer | the cores that the process may use | event loops with an upstream engine each |
/// | `errors` | `standard`, `legacy` | `standard` | statuses of upstream failures: 502 and 504, or 500 for both |
/// | `page` | boolean | true | serves the chat page at `/` |
/// | `pageTexts` | map of strings | empty | texts of the page and its component by name, `lang` and `dir` |
/// | `serverTiming` | boolean | true | the `Server-Timing` header |
/// | `accessLog` | boolean | true | one JSON line a request |
/// | `logLevel` | level | `info` | lowest level of messages that are logged |
/// | `upstreams` | map | – | ``UpstreamConfiguration`` |
/// | `forward` | section | – | ``ForwardConfiguration`` |
/// | `mcp` | section | none | ``MCPConfiguration`` |
/// | `lock` | path | none | the lock file, relative to the configuration file, in which the tools of upstreams that are not trusted are pinned |
/// | `sessionKey`, `previousSessionKeys` | text, list | none | ``SessionKeysConfiguration`` |
/// | `passthrough` | section | – | ``PassThroughConfiguration`` |
/// | `allowedHosts`, `allowedOrigins`, `trustedProxies` | | | ``SiteConfiguration`` |
/// | `cors` | section | none | ``CORSConfiguration`` |
/// | `rateLimits` | section | none | ``RateLimitConfiguration`` |
/// | `limits` | section | – | ``LimitsConfiguration`` |
/// | `drain` | section | – | ``DrainConfiguration`` |
/// | `tracing` | section | – | ``TracingConfiguration`` |
/// | `certificates` | list | empty | PEM files whose expiry is a metric, such as the proxy's |
/// | `chat` | section | – | ``ChatConfiguration`` |
/// | `caller` | section | none | ``CallerConfiguration``: source of `{caller.id}` |
package struct GatewayConfiguration: Sendable {
    /// Address on which the gateway listens: `HOST:PORT`, `[::1]:PORT` or `unix:/path`.
    package var listen: String
    /// Address of the admin listener; nil: none.
    package var admin: String?
    /// Number of workers.
    package var workers: Int
    /// Statuses of the responses to upstream failures.
    package var errors: GatewayErrorStyle
    /// True if the chat page is served.
    package var page: Bool
    /// Texts that replace those of the page and of its component, by their names in `page-texts.js` and
    /// `mcp-chat-texts.js`; `lang` and `dir` become the document's.
    package var pageTexts: JSONObject
    /// True if responses carry the header `Server-Timing`.
    package var serverTiming: Bool
    /// True if the access log is written.
    package var accessLog: Bool
    /// Lowest level of messages that are logged.
    package var logLevel: Logger.Level
    /// Upstreams in the file's order; names are unique.
    package var upstreams: [UpstreamConfiguration]
    /// Headers that are forwarded to upstreams.
    package var forward: ForwardConfiguration
    /// Paths that are passed through to an upstream.
    package var passthrough: PassThroughConfiguration
    /// MCP endpoints that the gateway serves itself; nil: none.
    package var mcp: MCPConfiguration?
    /// Path of the lock file as the configuration has it; nil: no tool is hidden until it is pinned.
    package var lockFile: String?
    /// The content of the lock file, which ``GatewayConfigurationFile`` reads.
    package var lock: ToolLock?
    /// Keys that seal the identifiers of sessions.
    package var sessionKeys: SessionKeysConfiguration
    /// Hosts that the tool-server's section of the same file allows; nil where it does not set them.
    package var toolServerHosts: AllowedHosts?
    /// Hosts, pages and proxies that are accepted.
    package var site: SiteConfiguration
    /// Permissions of pages of other origins; nil: none.
    package var cors: CORSConfiguration?
    /// Rates of requests; nil: no limits.
    package var rateLimits: RateLimitConfiguration?
    /// Proxies whose forwarding headers are trusted.
    package var trustedProxies: TrustedProxies { site.trustedProxies }
    /// Rule that determines a client's address.
    package var clientAddress: ClientAddressRule {
        ClientAddressRule(rateLimits?.addressHeader ?? .forwardedFor, trusted: trustedProxies)
    }
    /// Limits of sizes and numbers.
    package var limits: LimitsConfiguration
    /// Times of the shutdown.
    package var drain: DrainConfiguration
    /// Settings of tracing; nil: no traces.
    package var tracing: TracingConfiguration?
    /// PEM files whose end of validity is in the metrics.
    package var certificates: [String]
    /// Chat types.
    package var chat: ChatConfiguration
    /// Source of a caller's identity; nil: no tool needs it.
    package var caller: CallerConfiguration?
    /// Every secret of the configuration, for redaction.
    package var secrets: [Secret] = []

    /// Reads the section.
    package init(_ reader: ConfigurationReader) {
        listen = reader.string(
            "listen", default: "127.0.0.1:8080",
            "Address on which the gateway accepts clients: HOST:PORT or unix:/path.")
        let admin = reader.string(
            "admin", default: "127.0.0.1:9090",
            "Address of the admin listener with health and metrics: HOST:PORT, unix:/path or off.")
        self.admin = admin == "off" ? nil : admin
        for (key, address) in [("listen", listen), ("admin", self.admin ?? "127.0.0.1:0")]
        where ListenAddress.problem(address) != nil {
            reader.fail(key, expected: "HOST:PORT, [ADDRESS]:PORT or unix:/path", found: "\"\(address)\"")
        }
        workers = reader.integer(
            "workers", default: 0, in: 0...1024,
            "Number of worker threads. 0: one for each core that the process may use.")
        if workers == 0 { workers = AvailableCores.count() }
        errors = reader.choice(
            "errors", default: GatewayErrorStyle.standard,
            "Status of upstream failures. standard: 502 and 504; legacy: 500 in place of both, as the old API "
                + "answered.")
        page = reader.bool("page", default: true, "true: the chat page is served at /.")
        pageTexts = Self.pageTexts(reader)
        serverTiming = reader.bool("serverTiming", default: true, "true: responses carry the header Server-Timing.")
        accessLog = reader.bool("accessLog", default: true, "true: each request is logged in one line.")
        logLevel = reader.choice("logLevel", default: Logger.Level.info, "Least severe level that is logged.")
        upstreams = reader.map(
            "upstreams",
            "Servers whose tools the gateway calls, by name: MCP servers, chat backends and HTTP APIs.", of: "upstream"
        ) {
            name, reader in
            UpstreamConfiguration(name: name, reader)
        }.map(\.value)
        let servers = upstreams.filter { $0.kind == .mcp }.map(\.name)
        forward = reader.section(
            "forward",
            "Cookies and headers of a caller that are forwarded to trusted upstreams."
        ) { ForwardConfiguration($0) }
        mcp = reader.optionalSection(
            "mcp",
            "MCP endpoints that the gateway serves itself, instead of passing /mcp/ through."
        ) { MCPConfiguration($0) }
        let lock = reader.optionalString(
            "lock",
            "Path, relative to this file, of the lock file that `gateway pin` writes. With it, a tool of an upstream that "
                + "is not trusted is hidden from lists and calls while its definition is not the pinned one.")
        lockFile = lock ?? mcp?.lock
        if let lock, let other = mcp?.lock, lock != other {
            reader.fail("mcp.lock", expected: "\"\(lock)\", as lock has it, or nothing", found: "\"\(other)\"")
        }
        sessionKeys = SessionKeysConfiguration(reader)
        passthrough = reader.section("passthrough", "Requests that are passed to an upstream unchanged.") {
            PassThroughConfiguration($0, upstream: Self.candidate(servers))
        }
        site = SiteConfiguration(reader)
        cors = reader.optionalSection(
            "cors",
            "Cross-origin resource sharing (CORS): what pages of other origins may read."
        ) {
            CORSConfiguration($0)
        }
        rateLimits = reader.optionalSection(
            "rateLimits",
            "Limits of the calls of a caller in a time; beyond them the answer is 429."
        ) {
            RateLimitConfiguration($0)
        }
        limits = reader.section("limits", "Sizes, times and numbers that bound every request.") {
            LimitsConfiguration($0)
        }
        drain = reader.section(
            "drain",
            "Shutdown of the process: readiness turns false, requests in progress finish, then connections close."
        ) { DrainConfiguration($0) }
        tracing = reader.section("tracing", "Settings of tracing by OTLP/HTTP.") {
            TracingConfiguration($0)
        }
        certificates = reader.strings(
            "certificates", default: [],
            "Paths of PEM files, such as the proxy's, the expiry of whose certificates is a metric.")
        let names = upstreams.map(\.name)
        chat = reader.section("chat", "Settings of POST /api/chat/.") {
            ChatConfiguration($0, upstream: Self.candidate(names) ?? "tools")
        }
        caller = reader.optionalSection(
            "caller",
            "Source of a caller's identity, for {caller.id} and {caller.name} in tools of kind http."
        ) {
            CallerConfiguration($0, upstream: Self.candidate(names) ?? "tools")
        }
        reader.ignore("toolServer", "The tool-server's section; the gateway does not read it.")
        reader.ignore("$schema", "URL or path of this JSON Schema, for editors.")
        checkReferences(reader)
    }

    /// Returns the upstream that is used where none is named: `tools`, or the only one. With several others there is no
    /// default: the name `tools` is then reported as unknown. Nil when there are no upstreams.
    private static func candidate(_ names: [String]) -> String? {
        names.contains("tools") || names.count > 1 ? "tools" : names.first
    }

    private static func pageTexts(_ reader: ConfigurationReader) -> JSONObject {
        let json = reader.json(
            "pageTexts",
            "Texts that replace those of the page, by name, and the page's lang and dir: an object of strings.",
            example: ["lang": "de", "send": "Senden"])
        guard let json else { return [:] }
        guard let texts = json.object, texts.allSatisfy({ $0.value.string != nil }), json.serialized.count <= 65_536
        else {
            reader.fail("pageTexts", expected: "an object of strings of at most 64 KiB", found: "something else")
            return [:]
        }
        return texts
    }

    private func checkReferences(_ reader: ConfigurationReader) {
        let names = Set(upstreams.map(\.name))
        if upstreams.isEmpty {
            reader.fail("upstreams", expected: "at least one upstream", found: "none")
            return
        }
        let kinds = Dictionary(upstreams.map { ($0.name, $0.kind) }) { first, _ in first }
        func check(_ name: String, _ key: String, is kind: UpstreamConfiguration.Kind?) {
            guard kinds[name] == nil || (kind != nil && kinds[name] != kind) else { return }
            let known = names.filter { kind == nil || kinds[$0] == kind }.sorted().map { "\"\($0)\"" }
            let list = known.isEmpty ? "the name of" : "one of " + known.joined(separator: ", ") + ","
            let expected = kind.map { "\(list) an upstream of kind \"\($0.rawValue)\"" }
            reader.fail(key, expected: expected ?? "one of " + known.joined(separator: ", "), found: "\"\(name)\"")
        }
        for type in chat.types {
            let path = "chat.types.\(type.name)"
            check(type.upstream, path + ".upstream", is: nil)
            if type.tool.isEmpty, kinds[type.upstream] != .chat {
                reader.fail(path + ".tool", expected: "a string", found: "nothing")
            }
            checkTool(type.tool, type.upstream, path + ".tool", reader)
            let others = [
                ("canary", type.canary?.upstream, type.canary?.tool),
                ("shadow", type.shadow?.upstream, type.shadow?.tool),
            ]
            for case (let key, let upstream?, let tool) in others {
                check(upstream, "\(path).\(key).upstream", is: nil)
                if tool != nil || kinds[upstream] != .chat {
                    checkTool(tool ?? type.tool, upstream, "\(path).\(key).tool", reader)
                }
                if upstream == type.upstream,
                    (tool ?? (kinds[upstream] == .chat ? "" : type.tool)) == type.tool
                        || (tool == nil && toolNames(upstream) == [])
                {
                    let expected = "another upstream or tool than the type's own"
                    reader.fail("\(path).\(key).upstream", expected: expected, found: "\"\(upstream)\"")
                }
                if type.tool.isEmpty, tool == nil, let kind = kinds[upstream], kind != .chat {
                    reader.fail("\(path).\(key).tool", expected: "a string", found: "nothing")
                }
            }
        }
        // Types that tools provide by themselves are not known yet, so that only configured types can be checked.
        for type in rateLimits?.types.keys.sorted() ?? []
        where chat.tools == nil && !chat.types.contains(where: { $0.name == type }) {
            reader.fail("rateLimits.types.\(type)", expected: "a type of chat.types", found: "\"\(type)\"")
        }
        if let tools = chat.tools {
            check(tools.upstream, "chat.tools.upstream", is: toolNames(tools.upstream) == [] ? .mcp : nil)
        }
        if let caller {
            check(caller.upstream, "caller.upstream", is: nil)
            checkTool(caller.tool, caller.upstream, "caller.tool", reader)
        }
        for upstream in upstreams {
            for tool in upstream.tools where tool.needsCaller && (caller == nil || caller?.upstream == upstream.name) {
                reader.fail(
                    "upstreams.\(upstream.name).tools.\(tool.name)",
                    expected: "a section caller that asks another upstream", found: "{\(tool.callerFacts[0])}")
            }
        }
        if let unknown = chat.unknownTypes { check(unknown.upstream, "chat.unknownTypes.upstream", is: .chat) }
        for endpoint in mcp?.endpoints ?? [] {
            for member in endpoint.members {
                let key = "mcp.endpoints.\(endpoint.path).upstreams.\(member.upstream)"
                if kinds[member.upstream] == nil {
                    let known = names.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
                    reader.fail(key, expected: "one of " + known, found: "\"\(member.upstream)\"")
                }
            }
        }
        // MCP endpoints replace the pass-through, so that its upstream need not exist then.
        if passthrough.isEnabled, mcp?.endpoints.isEmpty != false || reader.isPresent("passthrough") {
            check(passthrough.upstream, "passthrough.upstream", is: .mcp)
        }
    }

    /// Returns the names of an upstream's configured tools; nil when it speaks MCP, or does not exist.
    private func toolNames(_ upstream: String) -> [String]? {
        upstreams.first { $0.name == upstream && $0.kind != .mcp }?.tools.map(\.name)
    }

    private func checkTool(_ tool: String, _ upstream: String, _ key: String, _ reader: ConfigurationReader) {
        guard let names = toolNames(upstream), !names.isEmpty, !tool.isEmpty, !names.contains(tool) else { return }
        let known = names.map { "\"\($0)\"" }.joined(separator: ", ")
        reader.fail(key, expected: "one of \(known), the tools of \(upstream)", found: "\"\(tool)\"")
    }

    // MARK: Reading a whole document

    /// Reads and checks a document.
    ///
    /// - Parameter overrides: Values from the command line by dotted path.
    /// - Throws: ``ConfigurationErrors`` with everything that is wrong.
    package static func read(
        _ document: JSONValue, environment: [String: String], overrides: [String: JSONValue] = [:]
    ) throws -> GatewayConfiguration {
        let reader = ConfigurationReader(
            document: completed(document, overrides), environment: environment, environmentPrefix: "GATEWAY",
            overrides: overrides)
        var configuration = GatewayConfiguration(reader)
        try reader.finish()
        let hosts = document["toolServer"]?["allowedHosts"]?.array?.compactMap(\.string) ?? []
        configuration.toolServerHosts = hosts.isEmpty ? nil : AllowedHosts(hosts) { _ in }
        configuration.secrets = (reader.secrets + (configuration.tracing?.secrets ?? [])).map { Secret($0) }
        return configuration
    }

    /// Returns the document with the upstream that `--upstream` names, even where the file has no such upstream.
    private static func completed(_ document: JSONValue, _ overrides: [String: JSONValue]) -> JSONValue {
        guard overrides["upstreams.tools.url"] != nil, var root = document.object else { return document }
        if root["upstreams"] == nil { root["upstreams"] = [:] }
        guard var upstreams = root["upstreams"]?.object, upstreams["tools"] == nil else { return .object(root) }
        upstreams["tools"] = [:]
        root["upstreams"] = .object(upstreams)
        return .object(root)
    }

    /// Returns the JSON Schema of `gateway.json`, for editors.
    ///
    /// - Parameter toolServer: Schema of the section that the other process reads; nil: any value is accepted there.
    package static func schema(toolServer: JSONValue? = nil) -> JSONValue {
        let schema = ConfigurationReader.schema(title: "gateway.json", environmentPrefix: "GATEWAY") {
            GatewayConfiguration($0)
        }
        guard var section = toolServer?.object, var root = schema.object, var properties = root["properties"]?.object
        else { return schema }
        section["$schema"] = nil
        section["title"] = nil
        section["description"] = "Settings of the tool-server."
        properties["toolServer"] = .object(section)
        root["properties"] = .object(properties)
        return .object(root)
    }
}
