package import Assistant
import HTTPSyntax
package import Identity
package import JSON
package import JSONConfiguration
package import Logging
package import MCPServerHTTP
package import OAuthServer
package import PostgreSQLStore
package import ServiceRuntime
package import Store

/// The `toolServer` section of gateway.json.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `transport` | `stdio`, `http` | `stdio` | transport of MCP |
/// | `host`, `port` | string, integer | `127.0.0.1`, 8001 | address to listen at for HTTP; port 0: any free port |
/// | `database` | string | `./tool-server.sqlite` | location of the store |
/// | `databaseWait` | boolean | false | start although PostgreSQL cannot be reached, and wait for it |
/// | `postgres` | section | – | ``PostgreSQLSettings`` |
/// | `stateDatabase` | string | – | location of the server's own tables when `database` is external |
/// | `identity` | list | `["builtin"]` | providers asked in order: `builtin`, `django`, `apiKey`, `jwt`, `trustedHeader` |
/// | `django` | section | – | ``DjangoConfiguration`` |
/// | `jwt` | section | – | ``JWTConfiguration`` |
/// | `oauth` | section | – | ``OAuthConfiguration`` |
/// | `trustedHeader` | section | – | ``TrustedHeaderConfiguration`` |
/// | `tools`, `apiKeys`, … | | | ``AccessConfiguration`` |
/// | `search` | section | – | ``SearchConfiguration`` |
/// | `sqlTools` | map | – | ``SQLToolConfiguration`` by the tool's name |
/// | `allowWrites` | boolean | false | `sqlTools` with `writes` may write to an external database |
/// | `writeRetention` | duration | 24 h | time for which results of writes are kept under their keys |
/// | `messages` | section | – | ``ExternalMessageTable`` |
/// | `history` | section | – | ``HistoryConfiguration`` |
/// | `admin` | address or `off` | `off` | health, readiness, metrics |
/// | `logLevel` | level | `info` | lowest level of messages that are logged |
/// | `allowedHosts`, `allowedOrigins`, `trustedProxies` | | | ``SiteConfiguration`` |
/// | `drain` | duration | 10 s | time that requests in progress may take at shutdown |
/// | `drainDelay` | duration | 0 | time that requests are still accepted after readiness turned false |
/// | `drainIdleGrace` | duration | 500 ms | time that unused connections stay open at shutdown |
/// | `sessionKey` and others | – | – | ``SessionKeysConfiguration`` |
/// | `limits` | section | – | ``Limits`` |
/// | `login` | section | – | ``Login`` |
/// | `ai` | section | – | ``AssistantConfiguration`` |
/// | `tracing` | section | – | ``TracingConfiguration`` |
package struct ToolServerConfiguration: Sendable {
    /// Transport of MCP.
    package enum Transport: String, CaseIterable, Sendable {
        case stdio, http
    }

    /// Source of a caller's identity.
    package enum Identity: String, CaseIterable, Sendable {
        /// Accounts in the server's own store.
        case builtin
        /// Sessions and users of a Django site.
        case django
        /// Keys made with the subcommand `key`.
        case apiKey
        /// Signed tokens of an OAuth authorization server.
        case jwt
        /// A header that the reverse proxy sets.
        case trustedHeader
    }

    /// Limits on clients: `maxBody` (default 4 MiB), `memory` (a quarter of the memory that there is), `maxConnections`
    /// (10 000), `maxSessions` (10 000), `maxAnonymousSessions` (10 000), `maxSessionsPerUser` (1000), `sessionIdle`
    /// (30 min), and those of `ConnectionLimits`.
    package struct Limits: Sendable {
        /// Largest request body, in bytes.
        package var maxBody: Int
        /// Memory for what clients and providers send, in bytes; nil: a share of what there is.
        package var memory: Int?
        /// Largest number of connections; 0: no limit.
        package var maxConnections: Int
        /// Time limits and transfer rates of connections.
        package var clients: ConnectionLimits
        /// Largest number of MCP sessions of authenticated callers.
        package var maxSessions: Int
        /// Largest number of MCP sessions of anonymous callers.
        package var maxAnonymousSessions: Int
        /// Largest number of MCP sessions of one authenticated caller.
        package var maxSessionsPerUser: Int
        /// Time without a request after which an MCP session ends.
        package var sessionIdle: Duration
    }

    /// Settings of the login with the store's accounts: `lifetime` (default 14 d), `concurrency` (2), `queue` (64),
    /// `attempts` (5), `delay` (1 s) and `maxDelay` (5 min).
    package struct Login: Sendable {
        /// Lifetime of a login.
        package var lifetime: Duration
        /// Largest number of simultaneous password checks, which need 32 MiB each.
        package var concurrency: Int
        /// Largest number of password checks that run or wait; further ones are refused.
        package var queue: Int
        /// Limits on guessing passwords.
        package var throttle: LoginThrottle.Policy
    }

    /// Transport of MCP.
    package var transport: Transport
    /// Address to listen on.
    package var host: String
    /// Port to listen on; 0 picks a free one.
    package var port: Int
    /// Location of the store, or with ``stateDatabase`` of the external database.
    package var database: DatabaseLocation
    /// Location of the store's own tables when ``database`` is external.
    package var stateDatabase: DatabaseLocation?
    /// True if the server starts although a PostgreSQL database cannot be reached, and waits for it.
    package var databaseWait: Bool
    /// Connection settings for PostgreSQL databases.
    package var postgres: PostgreSQLSettings
    /// Identity providers in the order in which they are asked.
    package var identity: [Identity]
    /// Site of the identity `django`.
    package var django: DjangoConfiguration
    /// Issuer of the identity `jwt`.
    package var jwt: JWTConfiguration
    /// Authorization server; nil: there is none.
    package var oauth: OAuthConfiguration?
    /// Proxy of the identity `trustedHeader`.
    package var trustedHeader: TrustedHeaderConfiguration
    /// Rules of access.
    package var access: AccessConfiguration
    /// Tables of the external database.
    package var externalTables: ExternalTables
    /// Model that `search_projects` searches.
    package var projectsModel: String
    /// Time between two comparisons of external indexes with their tables; zero: they are not compared.
    package var indexRefresh: Duration
    /// Retention of messages, and size of a response with them.
    var history: HistoryConfiguration
    /// Tools that are one SQL statement each.
    package var sqlTools: [SQLToolConfiguration]
    /// True if tools may write to an external database.
    package var allowWrites: Bool
    /// Time for which the result of a write is kept under its idempotency key.
    package var writeRetention: Duration
    /// Admin listener, if any.
    package var admin: String?
    /// Lowest level that is logged.
    package var logLevel: Logger.Level
    /// Hosts, pages and proxies that are accepted.
    package var site: SiteConfiguration
    /// Time that requests in progress are given at shutdown.
    package var drain: Duration
    /// Time that requests are still accepted after `/readyz` turned 503.
    package var drainDelay: Duration
    /// Time that idle connections stay open once no new ones are accepted.
    package var drainIdleGrace: Duration
    /// Settings of MCP session ids.
    package var sessionKeys: SessionKeysConfiguration
    /// Limits on clients.
    package var limits: Limits
    /// Settings of the login.
    package var login: Login
    /// AI provider; nil: answers are made from the documents.
    package var ai: AssistantConfiguration?
    /// Settings of tracing; nil: no traces.
    package var tracing: TracingConfiguration?
    /// The section as it was written, to determine what a reload changes.
    var document: JSONValue = .object([:])

    /// Reads the section. Errors are recorded in the reader, which the caller finishes.
    package init(_ reader: ConfigurationReader) {
        transport = reader.choice(
            "transport", default: Transport.stdio,
            "Transport of MCP: stdio (standard input and output) or http.")
        host = reader.string("host", default: "127.0.0.1", "Address on which the http transport listens.")
        port = reader.integer(
            "port", default: 8001, in: 0...65535, "Port on which the http transport listens; 0 picks a free one.")
        let database = reader.string(
            "database", default: "./tool-server.sqlite",
            "Database: a path, sqlite:PATH, :memory: or postgres://USER@HOST:PORT/NAME.")
        self.database = Self.location(database, "database", reader)
        let state = reader.optionalString(
            "stateDatabase", "Database of the server's own tables when database names an external one.",
            example: "/var/lib/chat-tool-server/state.sqlite")
        stateDatabase = state.map { Self.location($0, "stateDatabase", reader) }
        databaseWait = reader.bool(
            "databaseWait", default: false,
            "true: the server starts although its PostgreSQL database cannot be reached, and waits for it; false: it "
                + "exits."
        )
        postgres = reader.section("postgres", "Connection settings for PostgreSQL databases.") {
            PostgreSQLSettings($0)
        }
        identity = Self.identity(reader)
        let django = reader.section("django", "Django site whose sessions the identity django accepts.") {
            DjangoConfiguration($0)
        }
        self.django = django
        let providers = identity
        jwt = reader.section("jwt", "Settings of signed bearer tokens (identity jwt).") {
            JWTConfiguration($0, isUsed: providers.contains(.jwt))
        }
        trustedHeader = reader.section(
            "trustedHeader", "Settings of users that a proxy names in a header (identity trustedHeader)."
        ) {
            TrustedHeaderConfiguration($0, isUsed: providers.contains(.trustedHeader))
        }
        access = AccessConfiguration(reader)
        oauth = reader.optionalSection(
            "oauth",
            "OAuth 2.1 authorization server for the tool-server's own MCP endpoint, over the identities builtin and "
                + "django. Its tokens are accepted whether or not the identity jwt is used."
        ) { OAuthConfiguration($0) }
        let search = reader.section("search", "Settings of searches.") {
            SearchConfiguration($0)
        }
        projectsModel = search.projects
        indexRefresh = search.indexRefresh
        externalTables = ExternalTables(
            models: search.models,
            messages: reader.section(
                "messages", "Table of the external database that stores the messages of its users."
            ) {
                ExternalMessageTable($0)
            }, django: identity.contains(.django) ? django.tables : nil)
        history = reader.section("history", "Retention of stored messages.") { HistoryConfiguration($0) }
        sqlTools = reader.map(
            "sqlTools", "Tools that run one SQL statement each, by the tool's name.", of: "tool"
        ) {
            SQLToolConfiguration(name: $0, $1)
        }.map(\.value)
        allowWrites = reader.bool(
            "allowWrites", default: false,
            "true: statements of sqlTools with writes may change the external database that database names; the table "
                + "tool_server_write is made in it. Of no meaning for the server's own database.")
        writeRetention = reader.duration(
            "writeRetention", default: .seconds(86_400), in: .seconds(3600) ... .seconds(30 * 86_400),
            "Time for which the result of a statement that writes is kept under its idempotency key; a call with the same "
                + "key gets it meanwhile and writes nothing. After that time the key is unknown.")
        let admin = reader.string(
            "admin", default: "off",
            "Address of the admin listener with health and metrics: HOST:PORT, unix:/path or off.")
        self.admin = admin == "off" || admin.isEmpty ? nil : admin
        logLevel = reader.choice("logLevel", default: Logger.Level.info, "Least severe level that is logged.")
        site = SiteConfiguration(reader)
        drain = reader.duration(
            "drain", default: .seconds(10), in: .zero ... .seconds(600),
            "Time that requests in progress are given to finish at shutdown; then they are cut off.")
        drainDelay = reader.duration(
            "drainDelay", default: .zero, in: .zero ... .seconds(600),
            "Time that requests are still accepted after readiness turned false.")
        drainIdleGrace = reader.duration(
            "drainIdleGrace", default: .milliseconds(500), in: .zero ... .seconds(60),
            "Time that unused connections stay open at shutdown, so that no request meets a closing one.")
        sessionKeys = SessionKeysConfiguration(reader)
        limits = reader.section("limits", "Limits of requests, connections and sessions.") { Limits($0) }
        login = reader.section("login", "Settings of logging in with the store's accounts (identity builtin).") {
            Login($0)
        }
        tracing = reader.section("tracing", "Settings of tracing by OTLP/HTTP.") {
            TracingConfiguration($0)
        }
        ai = reader.section("ai", "AI provider that speaks the OpenAI chat-completions protocol.") {
            AssistantConfiguration($0)
        }
        checkForeign(reader)
        checkStatements(reader)
        if identity.contains(.jwt), access.publicURL == nil {
            reader.fail(
                "publicURL", expected: "the MCP endpoint as clients reach it, as tokens are issued for it",
                found: "nothing")
        }
        if oauth != nil {
            if access.publicURL == nil {
                reader.fail(
                    "publicURL", expected: "the MCP endpoint as clients reach it, as oauth issues tokens for it",
                    found: "nothing")
            }
            if let url = access.publicURL, !JWTConfiguration.isAcceptable(url.text) {
                reader.fail(
                    "publicURL", expected: "an https URL, or http on this machine, as oauth issues tokens for it",
                    found: "\"\(url.text)\"")
            }
            if !identity.contains(.builtin), !identity.contains(.django) {
                reader.fail("identity", expected: "builtin or django in the list, as oauth is given", found: "neither")
            }
        }
        if access.stdioKey != nil, !identity.contains(.apiKey) {
            reader.fail("identity", expected: "apiKey in the list, as stdioKey is given", found: "none")
        }
    }

    /// Location of the store's own tables.
    package var internalDatabase: DatabaseLocation { stateDatabase ?? database }

    /// Passwords of the databases, for redaction.
    package var databaseSecrets: [String] {
        [database.password, stateDatabase?.password, postgres.password?.value].compactMap(\.self)
    }

    /// Checks that external tables and the server's own are in different databases: the server changes the journal mode
    /// and the schema of its own.
    private func checkForeign(_ reader: ConfigurationReader) {
        if identity.contains(.django), django.secretKey == nil {
            reader.fail(
                "django.secretKey", expected: "the site's SECRET_KEY, from DJANGO_SECRET_KEY or a file",
                found: "nothing")
        }
        guard !externalTables.isEmpty else { return }
        if stateDatabase == nil {
            reader.fail(
                "stateDatabase",
                expected:
                    "a location for the server's own tables, as database names an external one (a path or :memory:)",
                found: "nothing")
        } else if stateDatabase == database {
            reader.fail("stateDatabase", expected: "a database other than that of the key database", found: "the same")
        }
        if database == .memory { reader.fail("database", expected: "an existing database", found: ":memory:") }
    }

    private func checkStatements(_ reader: ConfigurationReader) {
        for tool in sqlTools where !tool.session.isEmpty {
            if case .postgreSQL = database { continue }
            reader.fail(
                "sqlTools.\(tool.name).session", expected: "no session variables, as the database is SQLite",
                found: "some")
        }
        if let tool = sqlTools.first(where: { $0.write != nil }), stateDatabase != nil, !allowWrites {
            reader.fail(
                "allowWrites", expected: "true, as sqlTools.\(tool.name) writes to an external database", found: "false"
            )
        }
    }

    private static func identity(_ reader: ConfigurationReader) -> [Identity] {
        let names = reader.strings(
            "identity", default: [Identity.builtin.rawValue],
            "Identity providers in the order in which they are asked: builtin, django, apiKey, jwt, trustedHeader.")
        let identity = names.compactMap(Identity.init)
        if identity.count != names.count || Set(names).count != names.count {
            let known = Identity.allCases.map(\.rawValue).joined(separator: ", ")
            reader.fail(
                "identity", expected: "a list of \(known), each once", found: names.joined(separator: ", "))
        }
        return identity
    }

    private static func location(_ text: String, _ key: String, _ reader: ConfigurationReader) -> DatabaseLocation {
        do {
            return try DatabaseLocation(parsing: text)
        } catch {
            reader.fail(
                key, expected: "a path, sqlite:PATH, :memory: or postgres://USER@HOST:PORT/NAME",
                found: withoutPassword(text))
            return .memory
        }
    }

    /// Creates the configuration from a whole gateway.json (or an empty object), the environment, and the command
    /// line's values by dotted path.
    /// - Throws: `ConfigurationErrors` with every error that was found.
    package init(
        document: JSONValue, environment: [String: String], overrides: [String: JSONValue] = [:]
    ) throws(ConfigurationErrors) {
        guard document.object != nil else {
            throw ConfigurationErrors([.init(path: "", expected: "an object", found: String(document.text.prefix(80)))])
        }
        let overrides = Dictionary(uniqueKeysWithValues: overrides.map { ("toolServer.\($0)", $1) })
        let reader = ConfigurationReader(
            document: document["toolServer"] ?? .object([:]), path: ["toolServer"], environment: environment,
            environmentPrefix: "TOOL_SERVER", overrides: overrides)
        self.init(reader)
        self.document = document["toolServer"] ?? .object([:])
        try reader.finish()
    }

    /// Returns the JSON Schema of the section, for editors.
    package static func schema() -> JSONValue {
        ConfigurationReader.schema(title: "toolServer", environmentPrefix: "TOOL_SERVER") {
            ToolServerConfiguration($0)
        }
    }

    private static func withoutPassword(_ url: String) -> String {
        // A URL may have its password in two places, and in one that cannot be read both are uncertain; so only the
        // scheme is shown.
        if url.hasPrefix("postgres") { return "\"\(url.prefix { $0 != ":" })://…\"" }
        guard let at = url.lastIndex(of: "@"), let scheme = url.firstRange(of: "://") else { return "\"\(url)\"" }
        guard scheme.upperBound < at else { return "\"\(url)\"" }
        return "\"\(url[..<scheme.upperBound])…\(url[at...])\""
    }
}

extension ToolServerConfiguration.Limits {
    init(_ reader: ConfigurationReader) {
        maxBody = reader.bytes(
            "maxBody", default: 4 << 20, in: 1024...(1 << 30),
            "Largest request body in bytes; a larger one is refused with 413.")
        memory = reader.memoryBudget()
        maxConnections = reader.integer(
            "maxConnections", default: 10_000, in: 0...1_000_000,
            """
            Connections of clients at a time; more are refused with 503. 0 sets no limit. Lowered at start, with a \
            warning, to what the process's limit of open files allows.
            """)
        clients = ConnectionLimits(reader)
        maxSessions = reader.integer(
            "maxSessions", default: 10_000, in: 1...1_000_000,
            "MCP sessions of known callers at a time. Beyond it the longest idle one ends; where all are busy, a new one "
                + "is refused with 503.")
        maxAnonymousSessions = reader.integer(
            "maxAnonymousSessions", default: 10_000, in: 1...1_000_000,
            "MCP sessions of anonymous callers at a time, with the same rule; they never end one of a known caller.")
        maxSessionsPerUser = reader.integer(
            "maxSessionsPerUser", default: 1000, in: 1...1_000_000,
            "MCP sessions of one known caller at a time. Beyond it the caller's own longest idle one ends.")
        sessionIdle = reader.duration(
            "sessionIdle", default: .seconds(1800), in: .seconds(1) ... .seconds(7 * 86_400),
            "Time without a request after which an MCP session ends.")
    }
}

extension ToolServerConfiguration.Login {
    init(_ reader: ConfigurationReader) {
        lifetime = reader.duration(
            "lifetime", default: LoginService.standardLifetime, in: .seconds(60) ... .seconds(365 * 86_400),
            "Lifetime of a login.")
        concurrency = reader.integer(
            "concurrency", default: 2, in: 1...16,
            "Largest number of password checks at a time, on threads of low priority; each takes 32 MiB of memory.")
        queue = reader.integer(
            "queue", default: 64, in: 1...10_000,
            "Largest number of password checks that run or wait; a further login is refused with 503.")
        let standard = LoginThrottle.Policy()
        throttle = LoginThrottle.Policy(
            attempts: reader.integer(
                "attempts", default: standard.attempts, in: 0...1_000_000,
                "Failed logins from one address to one account before a delay. Four times as many count from one address "
                    + "to all accounts, and to one account from all addresses that never logged in to it. Until the delay "
                    + "is over, further ones are refused with 429. 0: no limit."),
            firstDelay: reader.duration(
                "delay", default: standard.firstDelay, in: .milliseconds(10) ... .seconds(3600),
                "Delay after the first failed login beyond attempts; every further failure doubles it."),
            maximumDelay: reader.duration(
                "maxDelay", default: standard.maximumDelay, in: .milliseconds(10) ... .seconds(86_400),
                "Longest delay after a failed login. After twice this time without a failure the count starts again."))
    }
}
