import JSON
import MCP
import MCPClient
import MCPServer

/// A request of a client with the upstream to which it is sent.
struct ForwardedCall: Sendable {
    let member: Int
    let method: String
    /// Parameters with the upstream's own names, without `_meta`.
    var params: JSONObject
    /// The parameter `arguments` as the client sent it.
    var arguments: JSONFragment?
    /// Input schema of the called tool, where arguments are repeated in headers.
    var inputSchema: JSONValue?
    /// True if the tool's annotations say that a second run changes nothing more.
    var isIdempotent = false
}

extension EndpointRouter {
    /// Sends a request to its upstream, and returns its result in the client's revision.
    func forward(_ call: JSONRPCRequest, _ caller: EndpointCaller, _ context: ToolContext) async throws
        -> JSONObjectText
    {
        if call.method == MCPMethod.resourcesRead { return try await read(call, caller, context) }
        let forwarded = try await route(call, caller, context.version)
        return try await run(forwarded, call, caller, context)
    }

    private func route(
        _ call: JSONRPCRequest, _ caller: EndpointCaller, _ version: MCPVersion
    ) async throws -> ForwardedCall {
        var params = call.params ?? [:]
        params.removeValue(forKey: "_meta")
        switch call.method {
        case MCPMethod.toolsCall, MCPMethod.promptsGet:
            let kind: OfferingKind = call.method == MCPMethod.toolsCall ? .tools : .prompts
            guard let name = params["name"]?.string else {
                throw JSONRPCError.invalidParams("name: expected a string")
            }
            guard let found = await find(kind, name, caller, version) else {
                let noun = kind == .tools ? "tool" : "prompt"
                throw JSONRPCError.invalidParams("Unknown \(noun): \(name)")
            }
            params["name"] = .string(found.identifier)
            return Self.call(of: found, call.method, params, call.arguments)
        default:
            return try await routeCompletion(params, caller, version)
        }
    }

    /// Returns the call of a listed tool, or the request for a listed prompt.
    static func call(
        of found: ListedEntry, _ method: String, _ params: JSONObject, _ arguments: JSONFragment?
    ) -> ForwardedCall {
        let hints = found.entry["annotations"]
        return ForwardedCall(
            member: found.member, method: method, params: params, arguments: arguments,
            inputSchema: found.annotatedSchema,
            isIdempotent: hints?["readOnlyHint"]?.bool == true || hints?["idempotentHint"]?.bool == true)
    }

    private func routeCompletion(
        _ params: JSONObject, _ caller: EndpointCaller, _ version: MCPVersion
    ) async throws -> ForwardedCall {
        var params = params
        guard var reference = params["ref"]?.object else {
            throw JSONRPCError.invalidParams("ref: expected an object")
        }
        if let name = reference["name"]?.string {
            guard let found = await find(.prompts, name, caller, version) else {
                throw JSONRPCError.invalidParams("Unknown prompt: \(name)")
            }
            reference["name"] = .string(found.identifier)
            params["ref"] = .object(reference)
            return ForwardedCall(member: found.member, method: MCPMethod.completionComplete, params: params)
        }
        guard let uri = reference["uri"]?.string else {
            throw JSONRPCError.invalidParams("ref: expected a name or a uri")
        }
        for kind in [OfferingKind.templates, .resources] {
            if let found = await find(kind, uri, caller, version) {
                return ForwardedCall(member: found.member, method: MCPMethod.completionComplete, params: params)
            }
        }
        throw JSONRPCError.invalidParams("Unknown resource template: \(uri)")
    }

    /// Reads a resource from the first upstream that has it.
    private func read(_ call: JSONRPCRequest, _ caller: EndpointCaller, _ context: ToolContext) async throws
        -> JSONObjectText
    {
        guard let uri = call.params?["uri"]?.string else { throw JSONRPCError.invalidParams("uri: expected a string") }
        var params = call.params ?? [:]
        params.removeValue(forKey: "_meta")
        var last: JSONRPCError?
        // The answer to a question is sent to the upstream that asked it.
        let asked = context.state?["member"]?.int
        let order = if let asked { [asked] } else { await candidates(forResource: uri, caller, context.version) }
        for member in order where members.indices.contains(member) {
            do {
                return try await run(
                    ForwardedCall(member: member, method: call.method, params: params), call, caller, context)
            } catch let error as JSONRPCError where ResultTranslation.isUnknownResource(error) {
                last = last ?? error
            }
        }
        throw last ?? JSONRPCError.resourceNotFound(uri, for: context.version)
    }

    // MARK: Running

    /// Waits for the result of a request.
    ///
    /// - Parameter begun: The request under way; nil: it is sent.
    func run(
        _ forwarded: ForwardedCall, _ call: JSONRPCRequest, _ caller: EndpointCaller, _ context: ToolContext,
        begun: RunningCall? = nil
    ) async throws -> JSONObjectText {
        var forwarded = forwarded
        var running: RunningCall
        if let begun {
            running = begun
        } else if let id = context.state?["held"]?.string {
            running = try resume(id, context)
        } else {
            forwarded.params.removeValue(forKey: "requestState")
            if let state = context.state?["requestState"] { forwarded.params["requestState"] = state }
            running = start(forwarded, caller, context)
        }
        // Rounds of questions that one request of a legacy client may take.
        var rounds = 0
        while true {
            switch await running.next() {
            case .progress(let step):
                await context.progress(step.progress, total: step.total, message: step.message)
            case .notification(let notification):
                await pass(notification, to: context)
            case .question(let question, let reply):
                try await ask(question, reply, running, forwarded, context)
            case .finished(.failure(let error)):
                throw translated(error, forwarded, context)
            case .finished(.success(let received)):
                guard let required = try questions(in: received) else {
                    return try await Self.translated(received, of: forwarded.method, to: context.version)
                }
                rounds += 1
                guard rounds <= 16 else { throw JSONRPCError.internalError("The server does not stop asking") }
                try await put(required, &forwarded, context)
                running = start(forwarded, caller, context)
            }
        }
    }

    /// Sends a request to its upstream.
    ///
    /// - Parameter onFirst: Takes the first event; nil: a waiter does.
    func start(
        _ forwarded: ForwardedCall, _ caller: EndpointCaller, _ context: ToolContext,
        onFirst: (@Sendable (RunningCall.First) -> Void)? = nil
    ) -> RunningCall {
        var params = forwarded.params
        // The client's own metadata is forwarded; that of the connection is set by the upstream's client.
        var meta: JSONObject = [:]
        for (key, value) in context.meta where !Self.isConnectionMeta(key) { meta[key] = value }
        if let level = context.wantedLogLevel, context.version.era == .modern {
            meta[MCPMeta.logLevel] = .string(level.rawValue)
        }
        if !meta.isEmpty { params["_meta"] = .object(meta) }
        return RunningCall(members[forwarded.member].upstream, on: context.executor, onFirst: onFirst) { running in
            var onProgress: (@Sendable (MCPProgress) -> Void)?
            if context.wantsProgress { onProgress = { running.post(.progress($0)) } }
            return UpstreamRequest(
                method: forwarded.method, params: params, arguments: forwarded.arguments, caller: caller,
                version: context.version, features: context.clientFeatures, inputSchema: forwarded.inputSchema,
                isIdempotent: forwarded.isIdempotent,
                traceparent: context.traceparent, onProgress: onProgress,
                onNotification: { running.post(.notification($0)) },
                onQuestion: { running.post(.question($0, $1)) })
        }
    }

    /// Returns a result in the client's revision; a long one is translated beside the event loop.
    private static func translated(
        _ received: UpstreamResult, of method: String, to version: MCPVersion
    ) async throws -> JSONObjectText {
        guard received.result.sizeLimit >= ParsingQueue.longAnswer else {
            return ResultTranslation.result(received.result, of: method, from: received.era, to: version)
        }
        return try await ParsingQueue.answers.run {
            ResultTranslation.result(received.result, of: method, from: received.era, to: version)
        }
    }

    /// Returns whether a member of `_meta` is about the client's own connection.
    private static func isConnectionMeta(_ key: String) -> Bool {
        switch key {
        case MCPMeta.protocolVersion, MCPMeta.clientCapabilities, MCPMeta.clientInfo, MCPMeta.progressToken,
            MCPMeta.logLevel, MCPMeta.traceparent:
            true
        default: false
        }
    }

    private func pass(_ notification: JSONRPCNotification, to context: ToolContext) async {
        switch notification.method {
        case MCPMethod.message: await context.forward(log: notification.params ?? [:])
        case MCPMethod.toolsListChanged, MCPMethod.promptsListChanged, MCPMethod.resourcesListChanged,
            MCPMethod.resourcesUpdated, MCPMethod.subscriptionsAcknowledged:
            break  // Listening clients get it from the upstream's own stream.
        default: await context.forward(notification)
        }
    }

    private func translated(_ error: any Error, _ forwarded: ForwardedCall, _ context: ToolContext) -> any Error {
        switch error {
        case let error as JSONRPCError:
            ResultTranslation.error(
                error, of: forwarded.method, uri: forwarded.params["uri"]?.string, to: context.version)
        case let failure as EndpointError: failure.error(from: members[forwarded.member].upstream.name)
        default: error
        }
    }

    // MARK: Questions of legacy servers

    /// Puts a legacy server's question to the client: on the stream of a legacy client, or as an `input_required`
    /// result for a client of 2026-07-28, whose next request continues the held call.
    private func ask(
        _ question: JSONRPCRequest, _ reply: @escaping UpstreamRequest.Reply, _ running: RunningCall,
        _ forwarded: ForwardedCall, _ context: ToolContext
    ) async throws {
        guard let request = try? InputRequest(method: question.method, params: question.params),
            context.clientFeatures.isSuperset(of: ClientFeatures(request.requiredCapabilities))
        else { return reply(Declined.answer(to: question)) }
        if context.version.era == .modern {
            guard let id = held.hold(running, question, reply, member: forwarded.member) else {
                return reply(Declined.answer(to: question))
            }
            throw InputRequired(
                questions: [ClientQuestion("question-\(id)", request)],
                state: ["held": .string(id), "member": .number(forwarded.member)])
        }
        do {
            let answers = try await context.ask([ClientQuestion("question", request)])
            reply(answers["question"].map { .success($0) } ?? Declined.answer(to: question))
        } catch let error as JSONRPCError {
            reply(.failure(error))
        } catch is ClientQuestionError {
            reply(Declined.answer(to: question))
        }
    }

    private func resume(_ id: String, _ context: ToolContext) throws -> RunningCall {
        guard let found = held.take(id) else {
            throw JSONRPCError.invalidParams("The question has expired, or another gateway holds it: start again")
        }
        if let answer = context.answers["question-\(id)"], answer.object != nil {
            found.reply(.success(answer))
        } else {
            found.reply(Declined.answer(to: found.question))
        }
        return found.call
    }

    // MARK: Questions of modern servers

    private func questions(in answer: UpstreamResult) throws -> InputRequiredResult? {
        guard answer.era == .modern else { return nil }
        switch ResultType(of: answer.result) {
        case .complete: return nil
        case .inputRequired:
            do {
                return try InputRequiredResult(json: .object(answer.result.object))
            } catch {
                throw JSONRPCError.internalError("The server asks in a form that is not valid")
            }
        case nil: throw JSONRPCError.internalError("The server sent a result of an unknown type")
        }
    }

    /// Puts a modern server's questions to the client. For a client of 2026-07-28 this ends the request; a legacy
    /// client is asked on its stream, and `forwarded` then carries its answers.
    private func put(
        _ required: InputRequiredResult, _ forwarded: inout ForwardedCall, _ context: ToolContext
    ) async throws {
        let questions = required.inputRequests.map { ClientQuestion($0.key, $0.request) }
        if context.version.era == .modern {
            var state: JSONObject = ["member": .number(forwarded.member)]
            if let text = required.requestState { state["requestState"] = .string(text) }
            throw InputRequired(questions: questions, state: .object(state))
        }
        var responses: JSONObject = [:]
        for question in questions {
            responses[question.key] = try await response(to: question, context)
        }
        forwarded.params["inputResponses"] = responses.isEmpty ? nil : .object(responses)
        // The state is returned byte for byte.
        forwarded.params["requestState"] = required.requestState.map { .string($0) }
    }

    private func response(to question: ClientQuestion, _ context: ToolContext) async throws -> JSONValue {
        do {
            if let answer = try await context.ask([question])[question.key] { return answer }
        } catch is ClientQuestionError {
            // The server gets the user's decline below.
        }
        let request = JSONRPCRequest(
            id: .string(question.key), method: question.request.method,
            params: question.request.params(for: .latestModern))
        return try Declined.answer(to: request).get()
    }
}
