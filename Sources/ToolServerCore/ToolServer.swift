package import Assistant
import CurlTransport
package import Foundation
import HTTPSyntax
package import Identity
import JSONConfiguration
package import Logging
package import MCP
package import MCPServer
import OAuthServer
package import Observability
import ProcessMemory
import SQLiteStore
package import ServiceRuntime
package import Store

/// A complete tool-server without a transport: tools, store, identity and provider.
package struct ToolServer: Sendable {
    /// Name and version, as MCP clients see them.
    package static let implementation = Implementation(
        name: "tool-server", version: BuildVersion.number, title: "Chat gateway tool server")

    /// The MCP server with its tools.
    package let server: MCPServer
    /// Store of accounts, messages, documents and records.
    package let store: any Store
    /// External database; nil where none is used.
    package let external: (any ExternalDatabase)?
    /// Registry of the searchable models and their indexes.
    package let search: any SearchRegistry & SearchIndexing
    /// Store of messages, which may be in an external database.
    package let messages: any MessageStore
    /// Login with the store's accounts.
    package let login: LoginService
    /// Providers that identify the sender of a request.
    package let identity: any IdentityProvider
    /// Directory of the users that credentials may name.
    package let directory: UserDirectory
    /// Metrics of the server.
    package let metrics: ToolServerMetrics

    let configuration: ToolServerConfiguration
    /// Budget of the process.
    let memory: MemoryBudget
    let hasher: PasswordHasher
    let engine: CurlEngine?
    /// Replaces the AI provider; nil where the provider was passed to ``buildToolServer``.
    let replaceAnswers: (@Sendable (AssistantConfiguration?) -> Void)?
    /// Exporter of spans; nil while tracing is off.
    let tracer: SpanExporter?
    /// Verification keys of the identity `jwt`.
    let verificationKeys: VerificationKeys?
    /// Protected resource metadata; nil where the server is not an OAuth resource.
    let metadata: ResourceMetadata?
    /// Authorization server; nil where the server issues no tokens.
    let oauth: OAuthServer?
    /// Engine that reads the metadata documents of OAuth clients.
    let documentEngine: CurlEngine?
    /// Headers besides cookies that a browser or proxy adds by itself, and that identify the caller.
    let ambientHeaders: [String]
    let logger: Logger
}

/// Builds a tool-server from its parts.
///
/// - Parameters:
///   - store: Store of the server's own tables; an empty database in memory by default.
///   - external: the external database, which the configuration may name for search, identity and messages; nil
///     leaves those to the store.
///   - provider: Provider that answers prompts; by default the configured AI provider, or the documents where there is
///     none.
///   - hasher: Hasher of passwords; by default with standard parameters.
///   - build: Version of the executable, for traces.
///   - now: Clock of sessions and messages.
/// - Throws: ``StoreError``, `ConfigurationErrors` for rules of unknown tools, or a tool's schema error.
package func buildToolServer(
    configuration: ToolServerConfiguration,
    store: (any Store)? = nil,
    external: (any ExternalDatabase)? = nil,
    provider: (any ResponseProvider)? = nil,
    hasher: PasswordHasher? = nil,
    metrics: MetricsRegistry = MetricsRegistry(),
    logger: Logger,
    build: BuildVersion = BuildVersion(),
    now: @escaping @Sendable () -> Date = { Date() }
) throws -> ToolServer {
    let store = try store ?? SQLiteStore(at: .memory)
    let hasher =
        hasher
        ?? PasswordHasher(
            concurrency: configuration.login.concurrency, maximumPending: configuration.login.queue, isBackground: true)
    let metrics = ToolServerMetrics(registry: metrics)
    let memory = MemoryBudget(limit: configuration.limits.memory ?? AvailableMemory.standardBudget())
    let login = LoginService(
        accounts: store, sessions: store, hasher: hasher,
        throttle: LoginThrottle(policy: configuration.login.throttle, now: now), lifetime: configuration.login.lifetime,
        now: now)

    var serverConfiguration = MCPServerConfiguration(stateKey: configuration.sessionKeys.stateKey)
    serverConfiguration.memory = memory
    let server = MCPServer(
        info: ToolServer.implementation,
        instructions: "Company records (projects, tasks, customers, documents), questions about them, and chat.",
        configuration: serverConfiguration, logger: logger)
    let tracer = configuration.tracing.map {
        SpanExporter(
            $0, name: ToolServer.implementation.name, prefix: "tool_server", build: build, metrics: metrics.registry,
            logger: logger)
    }
    var engine: CurlEngine?
    var replaceAnswers: (@Sendable (AssistantConfiguration?) -> Void)?
    let answers: any ResponseProvider
    if let provider {
        answers = provider
    } else {
        // Responses arrive token by token, many of them at a time: a large buffer for each would never be full.
        let made = CurlEngine(
            label: "provider", configuration: CurlEngineConfiguration(receiveBuffer: 2 << 10, memory: memory),
            logger: logger)
        engine = made
        let aiMetrics = AssistantMetrics(registry: metrics.registry)
        let make: @Sendable (AssistantConfiguration?) -> any ResponseProvider = { ai in
            guard let ai else { return DocumentResponses(documents: store) }
            return ModelResponses(
                configuration: ai, engine: made, documents: store, server: server,
                withheld: [AIPromptTool.name, ChatTool.name], usage: store, metrics: aiMetrics, tracer: tracer,
                logger: logger, now: now)
        }
        let replaceable = ReplaceableAssistant(make(configuration.ai))
        answers = replaceable
        replaceAnswers = { replaceable.replace(with: make($0)) }
    }
    let search: any SearchRegistry & SearchIndexing =
        configuration.externalTables.models.isEmpty
        ? store : external?.indexedSearch(store: store, refresh: configuration.indexRefresh) ?? store
    let messages: any MessageStore =
        if configuration.externalTables.messages != nil, let external {
            DividedMessages(external: external, own: store)
        } else {
            store
        }
    let agent = configuration.ai?.agent ?? AgentConfiguration()
    let answering = AssistantService(
        provider: answers, messages: messages,
        memory: ConversationMemory(
            messages: messages, maximumExchanges: agent.historyExchanges, maximumTokens: agent.historyTokens),
        now: now)
    let rules = configuration.access.tools
    var names: Set<String> = []
    func register(_ tool: some Tool) throws {
        try names.insert(tool.definition.name)
        try server.register(
            tool: MeteredTool(tool, metrics: metrics, tracer: tracer),
            access: rules[tool.definition.name] ?? .anyone)
    }
    try register(EchoTool())
    if search.searchModels.contains(configuration.projectsModel) {
        try register(SearchProjectsTool(registry: search, model: configuration.projectsModel))
    }
    try register(SearchAnyTool(registry: search))
    try register(UserInfoTool())
    try register(AIPromptTool(service: answering))
    try register(ChatTool(service: answering))
    try register(ChatHistoryTool(messages: messages, maximumBytes: configuration.history.maximumPage, memory: memory))
    for tool in configuration.sqlTools {
        guard !names.contains(tool.name) else {
            throw ConfigurationErrors([
                ConfigurationError(
                    path: "toolServer.sqlTools.\(tool.name)", expected: "a name that no other tool has",
                    found: "\"\(tool.name)\"")
            ])
        }
        if let write = tool.write {
            try register(
                SQLWriteTool(
                    tool, write, writer: external ?? store, isExternal: external != nil,
                    retention: configuration.writeRetention, now: now))
        } else {
            try register(SQLTool(tool, runner: external ?? store))
        }
    }
    server.registerPromptsAndResources(documents: store, registry: search, rules: rules)
    try configuration.checkRules(against: server.toolNames)

    if case .url = configuration.jwt.keys, configuration.identity.contains(.jwt), engine == nil {
        engine = CurlEngine(label: "keys", logger: logger)
    }
    let directory = configuration.userDirectory(store: store, external: external)
    let signingKeys = configuration.oauth.map { oauth in
        SigningKeys(store: store, rotation: oauth.keyRotation, tokenLifetime: oauth.accessLifetime, now: now)
    }
    let identity = IdentityParts(
        configuration: configuration, login: login, keys: store, external: external, directory: directory,
        engine: engine, ownKeys: signingKeys, logger: logger, now: now)
    let documentEngine = configuration.oauth.map { _ in
        CurlEngine(
            label: "clients", configuration: CurlEngineConfiguration(allowsAddress: PublicAddress.contains),
            logger: logger)
    }
    let oauth = signingKeys.flatMap { keys in
        configuration.authorizationServer(
            store: store, keys: keys, identity: identity.cookies, login: login, directory: directory,
            engine: documentEngine, metrics: metrics, logger: logger, now: now)
    }
    return ToolServer(
        server: server, store: store, external: external, search: search, messages: messages, login: login,
        identity: identity.chain, directory: directory,
        metrics: metrics, configuration: configuration, memory: memory, hasher: hasher, engine: engine,
        replaceAnswers: replaceAnswers, tracer: tracer, verificationKeys: identity.verificationKeys,
        metadata: ResourceMetadata(configuration), oauth: oauth, documentEngine: documentEngine,
        ambientHeaders: identity.ambientHeaders, logger: logger)
}

extension ToolServer {
    /// Personal data in the server's stores.
    package var personalData: PersonalData { PersonalData(store: store, external: external, messages: messages) }

    /// Releases the store, the threads and the connections. For uses without ``run()``.
    package func shutdown() async {
        await engine?.shutdown()
        await documentEngine?.shutdown()
        await hasher.shutdown()
        do {
            try await external?.close()
            try await store.close()
        } catch {
            logger.error("database could not be closed", metadata: ["error": "\(error)"])
        }
    }
}
