import Crypto
package import Foundation
import JSON
import JSONSchema
package import Logging
package import MCP
package import ProcessMemory
import Synchronization

/// Limits and texts of an ``MCPServer``.
package struct MCPServerConfiguration: Sendable {
    /// Largest number of simultaneous tool calls; further ones wait. 0: no limit.
    package var maximumConcurrentCalls: Int
    /// Largest number of waiting tool calls; further ones are answered with -32603.
    package var maximumWaitingCalls: Int
    /// Number of entries on a page of a list.
    package var pageSize: Int
    /// Caching hint of lists and `server/discover` (2026-07-28). Public only if every caller gets the same.
    package var listCache: CacheHint
    /// Key that seals `requestState`, 32 bytes; replicas that serve each other's clients share it. Nil: random.
    package var stateKey: [UInt8]?
    /// Lifetime of a `requestState`.
    package var stateLifetime: Duration
    /// Time limit of a legacy client's answer to a question.
    package var questionTimeout: Duration
    /// True if results are checked against the tools' output schemas; a violation is logged and fails the call.
    package var checksResults: Bool
    /// Budget of the process, from which parsed requests, stored events and the streams of slow readers draw.
    package var memory = MemoryBudget.unlimited

    /// Creates a configuration.
    package init(
        maximumConcurrentCalls: Int = 1024, maximumWaitingCalls: Int = 8192, pageSize: Int = 100,
        listCache: CacheHint = CacheHint(ttlMilliseconds: 60_000, scope: .private), stateKey: [UInt8]? = nil,
        stateLifetime: Duration = .seconds(600), questionTimeout: Duration = .seconds(300),
        checksResults: Bool = false
    ) {
        self.maximumConcurrentCalls = maximumConcurrentCalls
        self.maximumWaitingCalls = maximumWaitingCalls
        self.pageSize = pageSize
        self.listCache = listCache
        self.stateKey = stateKey
        self.stateLifetime = stateLifetime
        self.questionTimeout = questionTimeout
        self.checksResults = checksResults
    }
}

/// Error of a registration.
package struct RegistrationError: Error, Hashable, CustomStringConvertible {
    package let description: String
}

/// MCP server: tools, prompts and resources, and the methods that serve them in every revision. Independent of
/// transports.
package final class MCPServer: Sendable {
    /// A tool with the values that are derived from its definition once.
    struct RegisteredTool: Sendable {
        let tool: any Tool
        let definition: ToolDefinition
        let input: JSONSchema
        let output: JSONSchema?
        let mirror: ToolHeaderParameters
        var access: AccessRule
    }

    /// A prompt with its access rule.
    struct RegisteredPrompt: Sendable {
        let prompt: any PromptProvider
        var access: AccessRule
    }

    struct Registry: Sendable {
        var tools: [String: RegisteredTool] = [:]
        var toolOrder: [String] = []
        var prompts: [String: RegisteredPrompt] = [:]
        var promptOrder: [String] = []
        var resources: [any ResourceProvider] = []
        var completers: [Completer] = []
        var nextObserver: UInt64 = 0
        var observers: [UInt64: @Sendable (ServerChange) -> Void] = [:]
    }

    /// Supported revisions, newest first.
    package static let supportedVersions: [MCPVersion] = MCPVersion.allCases.sorted(by: >)

    /// Name and version of the server.
    package let info: Implementation
    /// `_meta` of the results of 2026-07-28, which name their server.
    let resultMeta: JSONFragment
    private let ownInstructions: String?
    /// Forwarder that answers in place of the registry; nil: the registry answers.
    let forwarder: (any RequestForwarder)?
    /// Logger of requests without a context of their own.
    package let logger: Logger
    /// Limits and texts.
    package let configuration: MCPServerConfiguration
    let seal: RequestStateSeal
    let limiter: CallLimiter
    let registry = Mutex(Registry())
    /// Wall clock; tests replace it.
    let now: @Sendable () -> Date

    /// Creates a server without tools, prompts and resources.
    package init(
        info: Implementation, instructions: String? = nil,
        configuration: MCPServerConfiguration = MCPServerConfiguration(), forwarder: (any RequestForwarder)? = nil,
        logger: Logger, now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.info = info
        resultMeta = JSONFragment([MCPMeta.serverInfo: info.json(for: .latestModern)])
        ownInstructions = instructions
        self.forwarder = forwarder
        self.configuration = configuration
        self.logger = logger
        self.now = now
        seal = RequestStateSeal(
            key: configuration.stateKey.map { SymmetricKey(data: $0) } ?? SymmetricKey(size: .bits256),
            lifetime: configuration.stateLifetime)
        limiter = CallLimiter(
            limit: configuration.maximumConcurrentCalls, queueLimit: configuration.maximumWaitingCalls)
    }

    /// Instructions that clients get with `initialize` and `server/discover`.
    package var instructions: String? { forwarder.map(\.instructions) ?? ownInstructions }

    // MARK: Registration

    /// Adds a tool, or replaces the one of that name in its place. Lists show it only to callers that may use it.
    ///
    /// Errors: ``RegistrationError`` for a schema that is not a JSON Schema 2020-12, has references outside of itself,
    /// or has an invalid `x-mcp-header`; errors of the definition.
    /// - Throws: ``RegistrationError``; errors of the tool's definition.
    package func register(tool: any Tool, access: AccessRule = .anyone) throws {
        let definition = try tool.definition
        let registered: RegisteredTool
        do {
            registered = RegisteredTool(
                tool: tool, definition: definition,
                input: try JSONSchema(definition.inputSchema, assertsDates: true),
                output: try definition.outputSchema.map { try JSONSchema($0) },
                mirror: try ToolHeaderParameters(inputSchema: definition.inputSchema), access: access)
        } catch {
            throw RegistrationError(description: "tool \(definition.name): \(error)")
        }
        guard definition.inputSchema["type"]?.string == "object" else {
            throw RegistrationError(description: "tool \(definition.name): the input schema is not of type object")
        }
        registry.withLock { registry in
            if registry.tools.updateValue(registered, forKey: definition.name) == nil {
                registry.toolOrder.append(definition.name)
            }
        }
        announce(.tools)
    }

    /// Adds a prompt, or replaces the one of that name in its place. Lists show it only to callers that may use it.
    package func register(prompt: any PromptProvider, access: AccessRule = .anyone) {
        let name = prompt.definition.name
        let registered = RegisteredPrompt(prompt: prompt, access: access)
        registry.withLock { registry in
            if registry.prompts.updateValue(registered, forKey: name) == nil { registry.promptOrder.append(name) }
        }
        announce(.prompts)
    }

    /// Adds resources; the first provider that knows a URI reads it.
    package func register(resources: any ResourceProvider) {
        registry.withLock { $0.resources.append(resources) }
        announce(.resources)
    }

    /// Adds a completer; the first that knows a reference answers.
    package func register(completer: @escaping Completer) {
        registry.withLock { $0.completers.append(completer) }
    }

    /// Replaces the access rules, all at once, for the requests that come from now on.
    /// - Parameters:
    ///   - tools: Rules by name; tools without one are open to all callers.
    ///   - prompts: Rules by name; prompts without one are open to all callers.
    ///   - resources: The same resources under their new rules.
    package func replaceAccess(
        tools: [String: AccessRule], prompts: [String: AccessRule], resources: [any ResourceProvider]
    ) {
        registry.withLock { registry in
            for name in registry.toolOrder { registry.tools[name]?.access = tools[name] ?? .anyone }
            for name in registry.promptOrder { registry.prompts[name]?.access = prompts[name] ?? .anyone }
            registry.resources = resources
        }
        // Callers may see more of them, or fewer.
        for change in [ServerChange.tools, .prompts, .resources] { announce(change) }
    }

    /// Returns the tools that a caller may call, in order of registration; with `version` only those of that revision.
    package func toolDefinitions(for principal: Principal?, in version: MCPVersion? = nil) -> [ToolDefinition] {
        let tools = registry.withLock { registry in registry.toolOrder.compactMap { registry.tools[$0] } }
        return tools.filter { tool in
            tool.tool.isVisible(to: principal) && version.map { tool.tool.isAvailable(in: $0) } != false
                && tool.access.refusal(of: principal) == nil
        }.map(\.definition)
    }

    func tool(_ name: String, for principal: Principal?, in version: MCPVersion) -> RegisteredTool? {
        // Names are compared as bytes: names that Unicode considers equal (the Kelvin sign and K) are different to
        // clients that filter names.
        guard let tool = registry.withLock({ $0.tools[name] }),
            tool.definition.name.utf8.elementsEqual(name.utf8), tool.tool.isVisible(to: principal),
            tool.tool.isAvailable(in: version)
        else { return nil }
        return tool
    }

    /// Capabilities that the server declares: exactly those that are served.
    package var capabilities: ServerCapabilities {
        if let forwarder { return forwarder.capabilities }
        return registry.withLock { registry in
            ServerCapabilities(
                tools: registry.tools.isEmpty ? nil : .init(listChanged: true),
                prompts: registry.prompts.isEmpty ? nil : .init(listChanged: true),
                resources: registry.resources.isEmpty ? nil : .init(listChanged: true, subscribe: true),
                completions: !registry.completers.isEmpty, logging: true)
        }
    }

    // MARK: Changes

    /// Token of an observer of changes; the observation ends when the token is released.
    final class ChangeToken: Sendable {
        private let remove: @Sendable () -> Void
        init(_ remove: @escaping @Sendable () -> Void) { self.remove = remove }
        deinit { remove() }
    }

    func onChange(_ action: @escaping @Sendable (ServerChange) -> Void) -> ChangeToken {
        let number = registry.withLock { registry in
            registry.nextObserver += 1
            registry.observers[registry.nextObserver] = action
            return registry.nextObserver
        }
        return ChangeToken { [weak self] in
            self?.registry.withLock { _ = $0.observers.removeValue(forKey: number) }
        }
    }

    /// Announces a change to the clients that listen. Registration does so itself; call it for
    /// ``ServerChange/resource(uri:)``, and when a provider's list changes.
    package func announce(_ change: ServerChange) {
        let observers = registry.withLock { Array($0.observers.values) }
        for observer in observers { observer(change) }
    }
}
