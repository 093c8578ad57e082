package import JSON
package import Logging
package import MCP
import Synchronization

/// Channel for messages about one request while it runs.
protocol RequestChannel: Sendable {
    /// Legacy session; nil in 2026-07-28 and for calls that did not come over MCP.
    var session: Session? { get }
    /// Puts a message on the stream of the request.
    func emit(_ message: [UInt8]) async
    /// True if a server-to-client request would reach the client.
    var canAsk: Bool { get }
    /// Closes the client's connection; the client comes back for the rest (2025-11-25).
    func releaseConnection()
}

/// Channel that ignores messages: for calls that did not come over MCP.
struct SilentChannel: RequestChannel {
    var session: Session? { nil }
    var canAsk: Bool { false }
    func emit(_ message: [UInt8]) async {}
    func releaseConnection() {}
}

/// One step of a tool's work, as reported to the caller.
package struct ToolProgress: Hashable, Sendable {
    /// Progress in units of the tool's choice; increases with every step.
    package var progress: Double
    /// Amount at the end, if it is known.
    package var total: Double?
    /// Message for people; the text deltas of a chat are sent here.
    package var message: String?
    /// Tool that this step calls.
    package var tool: String?
}

/// A request as its tool, prompt or resource sees it.
///
/// A class for its size: calls pass it through many suspended functions, and each would keep a copy.
package final class ToolContext: Sendable {
    /// Caller; nil: anonymous.
    package let principal: Principal?
    /// Data that the HTTP server attached to the request.
    package let attachment: (any Sendable)?
    /// Identifier of the request; nil for calls that did not come over MCP.
    package let requestID: RequestID?
    /// Revision that the caller speaks.
    package let version: MCPVersion
    /// `_meta` of the request.
    package let meta: JSONObject
    /// W3C trace context: from `_meta`, else from the HTTP header.
    package let traceparent: String?
    /// Capabilities that the client declared.
    package let clientFeatures: ClientFeatures
    /// Logger whose metadata identifies the request.
    package let logger: Logger

    let channel: any RequestChannel
    let progressToken: ProgressToken?
    let onProgress: (@Sendable (ToolProgress) async -> Void)?
    /// Lowest level that the client wants; nil: no log messages on this request.
    let logLevel: LoggingLevel?
    /// Answers of the client in earlier rounds and this one (2026-07-28).
    package let answers: JSONObject
    /// State that the tool returned in the last round, verified (2026-07-28).
    package let state: JSONValue?
    /// Idempotency key of a call that the user has confirmed already, because another tool asked about it; nil for any other
    /// call.
    package let confirmation: String?
    let questionTimeout: Duration
    /// Executor of the tasks that serve the request; nil: the concurrency pool.
    package let executor: (any TaskExecutor)?
    private let lastProgress = Mutex<Double?>(nil)

    init(
        principal: Principal?, attachment: (any Sendable)? = nil, requestID: RequestID?, version: MCPVersion,
        meta: JSONObject = [:],
        traceparent: String? = nil, clientFeatures: ClientFeatures = [], logger: Logger,
        channel: any RequestChannel = SilentChannel(), logLevel: LoggingLevel? = nil, answers: JSONObject = [:],
        state: JSONValue? = nil, confirmation: String? = nil, questionTimeout: Duration = .seconds(300),
        executor: (any TaskExecutor)? = nil, onProgress: (@Sendable (ToolProgress) async -> Void)? = nil
    ) {
        self.principal = principal
        self.attachment = attachment
        self.requestID = requestID
        self.version = version
        self.meta = meta
        self.traceparent = meta[MCPMeta.traceparent]?.string ?? traceparent
        self.clientFeatures = clientFeatures
        self.logger = logger
        self.channel = channel
        progressToken = meta[MCPMeta.progressToken].flatMap { ProgressToken($0) }
        self.logLevel = logLevel
        self.answers = answers
        self.state = state
        self.confirmation = confirmation
        self.questionTimeout = questionTimeout
        self.executor = executor
        self.onProgress = onProgress
    }

    /// True if the caller asked for progress notifications.
    package var wantsProgress: Bool { progressToken != nil || onProgress != nil }

    /// Reports progress to the caller; does nothing when the caller did not request it, or for a value that does not
    /// increase. Waits while the client reads too slowly.
    package func progress(_ progress: Double, total: Double? = nil, message: String? = nil) async {
        guard wantsProgress else { return }
        let increased = lastProgress.withLock { last in
            if let last, progress <= last { return false }
            last = progress
            return true
        }
        guard increased, !Task.isCancelled else { return }
        await tell(ToolProgress(progress: progress, total: total, message: message))
    }

    /// Reports one more step, like ``progress(_:total:message:)``, for work whose steps are counted as they come.
    /// - Parameters:
    ///   - message: Text for people; a piece of the answer, where the tool's answer is text.
    ///   - tool: Tool that is called next on the way to the answer.
    package func step(message: String? = nil, tool: String? = nil) async {
        guard wantsProgress, !Task.isCancelled else { return }
        let number = lastProgress.withLock { last in
            let next = ((last ?? 0) + 1).rounded(.down)
            last = next
            return next
        }
        await tell(ToolProgress(progress: number, total: nil, message: message, tool: tool))
    }

    private func tell(_ step: ToolProgress) async {
        await onProgress?(step)
        guard let progressToken else { return }
        let notification = ProgressNotification(
            token: progressToken, progress: step.progress, total: step.total, message: step.message, tool: step.tool)
        await channel.emit(notification.notification(for: version).json.serialized)
    }

    /// Sends a log message to the client, if it wants messages of that level on this request.
    package func log(_ level: LoggingLevel, logger: String? = nil, data: JSONValue) async {
        guard let threshold = logLevel, level >= threshold, !Task.isCancelled else { return }
        let line = LoggingMessageNotification(level: level, logger: logger, data: data)
        await channel.emit(line.notification.json.serialized)
    }

    /// Asks the client, and returns its results by the questions' keys.
    ///
    /// In 2026-07-28 the tool is ended by an ``InputRequired`` and run again from its start when the answers are there.
    /// Its work before this call is then repeated, so ask first, act later. `state` comes back in ``state`` then.
    ///
    /// Errors: ``InputRequired`` and the `JSONRPCError` -32021 in 2026-07-28, to be passed on; ``ClientQuestionError``
    /// and the client's own `JSONRPCError` in the legacy revisions.
    /// - Throws: ``ClientQuestionError``, `JSONRPCError`, and ``InputRequired``, which ends the call of a modern client
    ///   until its answers come.
    package func ask(_ questions: [ClientQuestion], state: JSONValue? = nil) async throws -> [String: JSONValue] {
        if version.era == .modern { return try askByResult(questions, state) }
        guard let session = channel.session, channel.canAsk else { throw ClientQuestionError.noStream }
        if let question = questions.first(where: { !$0.isAllowed(version, clientFeatures) }) {
            throw ClientQuestionError.notSupported(question.request.method)
        }
        return try await withThrowingTaskGroup(of: (String, JSONValue).self) { group in
            for question in questions {
                group.addTask { [self] in
                    let answer = try await session.ask(
                        question.request.method, question.request.params(for: version), timeout: questionTimeout
                    ) { message in
                        await channel.emit(message)
                    }
                    return (question.key, answer)
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    private func askByResult(_ questions: [ClientQuestion], _ state: JSONValue?) throws -> [String: JSONValue] {
        for question in questions { try require(question.needs) }
        let open = questions.filter { answers[$0.key]?.object == nil }
        guard open.isEmpty else { throw InputRequired(questions: open, state: state) }
        return questions.reduce(into: [:]) { $0[$1.key] = answers[$1.key] }
    }

    /// Asks the user to fill in a form. `schema` is a flat object of primitive properties; `state` comes back in ``state``.
    /// - Throws: The errors of ``ask(_:state:)``.
    package func elicit(
        _ message: String, schema: JSONObject, key: String = "elicitation", state: JSONValue? = nil
    ) async throws -> ElicitResult {
        let question = InputRequest.elicitation(ElicitParameters(message: message, requestedSchema: schema))
        return try ElicitResult(json: try await one(key, question, state))
    }

    /// Asks the client's model.
    /// - Throws: The errors of ``ask(_:state:)``.
    package func sample(
        _ parameters: CreateMessageParameters, key: String = "sampling"
    ) async throws -> CreateMessageResult {
        try CreateMessageResult(json: try await one(key, .sampling(parameters)))
    }

    /// Returns the client's root directories.
    /// - Throws: The errors of ``ask(_:state:)``.
    package func listRoots(key: String = "roots") async throws -> [Root] {
        try Root.list(json: try await one(key, .roots))
    }

    private func one(_ key: String, _ request: InputRequest, _ state: JSONValue? = nil) async throws -> JSONValue {
        try await ask([ClientQuestion(key, request)], state: state)[key] ?? .null
    }

    /// Requires features that the client must have declared. Error: -32021 in 2026-07-28, a ``ClientQuestionError``
    /// before.
    /// - Throws: `JSONRPCError` naming the missing capabilities.
    package func require(_ features: ClientFeatures) throws {
        guard !clientFeatures.isSuperset(of: features) else { return }
        let missing = features.subtracting(clientFeatures).json
        guard version.era == .modern else {
            throw ClientQuestionError.notSupported(missing.keys.joined(separator: ", "))
        }
        throw JSONRPCError.missingClientCapability(missing)
    }

    /// Closes the connection of the call but continues the call: the client fetches the rest with GET and
    /// `Last-Event-ID`. Only in 2025-11-25 over HTTP; does nothing otherwise.
    package func releaseConnection() {
        guard version == .v2025_11_25 else { return }
        channel.releaseConnection()
    }
}
