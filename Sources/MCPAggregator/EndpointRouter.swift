package import JSON
package import Logging
package import MCP
import MCPClient
package import MCPServer
package import ProcessMemory
import Synchronization

/// Limits of an endpoint.
package struct EndpointLimits: Sendable {
    /// Longest wait of a list for a silent upstream.
    package var patience: Duration
    /// Longest wait of a call for the list of a silent upstream, when no other upstream has the name.
    package var callPatience: Duration
    /// Age up to which the entries of an unreachable upstream are shown.
    package var stale: Duration
    /// Number of entries on a page of a list.
    package var pageSize: Int
    /// Largest number of questions of legacy servers that wait for clients of 2026-07-28.
    package var heldCalls: Int
    /// Time after which such a question is declined.
    package var questionTimeout: Duration
    /// Largest number of watched resources for each upstream.
    package var watchedResources: Int
    /// Budget of the process, from which lists of upstreams draw.
    package var memory = MemoryBudget.unlimited

    /// Creates limits.
    package init(
        patience: Duration = .seconds(2), callPatience: Duration = .seconds(15), stale: Duration = .seconds(300),
        pageSize: Int = 100, heldCalls: Int = 1000, questionTimeout: Duration = .seconds(120),
        watchedResources: Int = 1024
    ) {
        self.patience = patience
        self.callPatience = callPatience
        self.stale = stale
        self.pageSize = pageSize
        self.heldCalls = heldCalls
        self.questionTimeout = questionTimeout
        self.watchedResources = watchedResources
    }
}

/// One MCP server over several upstream servers, each of any revision.
///
/// Tools and prompts are found by prefix and name, resources by URI. Of a name that two upstreams have, the first
/// upstream's counts.
package final class EndpointRouter: RequestForwarder {
    let members: [EndpointMember]
    let lists: [MemberLists]
    let limits: EndpointLimits
    let held: HeldCalls
    /// Changes that each upstream has announced lately.
    let changes: [ChangeLimiter]
    let logger: Logger

    struct State {
        /// Descriptions of the upstreams; nil until an upstream has answered.
        var descriptions: [UpstreamDescription?] {
            didSet { capabilities = nil }
        }
        var isPrepared = false
        /// Capabilities of all upstreams together; nil after a description has changed.
        var capabilities: ServerCapabilities?
        /// Input schemas with `x-mcp-header` annotations, by the endpoint's name of the tool.
        var annotatedSchemas: [String: JSONValue] = [:]
        /// Lists that were merged lately, the last one last.
        var merged: [OfferingKind: [MergedList]] = [:]
        /// Names that an earlier upstream has too, as last listed.
        var shadowed: [ShadowedName] = []
        /// Tools as last listed in the endpoint's own name.
        var listing = EndpointListing.none
        /// Resources whose updates clients want, by upstream.
        var watched: [[String]]
        /// Closures that restart the tasks that listen to the upstreams, when other resources are to be watched.
        var wakers: [(@Sendable () -> Void)?]
        /// Upstreams whose stream of changes has been open.
        var hasListened: [Bool]
    }

    let state: Mutex<State>
    let underWay = SharedCounter()

    /// A name that is hidden because an earlier upstream has it too.
    package struct ShadowedName: Hashable, Sendable {
        /// Kind of entry, such as `tools`.
        package let kind: String
        /// Name under which the endpoint has the other entry.
        package let name: String
        /// Name of the upstream.
        package let upstream: String
    }

    /// Creates a router.
    ///
    /// - Parameter members: Members in the order in which their entries are listed.
    package init(_ members: [EndpointMember], limits: EndpointLimits = EndpointLimits(), logger: Logger) {
        self.members = members
        self.limits = limits
        self.logger = logger
        lists = members.map { member in
            var listLimits = MemberLists.Limits()
            listLimits.patience = limits.patience
            listLimits.stale = limits.stale
            listLimits.memory = limits.memory
            return MemberLists(member.upstream, review: member.review, limits: listLimits, logger: logger)
        }
        changes = members.map { _ in ChangeLimiter() }
        held = HeldCalls(limit: limits.heldCalls, lifetime: limits.questionTimeout)
        state = Mutex(
            State(
                descriptions: Array(repeating: nil, count: members.count),
                watched: Array(repeating: [], count: members.count),
                wakers: Array(repeating: nil, count: members.count),
                hasListened: Array(repeating: false, count: members.count)))
    }

    /// Names that appear twice, as last listed.
    package var shadowedNames: [ShadowedName] { state.withLock { $0.shadowed } }

    /// Number of requests in progress.
    package var requestsUnderWay: Int { underWay.value }

    /// Number of questions of legacy servers that wait for clients of 2026-07-28.
    package var heldQuestions: Int { held.count }

    // MARK: Capabilities

    package var capabilities: ServerCapabilities {
        state.withLock { state in
            if let capabilities = state.capabilities { return capabilities }
            let made = Self.capabilities(state.descriptions.compactMap { $0?.capabilities })
            state.capabilities = made
            return made
        }
    }

    private static func capabilities(_ known: [ServerCapabilities]) -> ServerCapabilities {
        // Until an upstream has answered, tools are assumed: they are an endpoint's purpose.
        guard !known.isEmpty else { return ServerCapabilities(tools: .init(listChanged: true), logging: true) }
        let subscribe = known.contains { $0.resources?.subscribe == true }
        return ServerCapabilities(
            tools: known.contains { $0.tools != nil } ? .init(listChanged: true) : nil,
            prompts: known.contains { $0.prompts != nil } ? .init(listChanged: true) : nil,
            resources: known.contains { $0.resources != nil } ? .init(listChanged: true, subscribe: subscribe) : nil,
            // 2024-11-05 has completions without declaring them.
            completions: known.contains { $0.completions || $0.prompts != nil && $0.resources != nil },
            logging: true)
    }

    package var instructions: String? {
        // A model reads instructions as it reads definitions: those of an upstream under review are left out.
        let texts = zip(members, state.withLock { $0.descriptions }).compactMap { member, description in
            member.review?.isActive == true ? nil : description?.instructions
        }.filter { !$0.isEmpty }
        return texts.isEmpty ? nil : texts.joined(separator: "\n\n")
    }

    /// True once the upstreams have described themselves, or were waited for long enough.
    var isPrepared: Bool { state.withLock { $0.isPrepared } }

    package func prepare() async {
        guard !isPrepared else { return }
        await withTaskGroup(of: Void.self) { group in
            for index in members.indices { group.addTask { await self.describe(index) } }
            group.addTask { try? await Task.sleep(for: self.limits.patience) }
            // The wait ends when all upstreams have answered, or when the time is over.
            var answered = 0
            for await _ in group {
                answered += 1
                if answered == members.count || state.withLock({ !$0.descriptions.contains { $0 == nil } }) { break }
            }
            group.cancelAll()
        }
        state.withLock { $0.isPrepared = !$0.descriptions.contains { $0 == nil } || $0.isPrepared }
    }

    func describe(_ index: Int) async {
        guard state.withLock({ $0.descriptions[index] == nil }) else { return }
        do {
            let description = try await members[index].upstream.describe(.anonymous)
            state.withLock { $0.descriptions[index] = description }
        } catch {
            logger.debug(
                "upstream does not describe itself",
                metadata: ["upstream": "\(members[index].upstream.name)", "error": "\(error)"])
        }
    }

    // MARK: Requests

    package func result(of call: JSONRPCRequest, context: ToolContext) async throws -> JSONObjectText {
        underWay.add(1)
        defer { underWay.add(-1) }
        if let begun = context.attachment as? ForwardedRequest {
            return try await run(begun.forwarded, call, begun.caller, context, begun: begun.take())
        }
        let caller = context.attachment as? EndpointCaller ?? .anonymous
        switch call.method {
        case MCPMethod.toolsList: return try await page(.tools, call, caller, context)
        case MCPMethod.promptsList: return try await page(.prompts, call, caller, context)
        case MCPMethod.resourcesList: return try await page(.resources, call, caller, context)
        case MCPMethod.resourcesTemplatesList: return try await page(.templates, call, caller, context)
        default: return try await forward(call, caller, context)
        }
    }

    /// Returns the upstreams that a call of a tool may reach, each with its own name of the tool: those whose rules show
    /// it, in the order of the members. The call goes to the first of them that lists the tool.
    package func upstreams(ofTool name: String) -> [(upstream: String, tool: String)] {
        members.compactMap { member in
            guard let own = member.ownName(name), member.shows(tool: own) else { return nil }
            return (member.upstream.name, own)
        }
    }

    package func inputSchema(ofTool name: String) -> JSONValue? {
        state.withLock { $0.annotatedSchemas[name] }
    }

    package func setLogLevel(_ level: LoggingLevel, context: ToolContext) async {
        let caller = context.attachment as? EndpointCaller ?? .anonymous
        let descriptions = state.withLock { $0.descriptions }
        await withTaskGroup(of: Void.self) { group in
            for (member, description) in zip(members, descriptions)
            where description?.capabilities.logging == true && description?.version.era == .legacy {
                group.addTask {
                    // The gateway filters by level itself, so a server that refuses the request may send any level.
                    _ = try? await member.upstream.send(
                        UpstreamRequest(
                            method: MCPMethod.loggingSetLevel, params: ["level": .string(level.rawValue)],
                            caller: caller, version: context.version, features: context.clientFeatures))
                }
            }
        }
    }
}
