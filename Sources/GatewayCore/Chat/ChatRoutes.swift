import JSON
import MCPClient
import NIOCore

/// Chat types under one configuration, as one worker serves them: translator, schemas and upstreams. Confined to the
/// worker's event loop.
final class ChatRoutes {
    let configuration: ChatConfiguration
    /// Load balancers in the order of the configuration's upstreams.
    let upstreams: [LoadBalancer]
    /// The time between the comments that keep a silent event stream open.
    let keepAlive: Duration
    /// The target of payloads whose type is not configured; nil: they are refused.
    let unknownTypes: (upstream: Int, timeout: TimeAmount)?
    /// The number of workers, which share bounds.
    let workers: Int
    let errors: GatewayErrorStyle
    let shadows: ShadowCalls
    /// Questions of tools to their users; nil: they are declined.
    let questions: ChatQuestions?
    private let configuredTypes: TypeMap
    private let metrics: GatewayMetrics
    /// The configured types, and those that the tools give.
    private(set) var types: TypeMap
    var translator: ChatTranslator
    /// True if some type has another target than a tool of its upstream, such as a backend, a canary or a shadow.
    let isRouted: Bool
    /// Tools in the order of the types.
    private var tools: [TypeTools] = []
    /// Serial numbers of the tools that were read, by upstream; nil before the first time.
    private var takenCatalogs: [String: Int]?
    private let limiter: RateLimiter?
    /// The tools whose calls count in the limit of a type.
    private(set) var limitedTools = LimitedTools()

    /// The tools that a type's targets call, as far as they are known.
    private struct TypeTools {
        let main: ToolCatalog.Entry?
        let other: ToolCatalog.Entry?
    }

    init(
        _ configuration: ChatConfiguration, types: TypeMap, upstreams: [LoadBalancer], settings: RequestSettings,
        questions: ChatQuestions?, workers: Int, worker: Worker, previous: ChatRoutes?
    ) {
        self.questions = questions
        self.configuration = configuration
        self.upstreams = upstreams
        self.workers = workers
        keepAlive = settings.limits.keepAlive
        errors = settings.errors
        limiter = settings.limiter
        metrics = worker.metrics
        shadows = previous?.shadows ?? ShadowCalls(worker)
        unknownTypes = configuration.unknownTypes.flatMap { unknown in
            upstreams.firstIndex { $0.upstream.name == unknown.upstream }.map { ($0, TimeAmount(unknown.timeout)) }
        }
        configuredTypes = types
        self.types = types
        translator = ChatTranslator(types)
        isRouted = unknownTypes != nil || types.types.contains { !$0.isPlain }
        takeCatalogs()
    }

    /// The tools by upstream, as far as they are known.
    var catalogs: [String: ToolCatalog] {
        Dictionary(
            upstreams.compactMap { balancer in balancer.upstream.catalog.map { (balancer.upstream.name, $0) } }
        ) { first, _ in first }
    }

    /// Reads the tools that the upstreams last listed, unless they are those that were read before.
    func takeCatalogs() {
        let catalogs = catalogs
        let serials = catalogs.mapValues(\.serial)
        guard serials != takenCatalogs else { return }
        takenCatalogs = serials
        if configuration.tools != nil {
            types = TypeMap(
                configuration, upstreams: upstreams.map(\.upstream.configuration),
                toolTypes: ToolTypes.make(configuration, catalogs), metrics: metrics)
            translator = ChatTranslator(types)
        }
        func entry(_ target: ChatTarget?) -> ToolCatalog.Entry? {
            guard let target, let tool = target.tool else { return nil }
            return catalogs[upstreams[target.upstream].upstream.name]?[tool]
        }
        tools = types.types.map { TypeTools(main: entry($0.target), other: entry($0.route.other)) }
        limitedTools = LimitedTools()
        for type in types.types where limiter?.limits(type: type.name) == true {
            for target in [type.target, type.route.other].compactMap(\.self) {
                guard let tool = target.tool else { continue }
                limitedTools.add(type.name, tool: tool, at: upstreams[target.upstream].upstream.name)
            }
        }
    }

    /// Returns the types whose limits a call of a type counts against: its own, and those of types with the same tool.
    func limitedTypes(with type: ChatType) -> [String] {
        guard let limiter else { return [] }
        let others = type.target.tool.map {
            limitedTools.types(of: $0, at: upstreams[type.target.upstream].upstream.name)
        }
        let types = others ?? []
        return limiter.limits(type: type.name) && !types.contains(type.name) ? types + [type.name] : types
    }

    /// Returns whether the tool of a type's main target is known to be read-only. False for a type of an earlier
    /// configuration.
    func isReadOnly(_ type: ChatType) -> Bool {
        guard tools.indices.contains(type.index), types.types[type.index].name == type.name else { return false }
        return tools[type.index].main?.definition.annotations?.readOnlyHint == true
    }

    /// Checks the arguments before anything is sent. Returns nil when they are valid, or when the tool is not known.
    func violation(of call: ChatTranslator.Call, at target: ChatTarget) -> GatewayError? {
        let tools = tools[call.type.index]
        guard let schema = (target == call.type.target ? tools.main : tools.other)?.inputSchema else { return nil }
        return ArgumentCheck.violation(of: call, schema: schema)
    }

    /// Returns the call for a payload of a known type, checked against the schema of the main target's tool.
    func call(_ type: ChatType, _ payload: ByteBuffer) -> Result<ChatTranslator.Call, GatewayError> {
        // The translator may have read another payload since.
        if case .failure(let error) = translator.type(of: payload) { return .failure(error) }
        return translator.call(type, payload).flatMap { call in
            violation(of: call, at: type.target).map { .failure($0) } ?? .success(call)
        }
    }

    /// Returns the reply for a tool's result. A tool whose question was declined for want of a user has not done what it
    /// was asked for.
    static func reply(of type: ChatType, to result: MCPCallResult) -> Result<ByteBuffer, GatewayError> {
        if result.hasDeclined { return .failure(GatewayError(.questionsOff, executed: .yes)) }
        return ChatReply.make(type, message: result.message, result: result.result)
    }

    /// Returns the error for a call without a result.
    func error(of failure: UpstreamError) -> GatewayError {
        guard failure.asksInVain else { return failure.error }
        return GatewayError(.questionsOff, executed: failure.error.executed, detail: failure.error.detail)
    }

    /// Returns the response that the gateway would have sent for an error.
    func response(to error: GatewayError) -> ComparedResponse {
        let response = GatewayErrorResponse(error, style: errors, wantsProblem: false, requestID: "")
        return ComparedResponse(status: Int(response.status.code), body: response.body)
    }
}
