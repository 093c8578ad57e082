import JSON
import Logging
import MCP
import Synchronization

/// Outcome of one request.
enum Answer: Sendable {
    /// The whole response.
    case result([UInt8])
    case error(JSONRPCError)
    /// The request was cancelled and needs no response.
    case cancelled
}

extension MCPServer {
    // MARK: 2026-07-28

    /// Returns the metadata of a request. Errors: -32602 for missing metadata, -32022 for an unsupported revision.
    func metadata(of call: JSONRPCRequest) throws(JSONRPCError) -> RequestMetadata {
        let meta = call.meta
        // The revision first: another one may require other metadata.
        if let version = meta[MCPMeta.protocolVersion]?.string, MCPVersion(rawValue: version)?.era != .modern {
            throw .unsupportedVersion(requested: version, supported: Self.supportedVersions)
        }
        if let known = call.metadata { return known }
        do {
            return try RequestMetadata(meta: meta)
        } catch {
            throw .invalidParams(error.message)
        }
    }

    /// Checks that a method exists. Error: -32601 for one that the revision does not have or this server does not
    /// support.
    func checkMethod(_ call: JSONRPCRequest, in version: MCPVersion) throws(JSONRPCError) {
        guard MCPMethod.isRequest(call.method, in: version), serves(call.method) else {
            throw .methodNotFound(call.method)
        }
    }

    private func serves(_ method: String) -> Bool {
        if let forwarder { return Self.serves(method, forwarder.capabilities) }
        return switch method {
        case MCPMethod.promptsList, MCPMethod.promptsGet: registry.withLock { !$0.prompts.isEmpty }
        case MCPMethod.resourcesList, MCPMethod.resourcesTemplatesList, MCPMethod.resourcesRead,
            MCPMethod.resourcesSubscribe, MCPMethod.resourcesUnsubscribe:
            registry.withLock { !$0.resources.isEmpty }
        case MCPMethod.completionComplete: registry.withLock { !$0.completers.isEmpty }
        default: true
        }
    }

    private static func serves(_ method: String, _ capabilities: ServerCapabilities) -> Bool {
        switch method {
        case MCPMethod.toolsList, MCPMethod.toolsCall: capabilities.tools != nil
        case MCPMethod.promptsList, MCPMethod.promptsGet: capabilities.prompts != nil
        case MCPMethod.resourcesList, MCPMethod.resourcesTemplatesList, MCPMethod.resourcesRead,
            MCPMethod.resourcesSubscribe, MCPMethod.resourcesUnsubscribe:
            capabilities.resources != nil
        case MCPMethod.completionComplete: capabilities.completions
        default: true
        }
    }

    /// Returns the context of a request. Error: -32602 for answers that are not an object, or a `requestState` that
    /// cannot be verified.
    func context(
        of call: JSONRPCRequest, metadata: RequestMetadata, principal: Principal?, attachment: (any Sendable)? = nil,
        traceparent: String?, channel: any RequestChannel, executor: (any TaskExecutor)? = nil
    ) throws(JSONRPCError) -> ToolContext {
        var answers: JSONObject = [:]
        var state: JSONValue?
        if MCPMethod.nameParameter(of: call.method) != nil {
            if let value = call.params?["requestState"], !value.isNull {
                guard let text = value.string,
                    let contents = seal.open(text, for: call, principal: principal, now: now())
                else { throw .invalidParams("requestState is not valid for this request") }
                answers = contents.answers
                state = contents.state
            }
            if let value = call.params?["inputResponses"], !value.isNull {
                guard let responses = value.object else {
                    throw .invalidParams("inputResponses: expected an object, found \(value.kind)")
                }
                answers.merge(responses)
            }
        }
        return ToolContext(
            principal: principal, attachment: attachment, requestID: call.id, version: .latestModern, meta: call.meta,
            traceparent: traceparent, clientFeatures: ClientFeatures(metadata.clientCapabilities.declared),
            logger: logger, channel: channel, logLevel: metadata.logLevel, answers: answers, state: state,
            questionTimeout: configuration.questionTimeout, executor: executor)
    }

    /// Returns the error in the `Mcp-Param-*` headers of a call; nil when there is none.
    func mirrorMismatch(_ call: JSONRPCRequest, _ headers: MCPHTTPHeaders, principal: Principal?) -> String? {
        guard let name = call.params?["name"]?.string else { return nil }
        let mirror: ToolHeaderParameters? =
            if let forwarder {
                forwarder.inputSchema(ofTool: name).flatMap { try? ToolHeaderParameters(inputSchema: $0) }
            } else {
                tool(name, for: principal, in: .latestModern)?.mirror
            }
        guard let mirror, !mirror.isEmpty else { return nil }
        return mirror.mismatch(with: call.wholeParams?["arguments"]?.object ?? [:]) { headers.all($0) }
    }

    // MARK: Legacy

    /// Answers `initialize`. Errors: -32602.
    func initialize(_ call: JSONRPCRequest) throws(JSONRPCError) -> (JSONObject, MCPVersion, ClientFeatures) {
        let parameters: InitializeParameters
        do {
            parameters = try InitializeParameters(params: call.params ?? [:])
        } catch {
            throw .invalidParams(error.message)
        }
        let version = MCPVersion.negotiated(requested: parameters.protocolVersion)
        let result = InitializeResult(
            protocolVersion: version.rawValue, capabilities: capabilities, serverInfo: info,
            instructions: instructions)
        return (
            result.json(for: version).object ?? [:], version, ClientFeatures(parameters.capabilities.declared)
        )
    }

    func context(
        of call: JSONRPCRequest, version: MCPVersion, session: Session, principal: Principal?,
        attachment: (any Sendable)? = nil, traceparent: String?, channel: any RequestChannel,
        executor: (any TaskExecutor)? = nil
    ) -> ToolContext {
        ToolContext(
            principal: principal, attachment: attachment, requestID: call.id, version: version, meta: call.meta,
            traceparent: traceparent,
            clientFeatures: session.facts.features, logger: logger, channel: channel,
            // Without `logging/setLevel` the server chooses (logging, log levels).
            logLevel: session.logLevel ?? .info, questionTimeout: configuration.questionTimeout, executor: executor)
    }

    /// Handles a notification of a legacy client. Unknown ones are ignored.
    func note(_ notification: JSONRPCNotification, session: Session) {
        guard notification.method == MCPMethod.cancelled,
            let cancelled = try? CancelledNotification(params: notification.params ?? [:])
        else { return }
        session.cancel(cancelled.requestID)
    }

    // MARK: Both

    /// Returns whether the method runs code of a tool, prompt or resource, which may take long and send messages.
    func mayRunLong(_ method: String) -> Bool {
        switch method {
        case MCPMethod.toolsCall, MCPMethod.promptsGet, MCPMethod.resourcesRead, MCPMethod.resourcesList,
            MCPMethod.completionComplete:
            true
        default: false
        }
    }

    /// Runs a request of either era.
    func answer(_ call: JSONRPCRequest, _ context: ToolContext) async -> Answer {
        do {
            if let forwarder, Self.isForwarded(call.method) {
                try checkMethod(call, in: context.version)
                return finished(call, try await forwarder.result(of: call, context: context), context)
            }
            // Other methods run in a function of their own: a call may take long, and must not keep their variables in
            // memory.
            guard call.method == MCPMethod.toolsCall else {
                let (result, cache) = try await result(of: call, context)
                return finished(call, result, cache, context)
            }
            try checkMethod(call, in: context.version)
            return finished(call, try await callTool(call.params ?? [:], context), nil, context)
        } catch {
            return answer(call, to: error, context)
        }
    }

    @inline(never)
    private func finished(
        _ call: JSONRPCRequest, _ result: JSONObject, _ cache: CacheHint?, _ context: ToolContext
    ) -> Answer {
        if Task.isCancelled { return .cancelled }
        return .result(
            Envelope.result(
                call.id, MCPResult.complete(result, for: context.version, serverInfo: info, cache: cache)))
    }

    @inline(never)
    private func finished(_ call: JSONRPCRequest, _ result: JSONObjectText, _ context: ToolContext) -> Answer {
        if Task.isCancelled { return .cancelled }
        return .result(
            Envelope.result(call.id, MCPResult.complete(result, for: context.version, meta: resultMeta)))
    }

    @inline(never)
    private func answer(_ call: JSONRPCRequest, to error: any Error, _ context: ToolContext) -> Answer {
        switch error {
        case let error as JSONRPCError: return Task.isCancelled ? .cancelled : .error(error)
        case let required as InputRequired where context.version.era == .modern:
            return inputRequired(required, call, context)
        case is CancellationError: return .cancelled
        case let error as ToolError: return .error(.internalError(error.text))
        case let error as ClientQuestionError: return .error(.internalError(error.description))
        default:
            if Task.isCancelled { return .cancelled }
            logger.error("request failed", metadata: ["mcp.method": "\(call.method)", "error": "\(error)"])
            return .error(.internalError)
        }
    }

    private func inputRequired(_ required: InputRequired, _ call: JSONRPCRequest, _ context: ToolContext) -> Answer {
        let features = context.clientFeatures
        let missing = required.questions.reduce(into: ClientFeatures()) { $0.formUnion($1.needs.subtracting(features)) }
        guard missing.isEmpty else { return .error(.missingClientCapability(missing.json)) }
        do {
            // Earlier answers are sent through the client too, so that a tool that asks twice finds both.
            var state: String?
            if required.state != nil || !context.answers.isEmpty || required.questions.isEmpty {
                state = try seal.seal(
                    .init(answers: context.answers, state: required.state ?? context.state), for: call,
                    principal: context.principal, now: now())
            }
            let result = InputRequiredResult(
                inputRequests: required.questions.map { ($0.key, $0.request) }, requestState: state)
            return .result(
                Envelope.result(
                    call.id,
                    MCPResult.complete(result.json.object ?? [:], for: context.version, serverInfo: info)))
        } catch {
            logger.error("request state cannot be sealed", metadata: ["error": "\(error)"])
            return .error(.internalError)
        }
    }

    /// Returns the result of any method but a tool call. The refusal of a tool call is a result, which clients without
    /// HTTP statuses understand.
    private func result(
        of call: JSONRPCRequest, _ context: ToolContext
    ) async throws -> (JSONObject, CacheHint?) {
        try checkMethod(call, in: context.version)
        if let refusal = refusal(of: call, for: context.principal) { throw refusal.error }
        let params = call.params ?? [:]
        let lists = configuration.listCache
        switch call.method {
        case MCPMethod.toolsList: return (try listTools(params, context), lists)
        case MCPMethod.promptsList: return (try listPrompts(params, context), lists)
        case MCPMethod.promptsGet: return (try await getPrompt(params, context), nil)
        case MCPMethod.resourcesList: return (try await listResources(params, context), lists)
        case MCPMethod.resourcesTemplatesList: return (try listTemplates(params, context), lists)
        case MCPMethod.resourcesRead: return try await readResource(params, context)
        case MCPMethod.completionComplete: return (try await complete(params, context), nil)
        case MCPMethod.serverDiscover: return (discover(context), lists)
        case MCPMethod.ping: return ([:], nil)
        case MCPMethod.loggingSetLevel:
            guard let level = params["level"]?.string.flatMap(LoggingLevel.init(rawValue:)) else {
                throw JSONRPCError.invalidParams("level: expected a logging level")
            }
            context.channel.session?.logLevel = level
            await forwarder?.setLogLevel(level, context: context)
            return ([:], nil)
        case MCPMethod.resourcesSubscribe:
            let uri = try string("uri", params)
            try context.channel.session?.subscribe(uri)
            await forwarder?.watch([uri])
            return ([:], nil)
        case MCPMethod.resourcesUnsubscribe:
            context.channel.session?.unsubscribe(try string("uri", params))
            return ([:], nil)
        case MCPMethod.initialize:
            throw JSONRPCError.invalidRequest("The session is initialized already")
        default:
            throw JSONRPCError.methodNotFound(call.method)
        }
    }

    private func discover(_ context: ToolContext) -> JSONObject {
        let result = DiscoverResult(
            supportedVersions: Self.supportedVersions.map(\.rawValue), capabilities: capabilities,
            instructions: instructions)
        return result.json(for: context.version).object ?? [:]
    }

    func string(_ key: String, _ params: JSONObject) throws(JSONRPCError) -> String {
        guard let value = params[key]?.string else {
            throw .invalidParams("\(key): expected string, found \(params[key].map { "\($0.kind)" } ?? "nothing")")
        }
        return value
    }
}
