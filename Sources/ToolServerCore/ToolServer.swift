import CurlTransport
package import Foundation
package import Logging
package import MCP
package import MCPServer
package import Observability

/// A tool-server put together: tools, store, identity and provider, without any transport yet.
package struct ToolServer: Sendable {
    /// Name and version, as MCP clients see them.
    package static let implementation = Implementation(
        name: "tool-server", version: "1.0.0", title: "Chat gateway tool server")

    /// The MCP server with its tools.
    package let server: MCPServer
    /// Accounts, messages, documents and records.
    package let store: any Store
    /// Logging in with the store's accounts.
    package let login: LoginService
    /// Who sends a request.
    package let identity: any IdentityProvider
    /// Counters.
    package let metrics: ToolServerMetrics

    let configuration: ToolServerConfiguration
    let hasher: PasswordHasher
    let engine: CurlEngine?
    let logger: Logger
}

/// Puts a tool-server together.
///
/// - Parameters:
///   - store: where everything is kept; an empty database in memory by default.
///   - provider: what answers prompts; by default the configured AI provider, or the documents where there is none.
///   - hasher: checks passwords; by default with standard parameters.
///   - now: the clock of sessions and messages.
/// - Throws: ``StoreError``, or a tool's schema error.
package func buildToolServer(
    configuration: ToolServerConfiguration,
    store: (any Store)? = nil,
    provider: (any AnswerProvider)? = nil,
    hasher: PasswordHasher? = nil,
    metrics: MetricsRegistry = MetricsRegistry(),
    logger: Logger,
    now: @escaping @Sendable () -> Date = { Date() }
) throws -> ToolServer {
    let store = try store ?? SQLiteStore(at: .memory)
    let hasher = try hasher ?? PasswordHasher(concurrency: configuration.login.concurrency)
    let metrics = ToolServerMetrics(registry: metrics)
    let login = LoginService(
        accounts: store, sessions: store, hasher: hasher, lifetime: configuration.login.lifetime, now: now)

    var engine: CurlEngine?
    let answers: any AnswerProvider
    if let provider {
        answers = provider
    } else if let ai = configuration.ai {
        let made = CurlEngine(label: "provider", logger: logger)
        engine = made
        answers = ChatCompletionsProvider(configuration: ai, engine: made, logger: logger)
    } else {
        answers = DocumentAnswers(documents: store)
    }

    let server = MCPServer(
        info: ToolServer.implementation,
        instructions: "Company records (projects, tasks, customers, documents), questions about them, and chat.",
        logger: logger)
    let answering = AnsweringService(provider: answers, messages: store, now: now)
    func register(_ tool: some Tool) throws {
        try server.register(tool: MeteredTool(tool, metrics: metrics))
    }
    try register(EchoTool())
    try register(SearchProjectsTool(registry: store))
    try register(SearchAnyTool(registry: store))
    try register(UserInfoTool())
    try register(AIPromptTool(service: answering))
    try register(ChatTool(service: answering))
    try register(ChatHistoryTool(messages: store))

    return ToolServer(
        server: server, store: store, login: login, identity: IdentityChain([LoginCookieIdentity(login: login)]),
        metrics: metrics, configuration: configuration, hasher: hasher, engine: engine, logger: logger)
}

extension ToolServer {
    /// Releases the store, the threads and the connections. For uses without ``run()``.
    package func shutdown() async {
        await engine?.shutdown()
        await hasher.shutdown()
        do {
            try await store.close()
        } catch {
            logger.error("store not closed", metadata: ["error": "\(error)"])
        }
    }
}
